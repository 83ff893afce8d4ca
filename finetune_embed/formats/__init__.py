"""One module a format: how to recognise it, read it and write it. `load_vectors` picks by content.

To add a format, write a module with its specification as docstring, a `load_*` and a `save_*`,
and add a line to `FORMATS` and how it is recognised in `_sniff.py`, one to `READERS` here, and one
to `SAVERS` if it can be written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from ..source import STDIN, PathOrFile, Source, open_source
from ..table import EmbeddingTable
from . import safetensors, word2vec
from ._sniff import refuse_unread, sniff, sniff_folder
from ._text import detect_layout, read_text
from .glove import load_glove, save_glove
from .safetensors import load_safetensors, save_safetensors
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

Reader = Callable[[Source, Collection[str] | None, int | None], EmbeddingTable]
FolderReader = Callable[[Path, Collection[str] | None, int | None], EmbeddingTable]

#: How to read each format that `sniff` names, but for text.
READERS: dict[str, Reader] = {
    "word2vec-binary": word2vec.read_binary,
    "safetensors": safetensors.read,
}
#: How to read each kind of folder that `sniff_folder` names.
FOLDER_READERS: dict[str, FolderReader] = {}

#: How to write each format, by the name that `metadata["source_format"]` and `convert` use.
SAVERS: dict[str, Callable[[EmbeddingTable, str | os.PathLike[str]], None]] = {
    "glove": save_glove,
    "safetensors": save_safetensors,
    "word2vec": save_word2vec,
    "word2vec-binary": partial(save_word2vec, binary=True),
}


def load_vectors(
    path: PathOrFile,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    vector_size: int | None = None,
    member: str | None = None,
) -> EmbeddingTable:
    """Load vectors from a file of any format the library reads, found out from its content.

    Args:
        path: the file, plain or compressed (gzip, bzip2, xz, zstandard, zip, tar), the folder of a
            model, a binary file object, or `"-"` for standard input.
        keys: keep only these words; the rest is not parsed. Rows keep the file's order.
        limit: read only the first rows of the file.
        vector_size: the numbers in a text line, where the file leaves it open.
        member: the file to read of an archive that holds several.

    Returns:
        The table; `metadata` tells `source`, `source_sha256`, `source_format`, and how many
        `duplicates` (the first wins) and `non_utf8` words there were.

    Raises:
        VectorFileError: the file is missing, damaged, or of no format that is read here.
    """
    if isinstance(path, (str, os.PathLike)) and path != STDIN and Path(path).is_dir():
        return FOLDER_READERS[sniff_folder(Path(path))](Path(path), keys, limit)
    with open_source(path, member) as source:
        name = sniff(source)
        refuse_unread(source, name)
        if name == "text":
            return _read_text(source, keys, limit, vector_size)
        return READERS[name](source, keys, limit)


def _read_text(
    source: Source, keys: Collection[str] | None, limit: int | None, vector_size: int | None
) -> EmbeddingTable:
    """Read GloVe or word2vec text, told apart by the header."""
    layout = detect_layout(source, vector_size)
    name = "glove" if layout.promised is None else "word2vec"
    return read_text(source, layout, name, keys, limit)
