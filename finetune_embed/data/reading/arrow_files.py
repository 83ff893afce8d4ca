"""Parquet and Arrow files of examples, read by pyarrow, which raises where data is damaged."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError
from ...files import ArrowData, open_arrow
from .column_names import refuse_duplicates
from .file_kinds import kind_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["arrow_blocks", "features_of", "read_arrow"]

BLOCK = 1 << 23  # bytes that are converted at a time
#: The key of the metadata in which the library `datasets` keeps what it knows of columns.
_FEATURES = b"huggingface"


def read_arrow(path: Path) -> pl.DataFrame:
    """Read a Parquet file, an Arrow file or an Arrow stream.

    Raises:
        pyarrow.ArrowException, OSError, ValueError: it is damaged.
    """
    import polars as pl

    data = _open(path)
    frames = [_frame(table) for table in _tables(data)]
    return pl.concat(frames) if frames else _frame(data.schema.empty_table())


def arrow_blocks(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the examples of such a file in blocks; see `read_arrow`."""
    yield from map(_frame, _tables(_open(path)))


def features_of(path: Path) -> dict[str, Any]:
    """Return what the library `datasets` has written about the columns of a file, if anything."""
    schema = _open(path).schema
    if not schema.metadata or _FEATURES not in schema.metadata:
        return {}
    from datasets import Features

    try:
        return dict(Features.from_arrow_schema(schema))
    except Exception as error:  # whatever the library raises for other JSON than its own
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"what the library datasets has written about the columns is damaged: {reason}",
            where=path,
        ) from error


def _open(path: Path) -> ArrowData:
    """Open a file, which need not fit in memory.

    Raises:
        DataError: two columns have the same name, or it expands too much.
    """
    with open(path, "rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    data = open_arrow(content, path, DataError, is_parquet=kind_of(path) == ".parquet")
    refuse_duplicates(data.schema.names, path)
    return data


def _tables(data: ArrowData) -> Iterator[Any]:
    """Yield all columns in tables of several batches, which have few rows if they may be long."""
    import pyarrow as pa

    batches, size = [], 0
    for batch in data.read(range(len(data.schema))):
        batches.append(batch)
        size += batch.nbytes
        if size >= BLOCK:
            yield pa.Table.from_batches(batches)
            batches, size = [], 0
    if batches:
        yield pa.Table.from_batches(batches)


def _frame(table: Any) -> pl.DataFrame:
    """Return a table as a frame, after a check of all of its offsets and texts."""
    import polars as pl
    import pyarrow as pa

    table.validate(full=True)
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    frame = pl.from_arrow(pa.Table.from_arrays(columns, names=table.schema.names))
    assert isinstance(frame, pl.DataFrame)
    return frame
