"""Labels: one for each text, or a list of labels or tags, read from a column and numbered.

A column of single labels is treated as lists of one. A whole number may be written as a float
(1.0), as other libraries do in a column that had gaps. -100, the index that torch's losses ignore,
is not a label, and neither is the value of the setting `ignore_label`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch

from ..errors import DataError, Option, Text
from ..vocabulary import column_values
from .columns import column_of, invalid_examples
from .multi_hot import check_not_multi_hot
from .reading.local_dataset import LocalDataset
from .similar_labels import similar_label

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "IGNORED",
    "IGNORED_LABELS",
    "Label",
    "class_names",
    "distinct_classes",
    "distinct_labels",
    "distinct_tags",
    "has_hidden_labels",
    "ignored_labels",
    "invalid_labels",
    "kind_of_labels",
    "label_lists",
    "label_numbers",
    "numbers_of_lists",
    "single_labels",
    "without_ignored",
]

Label = str | int | bool
Lists = Sequence[Sequence[Any]]

#: The target of a unit that does not count, as `ignore_index` of torch's losses.
IGNORED = -100
#: The labels that never count; a CSV file has them as text.
IGNORED_LABELS: frozenset[Label] = frozenset({IGNORED, str(IGNORED)})


def ignored_labels(
    also: Label | None = None, names: Sequence[str] | None = None
) -> frozenset[Label]:
    """Return the labels that do not count: `IGNORED_LABELS`, and one more, as text and as number.

    Args:
        also: the label that a caller names, which the command line gives as text.
        names: the class names of the column, if it has any; `also` may be the number of one.
    """
    if also is None:
        return IGNORED_LABELS
    found: set[Label] = {also, str(also)}
    if isinstance(also, str) and also.strip().lstrip("-").isdecimal():
        found.add(int(also))
    if names and also not in names:
        found |= {_name_of(label, list(names)) for label in found}
    return IGNORED_LABELS | found


def is_ignored(label: Any, ignored: Collection[Label]) -> bool:
    """Return whether a label, as `label_lists` returns it, does not count."""
    label = _whole(label)
    return isinstance(label, (str, int)) and label in ignored


def without_ignored(lists: Lists, ignored: Collection[Label]) -> list[list[Any]]:
    """Return lists of labels without those that do not count."""
    return [[label for label in given if not is_ignored(label, ignored)] for given in lists]


def class_names(split: Any, column: str) -> list[str] | None:
    """Return the names of a column of `ClassLabel`s or of lists of them, None for others."""
    feature = (split.features or {}).get(column)
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def has_hidden_labels(
    split: Dataset | LocalDataset, column: str, ignored: Collection[Label] = IGNORED_LABELS
) -> bool:
    """Return whether all labels of a split are -1, missing or ignored."""
    if column not in split.column_names:
        return False
    values = column_values(split, column)
    flat = chain.from_iterable(v if isinstance(v, list) else [v] for v in values)
    return all(
        one is None or one != one or one == -1 or is_ignored(_whole(one), ignored) for one in flat
    )


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
            ("pass ", Option("task", "single_label"), " if each text has one label"),
        )
    return _with_names(values, class_names(split, column))


def single_labels(split: Dataset | LocalDataset, column: str, where: str) -> list[list[Any]]:
    """Return a column of single labels as lists of one; see `label_lists`."""
    values, names = column_of(split, column, where, "label"), class_names(split, column)
    if set(map(type, values)) <= {int, str}:  # each distinct one is looked at once
        name_of = {value: _name_of(value, names) for value in set(values)}
        return [[name_of[value]] for value in values]
    return _with_names([[value] for value in values], names)


def _with_names(lists: Lists, names: list[str] | None) -> list[list[Any]]:
    """Return lists with names instead of the numbers that have one."""
    return [[_name_of(label, names) for label in labels] for labels in lists]


def _name_of(label: Any, names: list[str] | None) -> Any:
    label = _whole(label)
    is_number = names and isinstance(label, int) and 0 <= label < len(names)
    return names[label] if names and is_number else label


def _whole(label: Any) -> Any:
    """Return a whole number that is a float or a decimal as an integer, and all else unchanged."""
    if isinstance(label, (float, Decimal)) and label == label and abs(label) != float("inf"):
        return int(label) if label == int(label) else label
    return label


def invalid_labels(labels: Sequence[Any], names: list[str] | None) -> list[Any]:
    """Return the values of a list that are not labels; see `kind_of_labels`."""
    kind = str if names else (str, int)
    return [label for label in labels if not isinstance(_name_of(label, names), kind)]


def kind_of_labels(names: list[str] | None) -> str:
    """Return what a label must be, for messages."""
    return "one of the column's class names" if names else "a string or a whole number"


def distinct_classes(
    split: Dataset | LocalDataset,
    column: str,
    where: str,
    ignored: Collection[Label] = IGNORED_LABELS,
) -> list[Label]:
    """Return the labels of a column of single labels, in the order of their numbers.

    The names of a `ClassLabel` keep their order; other labels are sorted.

    Raises:
        DataError: the column is missing, a value is not a label, texts and numbers are mixed, or
            there are fewer than two labels.
    """
    lists = single_labels(split, column, where)
    values = [value for (value,) in lists]
    if values and all(isinstance(value, list) for value in values):
        check_not_multi_hot(_with_names(values, None), column, where)
    more = "add examples with another label"
    return _distinct(split, column, where, without_ignored(lists, ignored), more, ignored)


def distinct_labels(
    split: Dataset | LocalDataset,
    column: str,
    where: str,
    ignored: Collection[Label] = IGNORED_LABELS,
    inferred: bool = True,
) -> list[Label]:
    """Return the labels of a column of lists of labels; see `distinct_classes`.

    Args:
        split: the split.
        column: the column.
        where: the name of the split in messages.
        ignored: labels that do not count.
        inferred: whether nobody has said that the lists are labels. If so, lists such as `[0, 1]`
            and `[1, 0]` may not be labels, though none is there twice.

    Raises:
        DataError: also if the lists mark each possible label by 0 or 1.
    """
    lists = without_ignored(label_lists(split, column, where), ignored)
    if inferred or any(len(set(labels)) < len(labels) for labels in lists if _are_plain(labels)):
        check_not_multi_hot(lists, column, where)
    return _distinct(split, column, where, lists, _OTHER_LABELS, ignored)


def _are_plain(labels: Sequence[Any]) -> bool:
    """Return whether labels are strings and numbers, which can be compared."""
    return all(isinstance(label, (str, int)) for label in labels)


def distinct_tags(
    split: Dataset | LocalDataset,
    column: str,
    where: str,
    ignored: Collection[Label] = IGNORED_LABELS,
) -> list[Label]:
    """Return the tags of a column of lists of tags, one per word; see `distinct_classes`."""
    lists = without_ignored(label_lists(split, column, where), ignored)
    return _distinct(split, column, where, lists, "add examples with other tags", ignored)


_OTHER_LABELS: Text = (
    "add examples with other labels, or mark in a column of True and False whether a text "
    "has the label, and pass ",
    Option("task", "single_label"),
)


def _distinct(
    split: Dataset | LocalDataset,
    column: str,
    where: str,
    lists: Lists,
    if_too_few: Text,
    ignored: Collection[Label],
) -> list[Any]:
    names = class_names(split, column)
    bad = [i for i, labels in enumerate(lists) if invalid_labels(labels, names)]
    if bad:
        value = invalid_labels(lists[bad[0]], names)[0]
        fault = f"a label in {column!r} that is not {kind_of_labels(names)}"
        if isinstance(value, float) and value == value and not names:  # a score
            otherwise: Text = ("pass ", Option("task", "regression"), " to predict numbers")
        elif isinstance(value, list):
            otherwise = ("pass ", Option("task", "multi_label"), " if a text has several")
        else:
            otherwise = ""
        raise invalid_examples(split, where, bad, fault, value, otherwise)
    try:
        found = names or sorted(set(chain.from_iterable(lists)))
    except TypeError as error:
        raise DataError(
            f"the labels in {column!r} are partly text, partly numbers",
            where=where,
            remedy="use one kind for all",
        ) from error
    distinct = [label for label in found if not is_ignored(label, ignored)]
    if len(distinct) < 2:
        raise DataError(
            f"the labels in {column!r} are {distinct}, but a task needs two or more",
            where=where,
            value=distinct,
            remedy=if_too_few,
        )
    return distinct


def label_numbers(
    split: Dataset | LocalDataset,
    column: str,
    labels: Sequence[Label],
    where: str,
    ignored: Collection[Label] = IGNORED_LABELS,
) -> torch.Tensor:
    """Return the number of each example's single label, int64 `(examples,)`, or `IGNORED`.

    Raises:
        DataError: the column is missing, or a label is not among `labels`.
    """
    lists = single_labels(split, column, where)
    numbers = numbers_of_lists(split, lists, labels, where, ignored)
    return torch.tensor(numbers, dtype=torch.int64)


def numbers_of_lists(
    split: Dataset | LocalDataset,
    lists: Lists,
    labels: Sequence[Label],
    where: str,
    ignored: Collection[Label] = IGNORED_LABELS,
) -> list[int]:
    """Return the numbers of the labels in all lists of a split, one list after the other.

    Args:
        split: the split.
        lists: the labels of each example.
        labels: the labels of the training split, in the order of their numbers.
        where: the name of the split in messages.
        ignored: labels that do not count; their number is `IGNORED`.

    Raises:
        DataError: a label is not among `labels`.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    numbers |= dict.fromkeys(ignored, IGNORED)

    def is_known(label: Any) -> bool:
        return not isinstance(label, (list, dict)) and label in numbers

    bad = [i for i, given in enumerate(lists) if not all(map(is_known, given))]
    if bad:
        value = next(label for label in lists[bad[0]] if not is_known(label))
        similar = similar_label(value, labels)
        known = f" ({similar[:40]!r} is, and differs only in case or spaces)" if similar else ""
        raise invalid_examples(
            split,
            where,
            bad,
            f"a label that is not among the {len(labels)} of the training split{known}",
            value,
        )
    return [numbers[label] for given in lists for label in given]
