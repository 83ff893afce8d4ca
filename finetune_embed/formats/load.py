"""`load_vectors`, which detects the format of a file, and the tables of all readers and writers.

CONTRIBUTING.md lists the steps to add a format.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import NamedTuple

from ..errors import Option, VectorFileError
from ..files import PathOrFile, Source, as_folder, open_source
from ..table import EmbeddingTable
from . import arrow, fasttext, gensim_native, numpy_arrays, safetensors, word2vec
from .arrow import save_arrow, save_parquet
from .common.beside import NOT_READ, tokenizer_beside
from .common.run_folder import file_in_run
from .common.sniff import refuse_unread, sniff, sniff_folder
from .common.text import read_text
from .common.text_layout import detect_layout
from .glove import save_glove
from .hub import fetched
from .numpy_arrays import save_numpy
from .projector import load_projector, save_projector
from .safetensors import save_safetensors
from .spacy_vectors import load_spacy, save_spacy
from .static_model import TENSORS, load_static
from .word2vec import save_word2vec

__all__ = ["FOLDER_READERS", "READERS", "SAVERS", "Loaded", "load_vectors", "read_vectors"]

Reader = Callable[[Source, Collection[str] | None, int | None], EmbeddingTable]
FolderReader = Callable[[Path, Collection[str] | None, int | None], EmbeddingTable]

#: The reader of each format that `sniff` returns, except text.
READERS: dict[str, Reader] = {
    "word2vec-binary": word2vec.read_binary,
    "fasttext": fasttext.read,
    "safetensors": safetensors.read,
    "numpy": numpy_arrays.read,
    "numpy-archive": numpy_arrays.read_archive,
    "arrow": arrow.read,
    "parquet": arrow.read,
    "gensim": gensim_native.refuse,
}
#: The reader of each format that `sniff_folder` returns.
FOLDER_READERS: dict[str, FolderReader] = {
    "dataset": arrow.read_folder,
    "safetensors-shards": safetensors.read_shards,
    "static": load_static,
    "spacy": load_spacy,
    "projector": load_projector,
}

#: The writer of each format, by its name in `metadata["source_format"]` and `convert --to`.
SAVERS: dict[str, Callable[[EmbeddingTable, str | os.PathLike[str]], None]] = {
    "arrow": save_arrow,
    "glove": save_glove,
    "numpy-archive": save_numpy,
    "parquet": save_parquet,
    "projector": save_projector,
    "safetensors": save_safetensors,
    "spacy": save_spacy,
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
    """Load vectors from a file of any supported format, which is detected from its content.

    Args:
        path: the file, plain or compressed (gzip, bzip2, xz, zstandard, zip, tar), the folder of a
            model, the folder of a run, whose tuned table is read, a binary file object, `"-"` for
            standard input, or `"hub:org/model"`, a model that is fetched from the Hugging Face Hub.
        keys: read only these words; other rows are not parsed. Rows keep the file's order.
        limit: read only the first rows of the file.
        vector_size: the number of values in a line of text; detected if not given.
        member: the file to read from an archive that holds several.

    Returns:
        The table. A SentencePiece model beside the file, as BPEmb has it, is its `tokenizer`; of
        one that cannot be read, `metadata["tokenizer_not_read"]` says why. `metadata` records the
        `source`, `source_sha256` and `source_format`, and the number of `duplicates` (the first row
        of a word is kept) and of `non_utf8` words; its `cut_short` says why text was probably cut
        short within its last number.

    Raises:
        VectorFileError: the file is missing, damaged, or of a format that is not supported.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> len(table), table.vector_size
        (11138, 50)
        >>> few = fe.load_vectors("glove.6B.50d.txt", keys=["king", "queen"])
        >>> few.index_to_key
        ['king', 'queen']
    """
    return read_vectors(path, keys, limit, vector_size=vector_size, member=member).table


class Loaded(NamedTuple):
    """A table, and the detected format of its file.

    Attributes:
        table: the table.
        format: the name of the file's format.
        compression: the compression, such as `"gzip"` or `"gzip+tar"`; `""` for a plain file.
    """

    table: EmbeddingTable
    format: str
    compression: str


def read_vectors(
    path: PathOrFile,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    vector_size: int | None = None,
    member: str | None = None,
) -> Loaded:
    """Load vectors as `load_vectors` does; return them with the detected format."""
    given, path = path, fetched(path)
    if path is not given:
        loaded = read_vectors(path, keys, limit, member=member)
        if loaded.format == "static":  # the others name the file that they were made from
            loaded.table.metadata["source"] = f"{given}/{TENSORS}"
        return loaded
    path = file_in_run(path)
    folder = as_folder(path)
    if folder is not None:
        name = sniff_folder(folder)
        if member is not None:
            raise VectorFileError(
                f"this is a folder, not an archive, so it has no member {member!r}",
                where=folder,
                value=member,
                remedy=("leave out ", Option("member")),
            )
        return Loaded(FOLDER_READERS[name](folder, keys, limit), name, "")
    with open_source(path, member) as source:
        name = sniff(source)
        refuse_unread(source, name)
        if name == "text":
            table = _read_text(source, keys, limit, vector_size)
            name = table.metadata["source_format"]
        else:
            table = READERS[name](source, keys, limit)
        if table.tokenizer is None:
            try:
                table.tokenizer = tokenizer_beside(source.path, table.words)
            except VectorFileError as error:  # it need not be that of these vectors
                table.metadata[NOT_READ] = str(error)
        return Loaded(table, name, source.compression)


def _read_text(
    source: Source, keys: Collection[str] | None, limit: int | None, vector_size: int | None
) -> EmbeddingTable:
    """Read text: word2vec if it has a header, else GloVe."""
    layout = detect_layout(source, vector_size)
    name = "glove" if layout.promised is None else "word2vec"
    return read_text(source, layout, name, keys, limit)
