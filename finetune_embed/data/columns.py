"""Columns of a split: plain values, and texts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..errors import DataError, Either, Option, Text
from ..vocabulary import column_values
from .local_dataset import LocalDataset

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["column_of", "invalid_examples", "texts_of"]


def column_of(split: Dataset | LocalDataset, name: str, where: str, option: str) -> list[Any]:
    """Return the values of a column of a split as plain Python values, whatever its format.

    Args:
        split: the split.
        name: the name of the column.
        where: the name of the split in messages.
        option: the parameter that names the column.

    Raises:
        DataError: the column is missing.
    """
    if name not in split.column_names:
        raise DataError(
            f"there is no column {name!r}",
            where=where,
            value=name,
            remedy=(
                f"choose from {', '.join(map(repr, split.column_names))}: ",
                Option(option, ...),
            ),
        )
    return column_values(split, name)


def texts_of(split: Dataset | LocalDataset, columns: str | Sequence[str], where: str) -> list[Any]:
    """Return the texts of a split, or its lists of tokens; several columns are joined.

    Args:
        split: the split.
        columns: the names of one or more columns.
        where: the name of the split in messages.

    Raises:
        DataError: a column is missing, or an example has no text; the message names the first.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    parts = []
    for name in names:
        values = column_of(split, name, where, "text")
        bad = [i for i, value in enumerate(values) if not isinstance(value, (str, list))]
        if bad:
            raise invalid_examples(split, where, bad, f"no text in {name!r}", values[bad[0]])
        parts.append(values)
    if len(parts) == 1:
        return parts[0]
    lists = [all(isinstance(value, list) for value in values) for values in parts]
    if all(lists):
        return [list(chain.from_iterable(example)) for example in zip(*parts, strict=True)]
    if any(isinstance(value, list) for values in parts for value in values):
        raise DataError(
            f"the columns {', '.join(map(repr, names))} hold both texts and lists of words, which "
            "cannot be joined",
            where=where,
            value=names,
            remedy=("choose columns of one kind: ", Option("text", ...)),
        )
    return [" ".join(example) for example in zip(*parts, strict=True)]


def invalid_examples(
    split: Dataset | LocalDataset,
    where: str,
    bad: Sequence[int],
    fault: str,
    value: Any,
    otherwise: Text = "",
) -> DataError:
    """Return an error about examples of a split, which shows where the first is.

    Args:
        split: the split.
        where: the name of the split.
        bad: the indices of the examples.
        fault: what they have, such as "no text".
        value: the value of the first.
        otherwise: an alternative to removing them.
    """
    place = split.place_of(bad[0]) if isinstance(split, LocalDataset) else None
    first = f"the first is example {bad[0]} (counted from 0)" if place is None else "the first here"
    remove: Text = "remove them from the file"
    if not isinstance(split, LocalDataset):
        remove = Either(
            "remove them with dataset.filter(...)",
            ("write the others to a file and pass it: ", Option("dataset", ...)),
        )
    return DataError(
        f"{len(bad):,} of {len(split):,} examples have {fault}, {first}: {value!r}",
        where=where if place is None else place,
        value=value,
        remedy=(remove, otherwise),
    )
