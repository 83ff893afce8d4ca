"""Arrow data to be read batch by batch, from a file, a data set or parts of one."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import VectorFileError
from ...files import Source, open_arrow, refuse_bomb

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
    read: Callable[[Sequence[int]], Iterator[Any]]
    size: int = 0

    def refuse_bomb(self, expanded: int) -> None:
        """Refuse data that expands too much, as rows repeated by run lengths can.

        Raises:
            VectorFileError: `expanded` bytes are too many for the size of the file.
        """
        if self.size:
            refuse_bomb(self.size, expanded, self.name)


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
    )
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
    with as_vector_file_error(source.name):
        content, size = source.read_all(), source.packed
        is_parquet = source_format == "parquet"
        data = open_arrow(content, source.name, is_parquet=is_parquet, size=size)
        return Batches(source.name, data.schema, data.read, size)


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

    def read(columns: Sequence[int]) -> Iterator[Any]:
        return itertools.chain.from_iterable(part.read(columns) for part in parts)

    return Batches(name, schema, read, sum(part.size for part in parts))
