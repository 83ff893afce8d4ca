"""Arrow files and streams and Parquet files, read by pyarrow after their sizes were checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..errors import FinetuneEmbedError, VectorFileError
from .expansion import refuse_bomb
from .ipc_sizes import claimed_size
from .parquet import ParquetReader, expanded_size

__all__ = ["ArrowData", "open_arrow"]


class ArrowData(NamedTuple):
    """Arrow data to be read once, batch by batch.

    Attributes:
        schema: its `pyarrow.Schema`.
        read: a function of column positions that yields `pyarrow.RecordBatch`es of these columns,
            in that order.
    """

    schema: Any
    read: Callable[[Sequence[int]], Iterator[Any]]


def open_arrow(
    content: Any,
    name: str | os.PathLike[str],
    error: type[FinetuneEmbedError] = VectorFileError,
    *,
    is_parquet: bool,
    size: int = 0,
) -> ArrowData:
    """Open an Arrow file, an Arrow stream or a Parquet file, in place.

    Args:
        content: its bytes.
        name: the file, for messages.
        error: what is raised if it expands too much, also by `ArrowData.read`.
        is_parquet: whether it is a Parquet file.
        size: the bytes that it takes on disk, fewer if it is compressed as a whole; 0 for all.

    Raises:
        FinetuneEmbedError: an `error`.
        pyarrow.ArrowException, or one of `DAMAGE`: it is damaged.
    """
    import pyarrow as pa

    data = pa.py_buffer(content)
    size = size or data.size
    if is_parquet:
        reader = ParquetReader(data, name, error, size)
        return ArrowData(
            reader.schema,
            lambda columns: reader.batches([reader.schema.field(at).name for at in columns]),
        )
    refuse_bomb(size, claimed_size(memoryview(content).cast("B")), name, error)
    if bytes(content[:6]) == b"ARROW1":
        file = pa.ipc.open_file(data)
        schema, batches = file.schema, map(file.get_batch, range(file.num_record_batches))
    else:
        stream = pa.ipc.open_stream(data)
        schema, batches = stream.schema, iter(stream)

    def read(columns: Sequence[int]) -> Iterator[Any]:
        expanded = 0
        for whole in batches:
            batch = whole.select(list(columns))
            batch.validate()
            expanded += sum(map(expanded_size, batch.columns))
            refuse_bomb(size, expanded, name, error)
            yield batch

    return ArrowData(schema, read)
