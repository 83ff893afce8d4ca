"""Labels: one for each text, or a list of labels or tags, read from a column and numbered.

A column of single labels is treated as lists of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from ..errors import DataError, Either, Option, Text
from .columns import column_of, invalid_examples
from .local_dataset import LocalDataset

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "Label",
    "class_names",
    "distinct_classes",
    "distinct_labels",
    "has_hidden_labels",
    "invalid_labels",
    "kind_of_labels",
    "label_lists",
    "label_numbers",
    "numbers_of_lists",
]

Label = str | int | bool
Lists = Sequence[Sequence[Any]]


def class_names(split: Any, column: str) -> list[str] | None:
    """Return the names of a column of `ClassLabel`s or of lists of them, None for others."""
    feature = (split.features or {}).get(column)
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def has_hidden_labels(split: Dataset | LocalDataset, column: str) -> bool:
    """Return whether all labels of a split are -1 or missing."""
    if column not in split.column_names:
        return False
    values = split[column][:]
    flat = chain.from_iterable(v if isinstance(v, list) else [v] for v in values)
    return all(label is None or label == -1 for label in flat)


def label_lists(split: Dataset | LocalDataset, column: str, where: str) -> list[list[Any]]:
    """Return a column of lists of labels; the numbers of a `ClassLabel` become its names.

    Raises:
        DataError: the column is missing, or an example has no list.
    """
    values = list(column_of(split, column, where, "label"))
    bad = [i for i, value in enumerate(values) if not isinstance(value, list)]
    if bad:
        raise invalid_examples(
            split,
            where,
            bad,
            f"no list of labels in {column!r}",
            values[bad[0]],
            (", or pass ", Option("task", "single_label"), " if each text has one label"),
        )
    return _with_names(values, class_names(split, column))


def _single_labels(split: Dataset | LocalDataset, column: str, where: str) -> list[list[Any]]:
    """Return a column of single labels as lists of one; see `label_lists`."""
    values = column_of(split, column, where, "label")
    return _with_names([[value] for value in values], class_names(split, column))


def _with_names(lists: Lists, names: list[str] | None) -> list[list[Any]]:
    """Return lists with names instead of the numbers that have one."""
    if not names:
        return [list(labels) for labels in lists]
    return [[_name_of(label, names) for label in labels] for labels in lists]


def _name_of(label: Any, names: list[str]) -> Any:
    return names[label] if isinstance(label, int) and 0 <= label < len(names) else label


def invalid_labels(labels: Sequence[Any], names: list[str] | None) -> list[Any]:
    """Return the values of a list that are not labels; see `kind_of_labels`."""
    if names:
        return [label for label in labels if not isinstance(_name_of(label, names), str)]
    return [label for label in labels if not isinstance(label, (str, int))]


def kind_of_labels(names: list[str] | None) -> str:
    """Return what a label must be, for messages."""
    return "one of the column's class names" if names else "a string or a whole number"


def distinct_classes(split: Dataset | LocalDataset, column: str, where: str) -> list[Label]:
    """Return the labels of a column of single labels, in the order of their numbers.

    The names of a `ClassLabel` keep their order; other labels are sorted.

    Raises:
        DataError: the column is missing, a value is not a label, texts and numbers are mixed, or
            there are fewer than two labels.
    """
    lists = _single_labels(split, column, where)
    return _distinct(split, column, where, lists, "add examples with another label")


def distinct_labels(split: Dataset | LocalDataset, column: str, where: str) -> list[Label]:
    """Return the labels of a column of lists of labels; see `distinct_classes`."""
    lists = label_lists(split, column, where)
    _check_not_multi_hot(lists, column, where)
    return _distinct(
        split,
        column,
        where,
        lists,
        (
            "add examples with other labels, or mark in a column of True and False whether a text "
            "has the label, and pass ",
            Option("task", "single_label"),
        ),
    )


def _distinct(
    split: Dataset | LocalDataset, column: str, where: str, lists: Lists, if_too_few: Text
) -> list[Any]:
    names = class_names(split, column)
    bad = [i for i, labels in enumerate(lists) if invalid_labels(labels, names)]
    if bad:
        value = invalid_labels(lists[bad[0]], names)[0]
        fault = f"a label in {column!r} that is not {kind_of_labels(names)}"
        raise invalid_examples(split, where, bad, fault, value)
    try:
        distinct = list(names or sorted(set(chain.from_iterable(lists))))
    except TypeError as error:
        raise DataError(
            f"the labels in {column!r} are partly text, partly numbers",
            where=where,
            remedy="use one kind for all",
        ) from error
    if len(distinct) < 2:
        raise DataError(
            f"the labels in {column!r} are {distinct}, but a task needs two or more",
            where=where,
            value=distinct,
            remedy=if_too_few,
        )
    return distinct


def _check_not_multi_hot(lists: Lists, column: str, where: str) -> None:
    """Check that lists hold the labels of a text, not a 0 or 1 for each possible label.

    Raises:
        DataError: all lists have the same length and hold only 0 and 1, and some repeat one of
            the two.
    """
    same_length = len({len(labels) for labels in lists}) == 1
    is_binary = same_length and all(label in (0, 1) for label in chain.from_iterable(lists))
    if is_binary and any(len(set(labels)) < len(labels) for labels in lists):
        raise DataError(
            f"the lists in {column!r} look like a 0 or 1 for each of {len(lists[0])} labels",
            where=where,
            value=list(lists[0]),
            remedy=(
                "write the labels of each text instead",
                Either(
                    f": dataset.map(lambda example: {{{column!r}: [name for name, is_set in "
                    f"zip(names, example[{column!r}]) if is_set]}})",
                    f", such as {{{column!r}: ['sport', 'news']}}",
                ),
            ),
        )


def label_numbers(
    split: Dataset | LocalDataset, column: str, labels: Sequence[Label], where: str
) -> torch.Tensor:
    """Return the number of each example's single label, int64 `(examples,)`.

    Raises:
        DataError: the column is missing, or a label is not among `labels`.
    """
    lists = _single_labels(split, column, where)
    return torch.tensor(numbers_of_lists(split, lists, labels, where), dtype=torch.int64)


def numbers_of_lists(
    split: Dataset | LocalDataset, lists: Lists, labels: Sequence[Label], where: str
) -> list[int]:
    """Return the numbers of the labels in all lists of a split, one list after the other.

    Args:
        split: the split.
        lists: the labels of each example.
        labels: the labels of the training split, in the order of their numbers.
        where: the name of the split in messages.

    Raises:
        DataError: a label is not among `labels`.
    """
    numbers = {label: number for number, label in enumerate(labels)}

    def is_known(label: Any) -> bool:
        return not isinstance(label, (list, dict)) and label in numbers

    bad = [i for i, given in enumerate(lists) if not all(map(is_known, given))]
    if bad:
        raise invalid_examples(
            split,
            where,
            bad,
            f"a label that is not among the {len(labels)} of the training split",
            next(label for label in lists[bad[0]] if not is_known(label)),
        )
    return [numbers[label] for given in lists for label in given]
