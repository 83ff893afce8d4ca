"""Finds the column of words and the column of vectors in Arrow data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import Either, Option, VectorFileError
from .batches import Batches

__all__ = ["TEXT_TYPES", "TOKEN", "VECTOR", "number_type", "pick_columns"]

TOKEN, VECTOR = "token", "vector"

TEXT_TYPES = ("string", "large_string", "string_view")
_BINARY = ("binary", "large_binary", "binary_view")


def pick_columns(
    batches: Batches, token: str | None = None, vector: str | None = None
) -> tuple[int, int]:
    """Return the positions of the columns of words and of vectors.

    Args:
        batches: the data.
        token: the name of the column of words; found by its type if not given.
        vector: the name of the column of vectors; found by its type if not given.

    Raises:
        VectorFileError: there is no column of that name or type, or several are of that type and
            none is called `token` or `vector`.
    """
    # Vectors come first: most data sets have no such column, and the error should say so.
    vectors = _pick(batches, VECTOR, vector, _is_vectors)
    has_text = any(_is_text(field.type) for field in batches.schema)
    words = _pick(batches, TOKEN, token, _is_text if has_text and token is None else _is_words)
    return words, vectors


def _pick(batches: Batches, option: str, name: str | None, fits: Callable[[Any], bool]) -> int:
    fields = list(batches.schema)
    needed = "strings" if option == TOKEN else "lists of numbers"
    if name is not None:
        return _named(batches, option, name, fits, needed)
    at = [position for position, field in enumerate(fields) if fits(field.type)]
    at = [position for position in at if fields[position].name == option] or at
    if not at:
        raise VectorFileError(
            f"no columns of {needed}; the columns are: {_described(fields)}", where=batches.name
        )
    if len(at) > 1:
        raise VectorFileError(
            f"{len(at)} columns of {needed}; the columns are: {_described(fields)}",
            where=batches.name,
            remedy=Either(
                ("name the one to read: load_arrow(source, ", Option(option, ...), ")"),
                f"rename the one to read to {option!r}",
            ),
        )
    return at[0]


def _named(
    batches: Batches, option: str, name: str, fits: Callable[[Any], bool], needed: str
) -> int:
    """Return the position of the column that the caller named."""
    fields = list(batches.schema)
    at = [position for position, field in enumerate(fields) if field.name == name]
    if len(at) != 1:
        raise VectorFileError(
            f"{len(at) or 'no'} columns are called {name!r}; the columns are: {_described(fields)}",
            where=batches.name,
            value=name,
        )
    if not fits(fields[at[0]].type):
        raise VectorFileError(
            f"is a column of {fields[at[0]].type}, not of {needed}; the columns are: "
            f"{_described(fields)}",
            where=batches.name,
            option=option,
            value=name,
        )
    return at[0]


def _described(fields: list[Any]) -> str:
    listed = ", ".join(f"{field.name} {field.type}" for field in fields[:20]) or "none"
    return listed + (", ..." if len(fields) > 20 else "")


def number_type(batches: Batches, column: int) -> np.dtype[Any]:
    """Return the type of the numbers in a column of vectors."""
    kind = batches.schema.field(column).type
    numbers: np.dtype[Any] = np.dtype(
        getattr(kind, "storage_type", kind).value_type.to_pandas_dtype()
    )
    return numbers


def _is_text(kind: Any) -> bool:
    return str(getattr(kind, "value_type", kind)) in TEXT_TYPES and not _is_list(kind)


def _is_words(kind: Any) -> bool:
    plain = str(getattr(kind, "value_type", kind))
    binary = plain in _BINARY or plain.startswith("fixed_size_binary")
    return _is_text(kind) or (binary and not _is_list(kind))


def _is_list(kind: Any) -> bool:
    """Return whether a type is any kind of list: a nested type with values of one type."""
    import pyarrow as pa

    return bool(pa.types.is_nested(kind)) and hasattr(kind, "value_type")


def _is_vectors(kind: Any) -> bool:
    import pyarrow as pa

    kind = getattr(kind, "storage_type", kind)  # an extension type, such as a tensor
    if not _is_list(kind):
        return False
    return bool(pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))
