"""Columns of a split: values as they are, and texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..errors import DataError

if TYPE_CHECKING:
    from datasets import Dataset

    from .local_dataset import LocalDataset

__all__ = ["column_of", "texts_of"]


def column_of(split: Dataset | LocalDataset, name: str, where: str, option: str) -> Any:
    """Return the values of a column of a split.

    Raises:
        DataError: it is missing; the message names the option that says which one to take.
    """
    if name not in split.column_names:
        raise DataError(
            f"{where}: there is no column {name!r}; there are "
            f"{', '.join(map(repr, split.column_names))}; pass {option}='...'"
        )
    return split[name][:]  # at once: row by row takes fifty times as long


def texts_of(split: Dataset | LocalDataset, columns: str | Sequence[str], where: str) -> list[Any]:
    """Return the texts of a split, or its lists of words; several columns are joined.

    Raises:
        DataError: a column is missing, or a row has no text; the message names the first.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    parts = []
    for name in names:
        values = list(column_of(split, name, where, "text")[:])  # at once: several times faster
        bad = [i for i, v in enumerate(values) if not isinstance(v, (str, list))]
        if bad:
            raise DataError(
                f"{where}: {len(bad):,} of {len(values):,} rows have no text in {name!r}, the "
                f"first is row {bad[0]} (counted from 0): {values[bad[0]]!r}; remove them with "
                "dataset.filter(...)"
            )
        parts.append(values)
    if len(parts) == 1:
        return parts[0]
    lists = [all(isinstance(value, list) for value in values) for values in parts]
    if all(lists):
        return [list(chain.from_iterable(row)) for row in zip(*parts, strict=True)]
    if any(isinstance(value, list) for values in parts for value in values):
        raise DataError(
            f"{where}: the columns {', '.join(map(repr, names))} are partly texts, partly lists of "
            "words, and can't be joined; pass columns of one kind"
        )
    return [" ".join(row) for row in zip(*parts, strict=True)]
