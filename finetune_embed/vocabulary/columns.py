"""Plain Python values of the columns of a data set, whatever format it is in."""

from __future__ import annotations

from typing import Any

__all__ = ["column_values", "plain"]

#: Formats of `datasets` that only say in which type values come, so that they can be set aside.
_TYPES = ("numpy", "torch", "tensorflow", "jax", "pandas", "polars", "arrow")


def column_values(split: Any, name: str) -> list[Any]:
    """Return the values of a column as Python values: no arrays, tensors or their numbers.

    Args:
        split: a `datasets.Dataset` in any format, as `set_format` leaves it, or with a transform;
            or a `LocalDataset`.
        name: the column.
    """
    kind = (getattr(split, "format", None) or {}).get("type")
    if kind in _TYPES:
        split, kind = split.with_format(None), None
    values = split[name][:]  # all at once: example by example takes fifty times as long
    return list(values) if kind is None else [plain(value) for value in values]


def plain(value: Any) -> Any:
    """Return numbers and arrays of other libraries, and lists of them, as Python values."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value
