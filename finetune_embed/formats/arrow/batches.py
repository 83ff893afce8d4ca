"""Opens Arrow IPC files and streams and Parquet files, to be read batch by batch."""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import VectorFileError
from ...files import EXPANSION_FLOOR, MAX_EXPANSION, ParquetBomb, ParquetReader, Source
from .ipc_sizes import claimed_size

__all__ = ["ROWS", "Batches", "as_vector_file_error", "join_parts", "open_file"]

ROWS = 1 << 14  # rows read at a time, where the data does not decide it


@dataclass(frozen=True)
class Batches:
    """Arrow data to be read once, batch by batch.

    Attributes:
        name: the file or data set, for messages.
        schema: its `pyarrow.Schema`.
        read: a function of column positions that yields `pyarrow.RecordBatch`es of these columns,
            in that order.
        size: the size of its file on disk in bytes; 0 without a file.
    """

    name: str
    schema: Any
    read: Callable[[list[int]], Iterator[Any]]
    size: int = 0

    def refuse_bomb(self, expanded: int) -> None:
        """Refuse data that expands too much, as rows repeated by run lengths can.

        Raises:
            VectorFileError: `expanded` bytes are too many for the size of the file.
        """
        if self.size and expanded > max(MAX_EXPANSION * self.size, EXPANSION_FLOOR):
            raise VectorFileError(
                f"{self.size:,} bytes expand to {expanded:,} or more, over {MAX_EXPANSION} to 1, "
                "which no vectors do",
                where=self.name,
                remedy="if you trust it, read it with its own library",
            )


@contextlib.contextmanager
def as_vector_file_error(name: str) -> Iterator[None]:
    """Turn the errors that pyarrow raises for a damaged file into `VectorFileError`."""
    import pyarrow as pa

    damage = (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        MemoryError,
        struct.error,
    )
    try:
        yield
    except VectorFileError:
        raise
    except ParquetBomb as error:
        raise VectorFileError(
            str(error), where=name, remedy="if you trust it, read it with its own library"
        ) from error
    except damage as error:
        reason = " ".join(str(error).split())[:300]
        raise VectorFileError(
            f"the data is damaged or cut short ({reason})",
            where=name,
            remedy="fetch the file again",
        ) from error


def open_file(source: Source, source_format: str) -> Batches:
    """Open an Arrow file, an Arrow stream or a Parquet file, in place.

    Raises:
        VectorFileError: its schema is damaged or cut short.
    """
    import pyarrow as pa

    is_stream = source.peek(6) != b"ARROW1"
    with as_vector_file_error(source.name):
        content = source.read_all()
        data, size = pa.py_buffer(content), source.packed
        if source_format == "parquet":
            return _open_parquet(source.name, data, size)
        Batches(source.name, None, iter, size).refuse_bomb(claimed_size(content))
        return (_open_ipc_stream if is_stream else _open_ipc_file)(source.name, data, size)


def _open_parquet(name: str, data: Any, size: int) -> Batches:
    reader = ParquetReader(data, size)

    def read(columns: list[int]) -> Iterator[Any]:
        return reader.batches([reader.schema.field(column).name for column in columns])

    return Batches(name, reader.schema, read, size)


def _open_ipc_file(name: str, data: Any, size: int) -> Batches:
    import pyarrow as pa

    reader = pa.ipc.open_file(data)

    def read(columns: list[int]) -> Iterator[Any]:
        return (reader.get_batch(i).select(columns) for i in range(reader.num_record_batches))

    return Batches(name, reader.schema, read, size)


def _open_ipc_stream(name: str, data: Any, size: int) -> Batches:
    import pyarrow as pa

    reader = pa.ipc.open_stream(data)

    def read(columns: list[int]) -> Iterator[Any]:
        return (batch.select(columns) for batch in reader)

    return Batches(name, reader.schema, read, size)


def join_parts(name: str, parts: list[Batches]) -> Batches:
    """Return the data of several files as one.

    Raises:
        VectorFileError: their columns differ.
    """
    schema = parts[0].schema
    for part in parts[1:]:
        if not part.schema.equals(schema):
            raise VectorFileError(
                f"this has other columns than {parts[0].name}: {part.schema.names}, not "
                f"{schema.names}",
                where=part.name,
                remedy="save the data set again",
            )

    def read(columns: list[int]) -> Iterator[Any]:
        return itertools.chain.from_iterable(part.read(columns) for part in parts)

    return Batches(name, schema, read, sum(part.size for part in parts))
