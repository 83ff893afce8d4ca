"""Detects the format of a vector file from its first bytes, and of a folder from its files.

The suffix of a file plays no part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from ...errors import Either, Text, VectorFileError
from ...files import Source, folder_kind, foreign_kind, is_binary, is_clutter, is_plain
from .binary_header import other_header
from .fasttext_header import is_unsigned

__all__ = [
    "FORMATS",
    "HEAD",
    "MAX_SAFETENSORS_HEADER",
    "W2V_HEADER",
    "expect",
    "expect_text",
    "refuse_unread",
    "sniff",
    "sniff_folder",
    "starts_like_another",
]

HEAD = 1 << 22  # bytes inspected to find the layout of a text file
SAMPLE = 1 << 16  # bytes inspected to distinguish text from binary
MAX_SAFETENSORS_HEADER = 100_000_000  # the limit of the format itself
W2V_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?[ \t]*(\d{1,18})[ \t]+(\d{1,18})[ \t\r]*\n")
_NUMBER = re.compile(rb"[-+.0-9eEnNaAiIfFtTyY]+")


class Known(NamedTuple):
    """A format that is recognised.

    Attributes:
        title: its name in messages.
        loader: the call that loads it; empty if the library does not read the format.
        remedy: what to do with a file that the library does not read.
    """

    title: str
    loader: str = ""
    remedy: Text = ""


#: Every format that is recognised, read or not.
FORMATS = {
    "text": Known("text of vectors", "load_glove(path) or load_word2vec(path)"),
    "word2vec-binary": Known("a word2vec binary", "load_word2vec(path)"),
    "fasttext": Known("a fastText binary model", "load_fasttext(path)"),
    "safetensors": Known("a safetensors file", "load_safetensors(path)"),
    "safetensors-shards": Known("a folder of safetensors shards", "load_safetensors(path)"),
    "static": Known("a folder of a static embedding model", "load_static(path)"),
    "numpy": Known("a numpy array", "load_numpy(path, words=...)"),
    "numpy-archive": Known("a numpy archive", "load_numpy(path)"),
    "arrow": Known("an Arrow file", "load_arrow(path)"),
    "parquet": Known("a Parquet file", "load_arrow(path)"),
    "dataset": Known("a saved Hugging Face data set", "load_arrow(path)"),
    "spacy": Known("a folder of spaCy vectors", "load_spacy(path)"),
    "projector": Known("a folder for the TensorFlow Projector", "load_projector(path)"),
    "gensim": Known("a Python pickle", "load_gensim(path, allow_pickle=True)"),
    "binary": Known(
        "a binary file of unknown kind", remedy="find out what wrote it, or fetch the file again"
    ),
    "utf-16": Known(
        "UTF-16 text", remedy="convert it to UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE"
    ),
    "utf-16-le": Known(
        "UTF-16 text", remedy="convert it to UTF-8: iconv -f UTF-16LE -t UTF-8 FILE > NEW_FILE"
    ),
    "utf-16-be": Known(
        "UTF-16 text", remedy="convert it to UTF-8: iconv -f UTF-16BE -t UTF-8 FILE > NEW_FILE"
    ),
    "utf-32": Known(
        "UTF-32 text", remedy="convert it to UTF-8: iconv -f UTF-32 -t UTF-8 FILE > NEW_FILE"
    ),
    "floret": Known(
        "a floret table",
        remedy=(
            "convert it with spacy init vectors --mode floret and ",
            Either("use load_spacy(folder)", "pass the folder that it writes"),
        ),
    ),
}

_MAGIC = (
    (b"\xba\x16\x4f\x2f", "fasttext"),
    (b"\x93NUMPY", "numpy"),
    (b"PK\x03\x04", "numpy-archive"),  # the source opens all other zip archives
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"\xff\xff\xff\xff", "arrow"),  # an Arrow stream
)
_PICKLE = re.compile(
    rb"\x80[\x02-\x05]|\([dlt]p\d+\n|c(?:copy_reg|__builtin__|collections|(?:numpy|gensim)[\w.]*)\n\w+\n"
)
_FLORET = re.compile(rb"(?:\d{1,18} ){6}[^\s\d.+-]\S* [^\s\d.+-]\S*[ \r]*\n")
_UTF32 = re.compile(rb"\xff\xfe\0\0|\0\0\xfe\xff")
_UTF16 = re.compile(rb"\xff\xfe[^\0]\0|\xfe\xff\0")


def sniff(source: Source) -> str:
    """Return the name of a file's format, a key of `FORMATS`; `"text"` if no other fits.

    Raises:
        VectorFileError: another header than a line `V D` is above the rows of a word2vec binary.
    """
    head = source.peek(SAMPLE)
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if is_unsigned(head):
        return "fasttext"
    if _is_safetensors(head):
        return "safetensors"
    if _PICKLE.match(head):
        return "gensim"
    if _UTF32.match(head):
        return "utf-32"
    if _UTF16.match(head):
        return "utf-16"
    if _FLORET.match(head):
        return "floret"
    if W2V_HEADER.match(head) and _is_binary(source.peek(HEAD)):
        return "word2vec-binary"
    if error := other_header(source.peek(HEAD), source.name):
        raise error
    return _utf16_without_mark(head) or ("binary" if is_binary(head) else "text")


def sniff_folder(path: Path) -> str:
    """Return the name of a folder's format.

    Raises:
        VectorFileError: the folder is not of a known format.
    """
    if name := folder_kind(lambda inside: (path / inside).exists()):
        return name
    inside = sorted(item.name for item in path.iterdir() if not is_clutter(item.name))
    if not inside:
        raise VectorFileError("this folder is empty", where=path, remedy="pass a vector file")
    listed = ", ".join(inside[:10]) + (", ..." if len(inside) > 10 else "")
    raise VectorFileError(
        "this folder is not a model or a data set of a known format",
        where=path,
        remedy=f"pass the vector file inside it: {listed}",
    )


def expect(source: Source, *names: str) -> str:
    """Return the name of a file's format, which must be one of those given.

    Raises:
        VectorFileError: the file is of another format; the message names it.
    """
    found = sniff(source)
    if found in names:
        return found
    wanted = " or ".join(FORMATS[name].title for name in names)
    if found == "text" and not is_plain(source.peek(SAMPLE)):
        raise VectorFileError(
            f"this is not {wanted}, nor any other known format",
            where=source.name,
            remedy="it may be damaged; fetch it again",
        )
    known = FORMATS[found]
    detects = "" if found == "gensim" else ", or load_vectors(path), which detects the format"
    raise VectorFileError(
        f"this is {known.title}, not {wanted}",
        where=source.name,
        remedy=known.remedy or Either(f"use {known.loader}{detects}", "pass this file itself"),
    )


def expect_text(source: Source, wanted: str) -> None:
    """Check that a file is text in UTF-8, such as a list of words or JSON.

    Raises:
        VectorFileError: it is a file of another format; the message names it.
    """
    found = sniff(source)
    if not found.startswith(("text", "utf-16")):
        raise VectorFileError(
            f"this is {FORMATS[found].title}, not {wanted}",
            where=source.name,
            remedy=f"save {wanted} as text in its place",
        )


def refuse_unread(source: Source, name: str) -> None:
    """Refuse a file of a format that is recognised but not read.

    Raises:
        VectorFileError: the format has no loader.
    """
    known = FORMATS[name]
    if not known.loader:
        raise VectorFileError(
            f"this is {known.title}, which is not read here",
            where=source.name,
            remedy=known.remedy,
        )


def starts_like_another(word: bytes, others: Iterable[bytes] = ()) -> bool:
    """Return whether a text file that starts with a word looks like another format.

    Args:
        word: the first word.
        others: those that follow; some formats start with what is a word in a file of text.
    """
    return (
        any(word.startswith(magic) for magic, _ in _MAGIC)
        or _PICKLE.match(word) is not None
        or _UTF16.match(word) is not None
        or _is_safetensors(word)
        or foreign_kind(b" 0\n".join([word, *others, b""]), is_whole=False) is not None
    )


def _utf16_without_mark(head: bytes) -> str:
    """Return `utf-16-le` or `utf-16-be` if bytes are such text without a byte order mark.

    At least half of its characters, such as spaces and digits, have a zero as their high byte.
    """
    pairs = len(head) // 2
    for name, high in (("utf-16-le", 1), ("utf-16-be", 0)):
        if pairs and 2 * head[high : 2 * pairs : 2].count(0) >= pairs:
            text = head[: 2 * pairs].decode(name, "replace")
            if is_plain(text.encode()) and " " in text:
                return name
    return ""


def _is_safetensors(head: bytes) -> bool:
    """Return whether a file starts with a plausible header length and `{`."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and length <= MAX_SAFETENSORS_HEADER


def _is_binary(head: bytes) -> bool:
    """Return whether rows of binary, not of text, follow a word2vec header.

    The rows are text if the first line holds the number of values that the header promises, or if
    what follows the first word is UTF-8 without control characters, so damaged text counts as text.
    A binary file of a few floats that happen to be such bytes is taken for text.
    """
    header = W2V_HEADER.match(head)
    if header is None:
        return False
    rows = head[header.end() :]
    line, newline, _ = rows.partition(b"\n")
    fields = line.rstrip(b" \r").rsplit(b" ", int(header[2]))[1:]
    is_complete = bool(newline) or len(head) < HEAD
    if (
        is_complete
        and fields
        and len(fields) == int(header[2])
        and all(map(_NUMBER.fullmatch, fields))
    ):
        return False
    first = max(rows.find(b" "), 0)
    return not is_plain(rows[first : first + SAMPLE])
