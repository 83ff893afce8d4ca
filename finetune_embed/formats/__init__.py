"""One module a format: how to recognise it, read it and write it. `load_vectors` picks by content.

To add a format, write a module with its specification as docstring, a `load_*` and a `save_*`,
and add a line to `FORMATS` here (first match wins) and one to `SAVERS` if it can be written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from ..errors import VectorFileError
from ..files import open_source
from ..table import EmbeddingTable
from . import word2vec
from ._text import HEAD, detect_layout, read_text
from .glove import load_glove, save_glove
from .safetensors import is_safetensors, load_safetensors, save_safetensors
from .word2vec import load_word2vec, save_word2vec

__all__ = [
    "SAVERS",
    "load_glove",
    "load_safetensors",
    "load_vectors",
    "load_word2vec",
    "save_glove",
    "save_safetensors",
    "save_word2vec",
]

#: Formats by the first bytes of a file that are known and not read, with what to do about them.
UNREAD = (
    (b"\xba\x16\x4f\x2f", "a fastText binary model; load the .vec file that came with it"),
    (b"PK\x03\x04", "a zip archive; unpack it and load the file inside"),
    (b"BZh", "compressed by bzip2; decompress it first: bunzip2"),
    (b"\xfd7zXZ\x00", "compressed by xz; decompress it first: unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; decompress it first: unzstd"),
    (b"\x93NUMPY", "a numpy array without words; pass EmbeddingTable(words, numpy.load(path))"),
    (b"\x80\x04\x95", "a Python pickle; if you trust it, open it with gensim's KeyedVectors.load"),
    (b"\x80\x05\x95", "a Python pickle; if you trust it, open it with gensim's KeyedVectors.load"),
)

#: How to write each format, by the name that `metadata["source_format"]` and `convert` use.
SAVERS: dict[str, Callable[[EmbeddingTable, str | os.PathLike[str]], None]] = {
    "glove": save_glove,
    "safetensors": save_safetensors,
    "word2vec": save_word2vec,
    "word2vec-binary": partial(save_word2vec, binary=True),
}


def load_vectors(
    path: str | os.PathLike[str],
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    vector_size: int | None = None,
) -> EmbeddingTable:
    """Load vectors from a file of any format the library reads, found out from its content.

    Args:
        path: the file: GloVe text, word2vec text or binary, or safetensors; plain or gzip.
        keys: keep only these words; the rest is not parsed. Rows keep the file's order.
        limit: read only the first rows of the file.
        vector_size: the numbers in a text line, where the file leaves it open.

    Returns:
        The table; `metadata` tells `source`, `source_sha256`, `source_format`, and how many
        `duplicates` (the first wins) and `non_utf8` words there were.

    Raises:
        VectorFileError: the file is missing, damaged, or of no format that is read here.
    """
    if limit is not None and limit < 1:
        raise VectorFileError(f"limit={limit}: read at least one row, or leave limit out")
    with open_source(path) as source:
        head = source.peek(HEAD)
        for magic, what in UNREAD:
            if head.startswith(magic):
                raise VectorFileError(f"{path} is {what}")
        if is_safetensors(head):
            if source.compression:
                raise VectorFileError(f"{path} is a gzipped safetensors file; gunzip it first")
            return load_safetensors(Path(path), keys, limit)
        if word2vec.is_binary(head):
            return word2vec.read_binary(source, keys, limit)
        layout = detect_layout(source, vector_size)
        name = "glove" if layout.promised is None else "word2vec"
        return read_text(source, layout, name, keys, limit)
