"""What a vector file is, told by its first bytes, never by its suffix."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import NamedTuple

from ...errors import VectorFileError
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

HEAD = 1 << 22  # bytes looked at to find out what a text file is
SAMPLE = 1 << 16  # bytes that tell text from binary
MAX_SAFETENSORS_HEADER = 100_000_000  # the limit of the format itself
W2V_HEADER = re.compile(rb"(\d{1,18}) (\d{1,18})[ \r]*\n")
_NUMBER = re.compile(rb"[-+.0-9eEnNaAiIfFtTyY]+")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")


class Known(NamedTuple):
    """What a format is called in messages, and how it is loaded, or else what to do about it."""

    title: str
    loader: str


#: Every format that is recognised. Those whose cure is not a `load_*` call are not read.
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
    "hdf5": Known("an HDF5 file", "h5py, and pass EmbeddingTable(words, vectors)"),
    "sqlite": Known("an SQLite database", "the library that wrote it"),
    "finalfusion": Known("a finalfusion file", "the finalfusion library's export as word2vec"),
    "lfs": Known("a Git LFS pointer", "git lfs pull, which fetches the file itself"),
    "html": Known("a web page", "the link that downloads the file itself"),
    "utf-16": Known("UTF-16 text", "iconv -f UTF-16 -t UTF-8 < FILE"),
    "floret": Known("a floret table", "spacy init vectors --mode floret, and load_spacy(folder)"),
    "torch": Known("a file of torch.save", "torch.load, and pass EmbeddingTable(words, vectors)"),
}

_MAGIC = (
    (b"\xba\x16\x4f\x2f", "fasttext"),
    (b"\x93NUMPY", "numpy"),
    (b"PK\x03\x04", "numpy-archive"),  # other zip archives have been opened by the source
    (b"PAR1", "parquet"),
    (b"ARROW1", "arrow"),
    (b"\xff\xff\xff\xff", "arrow"),  # the streaming form
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
#: Files that tell what a folder is, the first that matches; all of a row must be there.
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
    """Return the name of a file's format, a key of `FORMATS`; anything else is taken for text."""
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
        VectorFileError: the folder is none of those that are known.
    """
    for files, name in _FOLDERS:
        if all((path / file).exists() for file in files):
            return name
    inside = sorted(item.name for item in path.iterdir())
    shown = ", ".join(inside[:10]) + (", ..." if len(inside) > 10 else "")
    raise VectorFileError(
        f"{path} is a folder; give the vector file inside it" + (f": {shown}" if inside else "")
    )


def expect(source: Source, *names: str) -> str:
    """Return the name of a file's format, one of those that a loader reads.

    Raises:
        VectorFileError: it is another, which is named.
    """
    found = sniff(source)
    if found not in names:
        wanted = " or ".join(FORMATS[name].title for name in names)
        if found == "text" and not _is_plain(source.peek(SAMPLE)):
            raise VectorFileError(
                f"{source.name} is not {wanted}, nor of another format that is known by its first "
                "bytes; it may be damaged: fetch it again"
            )
        raise VectorFileError(
            f"{source.name} is {FORMATS[found].title}, not {wanted}; use {FORMATS[found].loader}"
            + ("" if found in _UNREAD else ", or load_vectors(path), which finds the format")
        )
    return found


_UNREAD = {name for name, known in FORMATS.items() if not known.loader.startswith("load_")}


def refuse_unread(source: Source, name: str) -> None:
    """Refuse a file of a format that is known and not read, with what to do about it."""
    if name in _UNREAD:
        raise VectorFileError(
            f"{source.name} is {FORMATS[name].title}, which is not read here; use "
            f"{FORMATS[name].loader}"
        )


def starts_like_another(word: bytes) -> bool:
    """Tell a first word of a text file that readers would take for a file of another kind."""
    return (
        any(word.startswith(magic) for magic, _ in _MAGIC)
        or _PICKLE.match(word) is not None
        or _UTF16.match(word) is not None
        or _is_safetensors(word)
    )


def _is_safetensors(head: bytes) -> bool:
    """Tell a safetensors file: a plausible header length, then `{`."""
    length = int.from_bytes(head[:8], "little")
    return len(head) > 8 and head[8:9] == b"{" and length <= MAX_SAFETENSORS_HEADER


def _is_binary(head: bytes) -> bool:
    """Tell word2vec binary by what follows its header: no text.

    Text is a first line of as many numbers as the header promises, or, so that damaged text is
    reported as text, UTF-8 without control characters behind the first word. A binary file of a
    few floats that happen to be such bytes is taken for text.
    """
    header = W2V_HEADER.match(head)
    if header is None:
        return False
    rows = head[header.end() :]
    line, newline, _ = rows.partition(b"\n")
    fields = line.rstrip(b" \r").rsplit(b" ", int(header[2]))[1:]
    whole = bool(newline) or len(head) < HEAD
    if whole and fields and len(fields) == int(header[2]) and all(map(_NUMBER.fullmatch, fields)):
        return False
    first = max(rows.find(b" "), 0)
    return not _is_plain(rows[first : first + SAMPLE])


def _is_plain(sample: bytes) -> bool:
    """Tell whether bytes are UTF-8 without control characters, if need be cut within one."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return False
    return _CONTROL.search(sample) is None
