"""A column of words and a column of vectors in Arrow data: found, checked, and read in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...table import PackedWords, Vectors
from ..common.npy import MAX_SIZE, RowStack, as_float32
from .batches import Batches

__all__ = ["TOKEN", "VECTOR", "number_type", "pick_columns", "read_columns"]

TOKEN, VECTOR = "token", "vector"

_TEXT = ("string", "large_string", "string_view")
_BINARY = ("binary", "large_binary", "binary_view")
_VIEW = 16  # bytes of a word's entry in a column of views, the first four its length


def pick_columns(
    batches: Batches, token: str | None = None, vector: str | None = None
) -> tuple[int, int]:
    """Return the positions of the columns of words and of vectors.

    Args:
        batches: the data.
        token: the name of the first; found by its type when left out.
        vector: the name of the second.

    Raises:
        VectorFileError: there is none of that name or type, or several and none called `token` or
            `vector`.
    """
    fields = list(batches.schema)
    vectors = _pick(
        batches, VECTOR, vector, _is_vectors
    )  # first: most data sets have no such column
    texts = any(_is_text(field.type) for field in fields)
    words = _pick(batches, TOKEN, token, _is_text if texts and token is None else _is_words)
    return words, vectors


def _pick(batches: Batches, option: str, name: str | None, fits: Callable[[Any], bool]) -> int:
    fields = list(batches.schema)
    known = ", ".join(f"{field.name} {field.type}" for field in fields[:20]) or "none at all"
    known += ", ..." if len(fields) > 20 else ""
    needed = "strings" if option == TOKEN else "lists of numbers"
    if name is not None:
        at = [position for position, field in enumerate(fields) if field.name == name]
        if len(at) != 1:
            raise VectorFileError(
                f"{batches.name} has {len(at) or 'no'} columns called {name!r}; its columns are: "
                f"{known}"
            )
        if not fits(fields[at[0]].type):
            raise VectorFileError(
                f"{batches.name}: the column {name!r} holds {fields[at[0]].type}, but "
                f"{option}= needs {needed}; its columns are: {known}"
            )
        return at[0]
    at = [position for position, field in enumerate(fields) if fits(field.type)]
    at = [position for position in at if fields[position].name == option] or at
    if len(at) != 1:
        raise VectorFileError(
            f"{batches.name} has {len(at) or 'no'} columns of {needed}; its columns are: {known}"
            + (f"; name the one to read: load_arrow(source, {option}=...)" if at else "")
        )
    return at[0]


def number_type(batches: Batches, column: int) -> np.dtype[Any]:
    """Return the type of the numbers in a column of vectors."""
    kind = batches.schema.field(column).type
    numbers: np.dtype[Any] = np.dtype(
        getattr(kind, "storage_type", kind).value_type.to_pandas_dtype()
    )
    return numbers


def _is_text(kind: Any) -> bool:
    return str(getattr(kind, "value_type", kind)) in _TEXT and not _is_list(kind)


def _is_words(kind: Any) -> bool:
    plain = str(getattr(kind, "value_type", kind))
    binary = plain in _BINARY or plain.startswith("fixed_size_binary")
    return _is_text(kind) or (binary and not _is_list(kind))


def _is_list(kind: Any) -> bool:
    """Tell lists of every kind: alone among nested types they have values of one type."""
    import pyarrow as pa

    return bool(pa.types.is_nested(kind)) and hasattr(kind, "value_type")


def _is_vectors(kind: Any) -> bool:
    import pyarrow as pa

    kind = getattr(kind, "storage_type", kind)  # of an extension type, such as a tensor
    if not _is_list(kind):
        return False
    return bool(pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))


def read_columns(
    batches: Batches, columns: tuple[int, int], wanted: frozenset[bytes] | None, limit: int | None
) -> tuple[list[str], Vectors]:
    """Return words and vectors `(V, D)`, in place where they lie in one batch as float32.

    Args:
        batches: the data.
        columns: the positions of words and vectors.
        wanted: the words to keep; the vectors of others are not converted.
        limit: only the first rows.

    Raises:
        VectorFileError: a word or a vector is null, a vector is longer or shorter than the first,
            a number is null or too large for float32, there are no rows, or the data is damaged.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    chosen = None if wanted is None else pa.array(sorted(wanted), pa.large_binary())
    names = [f"{batches.name}: {batches.schema.field(column).name}" for column in columns]
    words: list[str] = []
    vectors: RowStack | None = None
    start = grown = 0
    for batch in batches.of(list(columns)):
        if limit is not None:
            batch = batch.slice(0, limit - start)
        if batch.num_rows:
            grown += _room(batch.column(0))
            batches.refuse_bomb(grown)
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
            grown += 4 * vectors.vector_size * len(rows)
            batches.refuse_bomb(grown)
            words += _decoded(texts)
            vectors.extend(_numbers(lists, names[1], rows, vectors.vector_size))
            start += batch.num_rows
        if start == limit:
            break
    if vectors is None:
        raise VectorFileError(f"{batches.name} holds no rows; fetch the file again")
    return words, vectors.array()


def _room(column: Any) -> int:
    """Check a column of words, and return the bytes of all, which it need not hold each by itself.

    In a dictionary, or in views, one long word may stand for many.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    distinct = column.dictionary if pa.types.is_dictionary(column.type) else column
    if distinct is not column:
        column.validate(full=True)
    _as_binary(distinct).validate(full=True)
    if "view" in str(distinct.type):
        views = np.frombuffer(distinct.buffers()[1], "<i4").reshape(-1, _VIEW // 4)
        lengths = pa.array(views[distinct.offset : distinct.offset + len(distinct), 0])
    else:
        lengths = pc.binary_length(distinct)
    spelled = lengths if distinct is column else lengths.take(column.indices)
    return int(pc.sum(spelled).as_py() or 0)


def _as_binary(column: Any) -> Any:
    """Return words as bytes, in place, so that no UTF-8 is taken for granted."""
    import pyarrow as pa

    if str(column.type) not in _TEXT:
        return column
    same = (pa.binary(), pa.large_binary(), getattr(pa, "binary_view", pa.binary)())
    return column.cast(same[_TEXT.index(str(column.type))])


def _texts(column: Any) -> Any:
    """Return checked words as bytes, one after the other."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        column = _as_binary(column.dictionary).take(column.indices)
    return _as_binary(column).cast(pa.large_binary())


def _refuse_null(column: Any, name: str, start: int) -> None:
    if column.null_count:
        row = start + column.is_null().index(True).as_py()
        raise VectorFileError(f"{name}[{row}] is null; leave that row out")


def _decoded(texts: Any) -> list[str]:
    if not len(texts):
        return []
    _, offsets, data = texts.buffers()
    at = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return list(PackedWords(memoryview(data) if data else b"", at))


def _lists(column: Any, name: str, start: int) -> tuple[Any, npt.NDArray[np.int64]]:
    """Return a checked array of lists, and how many numbers each has."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = column.storage if isinstance(column, pa.ExtensionArray) else column
    lists.validate(full=True)
    _refuse_null(lists, name, start)
    return lists, pc.list_value_length(lists).to_numpy(zero_copy_only=False)


def _size(length: int, name: str) -> int:
    """Return how many numbers the first vector has, if that is possible."""
    if not 1 <= length <= MAX_SIZE:
        raise VectorFileError(
            f"{name}[0] has {length:,} numbers; a vector has from 1 to {MAX_SIZE:,}"
        )
    return int(length)


def _refuse_ragged(lengths: npt.NDArray[np.int64], size: int, name: str, start: int) -> None:
    wrong = np.flatnonzero(lengths != size)
    if len(wrong):
        raise VectorFileError(
            f"{name}[{start + wrong[0]}] has {lengths[wrong[0]]:,} numbers, but the first vector "
            f"has {size:,}; make all vectors of one length"
        )


def _numbers(lists: Any, name: str, rows: npt.NDArray[np.int64], size: int) -> Vectors:
    """Return lists of numbers as float32 `(n, D)`, in place where they are float32."""
    import pyarrow.compute as pc

    flat = pc.list_flatten(lists)
    if flat.null_count:
        at = flat.is_null().index(True).as_py()
        raise VectorFileError(
            f"{name}[{rows[at // size]}][{at % size}] is null; put a number there"
        )
    values = flat.to_numpy(zero_copy_only=False).reshape(-1, size)
    return as_float32(np.require(values, requirements=["A"]), name, rows)
