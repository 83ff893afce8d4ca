"""Parquet and Arrow files of examples, read by pyarrow, which raises where data is damaged."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError
from ...files import ParquetReader
from .file_kinds import kind_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["arrow_blocks", "features_of", "read_arrow"]

#: The key of the metadata in which the library `datasets` keeps what it knows of columns.
_FEATURES = b"huggingface"


def read_arrow(path: Path) -> pl.DataFrame:
    """Read a Parquet file, an Arrow file or an Arrow stream.

    Raises:
        pyarrow.ArrowException, OSError, ValueError: it is damaged.
    """
    import polars as pl

    schema, batches = _open(path)
    frames = [_frame(batch) for batch in batches]
    return pl.concat(frames) if frames else _frame(schema.empty_table())


def arrow_blocks(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the examples of such a file in blocks; see `read_arrow`."""
    _, batches = _open(path)
    yield from map(_frame, batches)


def features_of(path: Path) -> dict[str, Any]:
    """Return what the library `datasets` has written about the columns of a file, if anything."""
    schema, _ = _open(path)
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


def _open(path: Path) -> tuple[Any, Iterator[Any]]:
    """Return the schema of a file, and its batches.

    Raises:
        DataError: two columns have the same name.
    """
    import pyarrow as pa

    data = _mapped(path)
    if kind_of(path) == ".parquet":
        reader = ParquetReader(data)
        schema, batches = reader.schema, reader.batches(reader.schema.names)
    elif data[:6].to_pybytes() == b"ARROW1":
        file = pa.ipc.open_file(data)
        schema, batches = file.schema, map(file.get_batch, range(file.num_record_batches))
    else:
        stream = pa.ipc.open_stream(data)
        schema, batches = stream.schema, iter(stream)
    names = schema.names
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"two columns have the name {twice!r}", where=path, value=twice)
    return schema, batches


def _mapped(path: Path) -> Any:
    """Return the bytes of a file, which need not fit in memory."""
    import pyarrow as pa

    with open(path, "rb") as file:
        return pa.py_buffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _frame(batch: Any) -> pl.DataFrame:
    """Return a batch as a frame, after a check of all of its offsets and texts."""
    import polars as pl
    import pyarrow as pa

    batch.validate(full=True)
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in batch.columns
    ]
    frame = pl.from_arrow(pa.Table.from_arrays(columns, names=batch.schema.names))
    assert isinstance(frame, pl.DataFrame)
    return frame
