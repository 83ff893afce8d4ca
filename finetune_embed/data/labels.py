"""Labels: classes, lists of labels and tags, read from a column and numbered."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from ..errors import DataError
from .columns import column_of
from .splits import Splits

if TYPE_CHECKING:
    from datasets import Dataset

    from .local_dataset import LocalDataset

__all__ = [
    "Label",
    "are_hidden",
    "check_not_multi_hot",
    "class_names",
    "distinct_labels",
    "label_lists",
    "label_numbers",
    "labels_of",
    "numbers_of",
]

Label = str | int | bool


def labels_of(splits: Splits, column: str) -> list[Label]:
    """Return the classes of a data set in the order of their numbers.

    Names of a `ClassLabel` column are kept; other labels are sorted. Only the training split
    counts.

    Raises:
        DataError: the column is missing, its values are no classes, or there is one class only.
    """
    values = _named(splits.train, column, f"{splits.name} (train)")
    names = getattr(splits.train.features[column], "names", None)
    distinct = _distinct(values, column, splits.name, names)
    if len(distinct) < 2:
        raise DataError(
            f"{splits.name}: every training row has the label {distinct[0]!r} in {column!r}; a "
            "classifier needs two classes or more"
        )
    return distinct


def _named(split: Dataset | LocalDataset, column: str, where: str) -> list[Any]:
    """Return a column of labels; numbers of a `ClassLabel` column that have a name as the name."""
    values = list(column_of(split, column, where, "label")[:])
    if names := getattr(split.features[column], "names", None):
        values = [names[v] if v is not None and 0 <= v < len(names) else v for v in values]
    return values


def _distinct(values: list[Any], column: str, name: str, names: list[str] | None) -> list[Any]:
    for row, value in enumerate(values):
        if not isinstance(value, str if names else (str, int)):
            kind = "one of the column's class names" if names else "a string or a whole number"
            raise DataError(
                f"{name}: row {row} (counted from 0) of the training split has {value!r} in "
                f"{column!r}; a label is {kind}; remove such rows with dataset.filter(...)"
            )
    if names:
        return list(names)
    try:
        return sorted(set(values))
    except TypeError as error:
        raise DataError(
            f"{name}: the labels in {column!r} are partly text, partly numbers"
        ) from error


def label_numbers(
    split: Dataset | LocalDataset, column: str, labels: Sequence[Label], where: str
) -> torch.Tensor:
    """Return the class number of each row, int64 `(rows,)`.

    Raises:
        DataError: a row has a label that the training split does not have.
    """
    values = _named(split, column, where)
    numbers = {label: number for number, label in enumerate(labels)}
    bad = [i for i, v in enumerate(values) if isinstance(v, (list, dict)) or v not in numbers]
    if bad:
        raise DataError(
            f"{where}: {len(bad):,} of {len(values):,} rows have a label that is not among the "
            f"{len(labels)} of the training split, the first is row {bad[0]} (counted from 0): "
            f"{values[bad[0]]!r}; remove them with dataset.filter(...)"
        )
    return torch.tensor([numbers[value] for value in values], dtype=torch.int64)


def are_hidden(split: Dataset | LocalDataset, column: str) -> bool:
    """Tell whether a split keeps its labels to itself: all of them are -1 or missing."""
    if column not in split.column_names:
        return False
    values = split[column][:]
    flat = chain.from_iterable(v if isinstance(v, list) else [v] for v in values)
    return set(flat) <= {-1, None}


def label_lists(split: Dataset | LocalDataset, column: str, where: str) -> list[list[Any]]:
    """Return a column of lists of labels; numbers of class labels that have a name as the name.

    Raises:
        DataError: the column is missing, or a row has no list.
    """
    values = list(column_of(split, column, where, "label"))
    bad = [i for i, value in enumerate(values) if not isinstance(value, list)]
    if bad:
        raise DataError(
            f"{where}: {len(bad):,} of {len(values):,} rows have no list of labels in {column!r}, "
            f"the first is row {bad[0]} (counted from 0): {values[bad[0]]!r}; remove them with "
            "dataset.filter(...), or pass task='single_label' if each text has one label"
        )
    if names := class_names(split, column):
        values = [[_name_of(number, names) for number in row] for row in values]
    return values


def class_names(split: Any, column: str) -> list[str] | None:
    """Return the names of a column of `ClassLabel`s or of lists of them, None if it is neither."""
    feature = (split.features or {}).get(column)
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def _name_of(number: Any, names: list[str]) -> Any:
    known = isinstance(number, int) and 0 <= number < len(names)
    return names[number] if known else number


def distinct_labels(split: Dataset | LocalDataset, column: str, where: str) -> list[Label]:
    """Return the labels in a column of lists: the names of a `ClassLabel`, others sorted.

    Raises:
        DataError: a label is neither text nor a whole number, some are text and others numbers, or
            there are fewer than two.
    """
    lists = label_lists(split, column, where)
    names = class_names(split, column)
    check_not_multi_hot(lists, column, where)
    allowed = str if names else (str, int)
    for row, labels in enumerate(lists):
        bad = [label for label in labels if not isinstance(label, allowed)]
        if bad:
            kind = "one of the column's class names" if names else "a string or a whole number"
            raise DataError(
                f"{where}: row {row} (counted from 0) has {bad[0]!r} in {column!r}; a label is "
                f"{kind}; remove such rows with dataset.filter(...)"
            )
    try:
        distinct = list(names or sorted({label for labels in lists for label in labels}))
    except TypeError as error:
        raise DataError(f"{where}: the labels in {column!r} are partly text, partly numbers") from (
            error
        )
    if len(distinct) < 2:
        raise DataError(
            f"{where}: the labels in {column!r} are {distinct}; a task has two or more; whether a "
            "text has the only one can be told by a column of yes and no: task='single_label'"
        )
    return distinct


def check_not_multi_hot(lists: Sequence[Sequence[Any]], column: str, where: str) -> None:
    """Check that rows have the labels of a text, not a number for each label that there is.

    Raises:
        DataError: all rows are as long, of nothing but 0 and 1, and some repeat one of the two.
    """
    alike = len({len(row) for row in lists}) == 1
    binary = alike and all(value in (0, 1) for value in chain.from_iterable(lists))
    if binary and any(len(set(row)) < len(row) for row in lists):
        raise DataError(
            f"{where}: the rows of {column!r} look like a 0 or 1 for each of {len(lists[0])} "
            "labels; a row has the labels themselves: dataset.map(lambda row: "
            f"{{{column!r}: [name for name, has in zip(names, row[{column!r}]) if has]}})"
        )


def numbers_of(lists: Sequence[Sequence[Any]], labels: Sequence[Label], where: str) -> list[int]:
    """Return the numbers of the labels of all rows, one row after the other.

    Raises:
        DataError: a label is not among the ones of the training split.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    bad = [row for row, values in enumerate(lists) if not numbers.keys() >= set(values)]
    if bad:
        unknown = next(value for value in lists[bad[0]] if value not in numbers)
        raise DataError(
            f"{where}: {len(bad):,} of {len(lists):,} rows have a label that is not among the "
            f"{len(labels)} of the training split, the first is row {bad[0]} (counted from 0): "
            f"{unknown!r}; remove them with dataset.filter(...)"
        )
    return [numbers[value] for values in lists for value in values]
