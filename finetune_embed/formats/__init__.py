"""One module a format: how to recognise it, read it and write it. `load_vectors` picks by content.

To add a format, write a module with its specification as docstring, a `load_*` and a `save_*`,
and add a line to `FORMATS` here (first match wins) and one to `SAVERS` if it can be written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from ..files import open_source
from ..table import EmbeddingTable
from . import word2vec
from ._rows import refuse_unread
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
    with open_source(path) as source:
        refuse_unread(source)
        head = source.peek(HEAD)
        if is_safetensors(head):
            return load_safetensors(Path(path), keys, limit)
        if word2vec.is_binary(head):
            return word2vec.read_binary(source, keys, limit)
        layout = detect_layout(source, vector_size)
        name = "glove" if layout.promised is None else "word2vec"
        return read_text(source, layout, name, keys, limit)
