"""GloVe text: one line a word, `word v1 ... vD` between single spaces, without a header.

Specification: the output of the GloVe tool, https://nlp.stanford.edu/projects/glove/. UTF-8, not
quoted; words may contain spaces (glove.840B: `. . .`) and are split off from the right.
"""

from __future__ import annotations

import os
from collections.abc import Collection

from ..errors import VectorFileError
from ..files import Source, atomic_write, open_source
from ..table import EmbeddingTable
from ._rows import check_keys
from ._text import BOM, detect_layout, read_text, write_text

__all__ = ["load_glove", "read", "save_glove"]


def load_glove(
    path: str | os.PathLike[str],
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    vector_size: int | None = None,
) -> EmbeddingTable:
    """Load vectors from GloVe text, plain or gzip.

    Args:
        path: the file.
        keys: keep only these words; the rest is not parsed. Rows keep the file's order.
        limit: read only the first rows of the file.
        vector_size: the numbers in a line, where the file leaves it open.

    Raises:
        VectorFileError: the file is missing, damaged, or has a word2vec header.
    """
    with open_source(path) as source:
        return read(source, keys, limit, vector_size)


def read(
    source: Source,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    vector_size: int | None = None,
) -> EmbeddingTable:
    """Read GloVe text from an open source."""
    layout = detect_layout(source, vector_size)
    if layout.promised is not None:
        raise VectorFileError(
            f"{source.path}:1: {layout.promised} {layout.vector_size} is a header, so this is "
            "word2vec text; use load_word2vec(path)"
        )
    return read_text(source, layout, "glove", keys, limit)


def save_glove(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table as GloVe text. Numbers are the shortest that read back to the same float32.

    Raises:
        VectorFileError: a word contains a newline, or the first one starts with a byte order mark.
    """
    words = check_keys(table, "GloVe text", "\n")
    if words[0].startswith(BOM):
        raise VectorFileError(
            f"the first word, {table.index_to_key[0]!r}, starts with a byte order mark, which "
            "readers drop at the start of a file; put another word first"
        )
    with atomic_write(path) as file:
        write_text(table, words, file)
