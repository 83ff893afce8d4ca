"""Arrow and Parquet files, and Hugging Face data sets, saved or in memory.

Specification: https://arrow.apache.org/docs/format/Columnar.html (IPC files and streams),
https://parquet.apache.org/docs/file-format/, and `datasets.Dataset.save_to_disk`, which writes
Arrow streams and lists them in `state.json`.

Read: a column of strings (of any Arrow type, also dictionary-encoded; bytes need not be UTF-8) and
a column of lists of integers or floats, all of one length. The caller names the columns, or they
are called `token` and `vector`, or are the only ones of their types. Nothing may be null. Other
columns are not read.

Written: the columns `token`, string, and `vector`, fixed-size list of float32. The schema's
metadata holds the table's metadata as JSON under `finetune_embed`; reading restores it, so a table
keeps the record of the file that it first came from. Arrow is an uncompressed IPC file of one
batch, which is opened in place; Parquet is zstandard over byte-stream-split numbers. The rows'
origin is not kept; `save_safetensors` keeps it.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import VectorFileError
from ...files import PathOrFile, Source, as_folder, atomic_write, open_source
from ...table import EmbeddingTable
from ..common.arguments import check_limit, wanted_bytes
from ..common.float_rows import source_dtype
from ..common.folders import folder_provenance
from ..common.saving import HOLDS_ANY_WORD, check_keys, check_name
from ..common.sniff import expect, sniff
from ..common.table_building import is_utf8, make_table, provenance
from .batches import Batches, as_vector_file_error, join_parts, open_file
from .column_choice import TOKEN, VECTOR, number_type, pick_columns
from .column_data import read_columns
from .huggingface import data_files, open_dataset

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset

__all__ = [
    "load_arrow",
    "read",
    "read_folder",
    "save_arrow",
    "save_parquet",
    "to_dataset",
]

METADATA = b"finetune_embed"
GROUP_BYTES = 1 << 25  # of vectors in a row group of Parquet
MAX_TEXT = (1 << 31) - 1  # bytes of text in a column of Arrow strings


def load_arrow(
    source: PathOrFile | Dataset | IterableDataset,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    *,
    token: str | None = None,
    vector: str | None = None,
    member: str | None = None,
) -> EmbeddingTable:
    """Load vectors from Arrow or Parquet, or from a Hugging Face data set.

    Args:
        source: an Arrow IPC file or stream or a Parquet file, plain or compressed, a binary file
            object, or `"-"` for standard input; a folder of `Dataset.save_to_disk`; or a `Dataset`
            or `IterableDataset`, such as `to_dataset` returns. Float32 vectors in one batch of a
            plain Arrow file are memory-mapped, read-only.
        keys: load only these words; other vectors are not converted. Rows keep their order.
        limit: read only the first rows.
        token: the column of words; by default `token`, or the only one of strings.
        vector: the column of vectors; by default `vector`, or the only one of lists of numbers.
        member: the file to read from an archive.

    Raises:
        VectorFileError: the file is missing, damaged or of another format; a column is missing, or
            several fit; a value is null; or vectors differ in length.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.load_arrow(fe.to_dataset(table)).index_to_key
        ['good', 'bad']
    """
    if (folder := as_folder(source)) is not None:
        return read_folder(folder, keys, limit, token, vector)
    batches = open_dataset(source)
    if batches is not None:
        return _table(batches, {"source_format": "dataset"}, keys, limit, token, vector)
    with open_source(source, member) as opened:
        expect(opened, "arrow", "parquet")
        return read(opened, keys, limit, token, vector)


def read(
    source: Source,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    token: str | None = None,
    vector: str | None = None,
) -> EmbeddingTable:
    """Read an Arrow or Parquet file from an open source."""
    name = sniff(source)
    batches = open_file(source, name)
    metadata = _stored_metadata(batches)
    if "source_format" not in metadata:  # it does not record where the table came from
        metadata |= provenance(source, name)
    return _table(batches, metadata, keys, limit, token, vector)


def read_folder(
    path: Path,
    keys: Collection[str] | None = None,
    limit: int | None = None,
    token: str | None = None,
    vector: str | None = None,
) -> EmbeddingTable:
    """Read the folder of a data set that `Dataset.save_to_disk` wrote."""
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(open_source(file)) for file in data_files(path)]
        parts = [open_file(source, expect(source, "arrow")) for source in sources]
        metadata = folder_provenance(sources[0], path, "dataset")
        return _table(join_parts(str(path), parts), metadata, keys, limit, token, vector)


def _table(
    batches: Batches,
    metadata: dict[str, str],
    keys: Collection[str] | None,
    limit: int | None,
    token: str | None,
    vector: str | None,
) -> EmbeddingTable:
    check_limit(limit)
    wanted = wanted_bytes(keys)
    with as_vector_file_error(batches.name):
        columns = pick_columns(batches, token, vector)
        metadata |= source_dtype(number_type(batches, columns[1]))
        words, vectors = read_columns(batches, columns, wanted, limit)
    return make_table(words, vectors, metadata)


def _stored_metadata(batches: Batches) -> dict[str, str]:
    """Return the table's metadata in a file that this library wrote; else empty."""
    try:
        found = json.loads((batches.schema.metadata or {}).get(METADATA, b"{}"))
    except (ValueError, RecursionError):
        return {}
    is_valid = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if is_valid else {}


def save_arrow(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table as an Arrow IPC file (Feather 2): the columns `token` and `vector`.

    Raises:
        VectorFileError: the table has no rows or no columns, or a word is not UTF-8.
        VocabularyError: a word is in two rows.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_arrow(table, "table.arrow")
        >>> fe.load_vectors("table.arrow")["bad"]
        array([0., 1.], dtype=float32)
    """
    import pyarrow as pa

    check_name(path)
    data = _to_arrow(table, "an Arrow file")
    with atomic_write(path) as file, pa.ipc.new_file(file, data.schema) as writer:
        writer.write_table(data)


def save_parquet(table: EmbeddingTable, path: str | os.PathLike[str]) -> None:
    """Write a table as a Parquet file: the columns `token` and `vector`.

    Raises:
        VectorFileError: the table has no rows or no columns, or a word is not UTF-8.
        VocabularyError: a word is in two rows.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.save_parquet(table, "table.parquet")
        >>> import polars
        >>> polars.read_parquet("table.parquet").columns
        ['token', 'vector']
    """
    import pyarrow.parquet as pq

    check_name(path)
    data = _to_arrow(table, "a Parquet file")
    with atomic_write(path) as file:
        pq.write_table(
            data,
            file,
            row_group_size=max(1, GROUP_BYTES // (4 * table.vector_size)),
            compression="zstd",
            use_dictionary=False,  # all words differ
            write_statistics=[TOKEN],
            column_encoding={f"{VECTOR}.list.element": "BYTE_STREAM_SPLIT"},
        )


def to_dataset(table: EmbeddingTable) -> Dataset:
    """Return a table as a Hugging Face `Dataset`: the columns `token` and `vector`, not copied.

    `load_arrow` turns it back into a table.

    Raises:
        VectorFileError: the table has no rows or no columns, or a word is not UTF-8.
        VocabularyError: a word is in two rows.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.to_dataset(table).column_names
        ['token', 'vector']
    """
    import datasets

    return datasets.Dataset(_to_arrow(table, "a data set"))


def _to_arrow(table: EmbeddingTable, target: str) -> Any:
    """Return a table as a `pyarrow.Table`; contiguous vectors are not copied."""
    import pyarrow as pa

    check_keys(table, target, "")
    try:
        is_large = len("".join(table.index_to_key).encode()) >= MAX_TEXT
    except UnicodeEncodeError:
        odd = [key for key in table.index_to_key if not key.isascii() and not is_utf8(key)]
        raise VectorFileError(
            f"{len(odd):,} of {len(table):,} words are not UTF-8 ({odd[0]!r} is the first), so "
            f"{target} can't hold them",
            value=odd[0],
            remedy=HOLDS_ANY_WORD,
        ) from None
    tokens = pa.array(table.index_to_key, pa.large_string() if is_large else pa.string())
    flat = np.ascontiguousarray(table.vectors, "<f4").reshape(-1)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(flat), table.vector_size)
    metadata = json.dumps(table.metadata, sort_keys=True)
    return pa.table({TOKEN: tokens, VECTOR: vectors}, metadata={METADATA: metadata})
