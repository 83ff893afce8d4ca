"""Detects the format of a vector file from its first bytes, and of a folder from its files.

The suffix of a file plays no part.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import NamedTuple

from ...errors import Either, Text, VectorFileError
from ...files import Source
from .fasttext_header import is_unsigned

__all__ = [
    "FORMATS",
    "HEAD",
    "MAX_SAFETENSORS_HEADER",
    "W2V_HEADER",
    "expect",
    "refuse_unread",
    "sniff",
    "sniff_folder",
    "starts_like_another",
]

HEAD = 1 << 22  # bytes inspected to find the layout of a text file
SAMPLE = 1 << 16  # bytes inspected to distinguish text from binary
MAX_SAFETENSORS_HEADER = 100_000_000  # the limit of the format itself
W2V_HEADER = re.compile(rb"(\d{1,18}) (\d{1,18})[ \r]*\n")
_NUMBER = re.compile(rb"[-+.0-9eEnNaAiIfFtTyY]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


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
    "static": Known("a folder of a static embedding model", "load_static(path)"),
    "numpy": Known("a numpy array", "load_numpy(path, words=...)"),
    "numpy-archive": Known("a numpy archive", "load_numpy(path)"),
    "arrow": Known("an Arrow file", "load_arrow(path)"),
    "parquet": Known("a Parquet file", "load_arrow(path)"),
    "dataset": Known("a saved Hugging Face data set", "load_arrow(path)"),
    "spacy": Known("a folder of spaCy vectors", "load_spacy(path)"),
    "gensim": Known("a Python pickle", "load_gensim(path, allow_pickle=True)"),
    "hdf5": Known(
        "an HDF5 file",
        remedy=(
            "read it with h5py and ",
            Either(
                "pass EmbeddingTable(words, vectors)",
                "save it with numpy.savez('vectors.npz', vectors=vectors, words=words)",
            ),
        ),
    ),
    "sqlite": Known("an SQLite database", remedy="export it with the library that wrote it"),
    "finalfusion": Known("a finalfusion file", remedy="export it as word2vec with finalfusion"),
    "lfs": Known("a Git LFS pointer", remedy="fetch the file itself with git lfs pull"),
    "html": Known("a web page", remedy="download the file that the page links to"),
    "utf-16": Known(
        "UTF-16 text", remedy="convert it to UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW_FILE"
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
    (b"\x89HDF\r\n\x1a\n", "hdf5"),
    (b"SQLite format 3\x00", "sqlite"),
    (b"FiFu", "finalfusion"),
    (b"version https://git-lfs.github.com/", "lfs"),
    (b"<!DOCTYPE html", "html"),
    (b"<!doctype html", "html"),
)
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_FLORET = re.compile(rb"(?:\d{1,18} ){6}[^\s\d.+-]\S* [^\s\d.+-]\S*[ \r]*\n")
_UTF16 = re.compile(rb"\xff\xfe[^\0]\0|\xfe\xff\0")
#: The files that identify a kind of folder; the first line whose files all exist decides.
_FOLDERS = (
    (("dataset_info.json", "state.json"), "dataset"),
    (("dataset_dict.json",), "dataset"),
    (("key2row", "vectors"), "spacy"),
    (("vocab/strings.json",), "spacy"),
    (("vocab/key2row", "vocab/vectors"), "spacy"),
    (("__init__.py", "meta.json"), "spacy"),  # the package of a pipeline
    (("modules.json",), "static"),
    (("tokenizer.json", "model.safetensors"), "static"),
    (("0_StaticEmbedding/model.safetensors",), "static"),
)


def sniff(source: Source) -> str:
    """Return the name of a file's format, a key of `FORMATS`; `"text"` if no other fits."""
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
    if _UTF16.match(head):
        return "utf-16"
    if _FLORET.match(head):
        return "floret"
    return "word2vec-binary" if W2V_HEADER.match(head) and _is_binary(source.peek(HEAD)) else "text"


def sniff_folder(path: Path) -> str:
    """Return the name of a folder's format.

    Raises:
        VectorFileError: the folder is not of a known format.
    """
    for files, name in _FOLDERS:
        if all((path / file).exists() for file in files):
            return name
    inside = sorted(item.name for item in path.iterdir())
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
    if found == "text" and not _is_plain(source.peek(SAMPLE)):
        raise VectorFileError(
            f"this is not {wanted}, nor any other known format",
            where=source.name,
            remedy="it may be damaged; fetch it again",
        )
    known = FORMATS[found]
    raise VectorFileError(
        f"this is {known.title}, not {wanted}",
        where=source.name,
        remedy=known.remedy
        or Either(
            f"use {known.loader}, or load_vectors(path), which detects the format",
            "pass this file itself",
        ),
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


def starts_like_another(word: bytes) -> bool:
    """Return whether a text file that starts with a word looks like another format."""
    return (
        any(word.startswith(magic) for magic, _ in _MAGIC)
        or _PICKLE.match(word) is not None
        or _UTF16.match(word) is not None
        or _is_safetensors(word)
    )


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
    return not _is_plain(rows[first : first + SAMPLE])


def _is_plain(sample: bytes) -> bool:
    """Return whether bytes are UTF-8 without control characters; the last one may be cut off."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(sample) is None
