"""Checks and reads the columns of words and vectors in Arrow data, in place if possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...table import PackedWords, Vectors
from ..common.float_rows import RowStack, as_float32
from ..common.npy import MAX_SIZE
from .batches import Batches
from .column_choice import TEXT_TYPES

__all__ = ["read_columns"]


def read_columns(
    batches: Batches, columns: tuple[int, int], wanted: frozenset[bytes] | None, limit: int | None
) -> tuple[list[str], Vectors]:
    """Return words and vectors `(V, D)`; float32 vectors in a single batch are not copied.

    Args:
        batches: the data.
        columns: the positions of the columns of words and vectors.
        wanted: the words to read, as bytes; other vectors are not converted.
        limit: read only the first rows.

    Raises:
        VectorFileError: a word or a vector is null, the length of a vector differs from the first,
            a number is null or too large for float32, there are no rows, or the data is damaged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = None if wanted is None else pa.array(sorted(wanted), pa.large_binary())
    names = [f"{batches.name}: {batches.schema.field(column).name}" for column in columns]
    words: list[str] = []
    vectors: RowStack | None = None
    start = expanded = 0
    for batch in batches.read(list(columns)):
        if limit is not None:
            batch = batch.slice(0, limit - start)
        if batch.num_rows:
            _check_texts(batch.column(0))
            texts = _texts(batch.column(0))
            _refuse_null(texts, names[0], start)
            lists, lengths = _lists(batch.column(1), names[1], start)
            vectors = vectors or RowStack(_size(lengths[0], names[1]))
            _refuse_ragged(lengths, vectors.vector_size, names[1], start)
            rows = np.arange(start, start + len(texts))
            if chosen is not None:
                kept = pc.is_in(texts, value_set=chosen)
                texts, lists = texts.filter(kept), lists.filter(kept)
                rows = rows[kept.to_numpy(zero_copy_only=False)]
            expanded += 4 * vectors.vector_size * len(rows)
            batches.refuse_bomb(expanded)
            words += _decoded(texts)
            vectors.extend(_numbers(lists, names[1], rows, vectors.vector_size))
            start += batch.num_rows
        if start == limit:
            break
    if vectors is None:
        raise VectorFileError(
            "this holds no rows", where=batches.name, remedy="fetch the file again"
        )
    return words, vectors.array()


def _check_texts(column: Any) -> None:
    """Check the offsets, views and indices of a column of words."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column.validate(full=True)
        column = column.dictionary
    _as_binary(column).validate(full=True)


def _as_binary(column: Any) -> Any:
    """Return words as bytes, in place, since they need not be UTF-8."""
    import pyarrow as pa

    if str(column.type) not in TEXT_TYPES:
        return column
    same = (pa.binary(), pa.large_binary(), getattr(pa, "binary_view", pa.binary)())
    return column.cast(same[TEXT_TYPES.index(str(column.type))])


def _texts(column: Any) -> Any:
    """Return checked words as one array of bytes."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = _as_binary(column.dictionary).take(column.indices)
    return _as_binary(column).cast(pa.large_binary())


def _refuse_null(column: Any, name: str, start: int) -> None:
    if column.null_count:
        row = start + column.is_null().index(True).as_py()
        raise VectorFileError(
            "this value is null", where=f"{name}[{row}]", remedy="remove that row"
        )


def _decoded(texts: Any) -> list[str]:
    if not len(texts):
        return []
    _, offsets, data = texts.buffers()
    at = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return list(PackedWords(memoryview(data) if data else b"", at))


def _lists(column: Any, name: str, start: int) -> tuple[Any, npt.NDArray[np.int64]]:
    """Return a checked array of lists, and their lengths."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = column.storage if isinstance(column, pa.ExtensionArray) else column
    lists.validate(full=True)
    _refuse_null(lists, name, start)
    return lists, pc.list_value_length(lists).to_numpy(zero_copy_only=False)


def _size(length: int, name: str) -> int:
    """Return the checked length of the first vector."""
    if not 1 <= length <= MAX_SIZE:
        raise VectorFileError(
            f"length {length:,}, but a vector has from 1 to {MAX_SIZE:,} numbers",
            where=f"{name}[0]",
            value=int(length),
        )
    return int(length)


def _refuse_ragged(lengths: npt.NDArray[np.int64], size: int, name: str, start: int) -> None:
    wrong = np.flatnonzero(lengths != size)
    if len(wrong):
        raise VectorFileError(
            f"length {lengths[wrong[0]]:,}, but the first vector has length {size:,}",
            where=f"{name}[{start + wrong[0]}]",
            value=int(lengths[wrong[0]]),
            remedy="give all vectors the same length",
        )


def _numbers(lists: Any, name: str, rows: npt.NDArray[np.int64], size: int) -> Vectors:
    """Return lists of numbers as float32 `(n, D)`; float32 numbers are not copied."""
    import pyarrow.compute as pc

    flat = pc.list_flatten(lists)
    if flat.null_count:
        at = flat.is_null().index(True).as_py()
        raise VectorFileError(
            "this value is null",
            where=f"{name}[{rows[at // size]}][{at % size}]",
            remedy="replace it with a number",
        )
    values = flat.to_numpy(zero_copy_only=False).reshape(-1, size)
    return as_float32(np.require(values, requirements=["A"]), name, rows)
