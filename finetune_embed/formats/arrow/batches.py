"""Opens Arrow IPC files and streams and Parquet files, to be read batch by batch."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ...errors import VectorFileError
from ...files import EXPANSION_FLOOR, MAX_EXPANSION, Source

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
        size: the size of its file in bytes; 0 without a file.
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

    damage = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, MemoryError)
    try:
        yield
    except VectorFileError:
        raise
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
        data = pa.py_buffer(source.read_all())
        if source_format == "parquet":
            return _open_parquet(source.name, data)
        return (_open_ipc_stream if is_stream else _open_ipc_file)(source.name, data)


def _open_parquet(name: str, data: Any) -> Batches:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(data)
    schema = file.schema_arrow

    def read(columns: list[int]) -> Iterator[Any]:
        names = [schema.field(column).name for column in columns]
        words, numbers = (_chunks(file.metadata, data, name) for name in names)
        claimed = (max(chunk.total_uncompressed_size, 4 * chunk.num_values) for chunk in numbers)
        batches.refuse_bomb(sum(claimed) + sum(chunk.total_uncompressed_size for chunk in words))
        encoded = names[:1] if _is_dictionary(words) else []
        opened = pq.ParquetFile(data, read_dictionary=encoded) if encoded else file
        return (batch.select(names) for batch in opened.iter_batches(ROWS, columns=names))

    batches = Batches(name, schema, read, data.size)
    return batches


def _chunks(metadata: Any, data: Any, name: str) -> list[Any]:
    """Return the metadata of all chunks of a column in a Parquet file.

    Raises:
        pyarrow.ArrowException: a chunk is damaged.
    """
    import pyarrow.parquet as pq

    # Reading a damaged chunk alone aborts the process; with all chunks buffered, pyarrow raises.
    next(pq.ParquetFile(data, pre_buffer=True).iter_batches(1, columns=[name]), None)
    paths = [metadata.schema.column(at).path for at in range(metadata.num_columns)]
    wanted = [at for at, path in enumerate(paths) if f"{path}.".startswith(f"{name}.")]
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    return [group.column(at) for group in groups for at in wanted]


def _is_dictionary(chunks: list[Any]) -> bool:
    """Return whether words are in a dictionary that pyarrow can keep."""
    encodings = {encoding for chunk in chunks for encoding in chunk.encodings}
    texts = all(chunk.physical_type == "BYTE_ARRAY" for chunk in chunks)
    return texts and "DICTIONARY" in str(encodings) and "DELTA" not in str(encodings)


def _open_ipc_file(name: str, data: Any) -> Batches:
    import pyarrow as pa

    reader = pa.ipc.open_file(data)

    def read(columns: list[int]) -> Iterator[Any]:
        return (reader.get_batch(i).select(columns) for i in range(reader.num_record_batches))

    return Batches(name, reader.schema, read, data.size)


def _open_ipc_stream(name: str, data: Any) -> Batches:
    import pyarrow as pa

    reader = pa.ipc.open_stream(data)

    def read(columns: list[int]) -> Iterator[Any]:
        return (batch.select(columns) for batch in reader)

    return Batches(name, reader.schema, read, data.size)


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
