"""Rows set aside of a training split, for validation or for a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from .columns import column_of
from .splits import Splits

__all__ = ["hold_out"]


def hold_out(
    splits: Splits,
    label: str,
    share: float,
    seed: int,
    role: Literal["validation", "test"] = "validation",
) -> Splits:
    """Set training rows aside for validation, or for a test, where there is no such split.

    Each class gives about the same share of its rows, and keeps one for training at least. Where
    rows have lists of labels, or of tags, rows are drawn until there are enough of them, but none
    that is the last one left for training with one of its labels. The rows of both parts stay in
    their order. The choice depends on nothing but the labels, the share and the seed.

    Args:
        splits: the splits; returned unchanged if there is a split of that role.
        label: the column of classes, or of lists of them.
        share: how much of the training rows to set aside, between 0 and 1.
        seed: of the choice.
        role: which split to make.

    Raises:
        DataError: the column is missing, the share is not between 0 and 1, or no row can be set
            aside.
    """
    if getattr(splits, role) is not None:
        return splits
    train = splits.train
    cure = (
        f"pass a {role} split: DatasetDict(train=..., {role}=...), or a folder with train.csv and "
        f"{role}.csv"
    )
    if splits.streamed:
        raise DataError(
            f"{splits.name}: there is no {role} split, and none can be set aside of a stream; "
            f"put a file {role}.csv beside train.csv in a folder, or, where its classes are mixed, "
            f"pass {{'train': stream.skip(1_000), '{role}': stream.take(1_000)}}"
        )
    if not 0 < share < 1:
        raise DataError(
            f"{splits.name}: there is no {role} split, and {role}={share} is no share of "
            f"the {len(train):,} training rows to set aside; choose one between 0 and 1, or {cure}"
        )
    values = column_of(train, label, f"{splits.name} (train)", "label")
    lists = any(isinstance(value, list) for value in values)
    choose = _choose_of_lists if lists else _choose_of_classes
    wanted = round(share * len(train))
    try:
        held_out = choose(values, wanted, np.random.default_rng(seed))
    except TypeError as error:  # lists in lists, or structures
        raise DataError(
            f"{splits.name} (train): the column {label!r} has no labels ({error}); a label is a "
            "string or a whole number"
        ) from error
    if not held_out.any():
        raise DataError(
            f"{splits.name}: there is no {role} split, and {role}={share} of {len(train):,} "
            f"training rows {_told_of(values, lists) if wanted else 'is less than one'}; {cure}"
        )
    parts = {"train": ~held_out, role: held_out}
    return replace(splits, **{n: train.select(np.flatnonzero(at)) for n, at in parts.items()})


def _choose_of_classes(
    values: Sequence[Any], wanted: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Choose rows, of each class about the same share, by largest remainders."""
    numbers: dict[Any, int] = {}
    classes = np.array([numbers.setdefault(value, len(numbers)) for value in values])
    sizes = np.bincount(classes)
    counts, remainders = np.divmod(wanted * sizes, len(values))
    counts = np.minimum(counts, sizes - 1)
    order = rng.permutation(len(sizes))  # which classes come first among equal remainders
    order = order[np.argsort(-remainders[order], kind="stable")]
    order = order[counts[order] < sizes[order] - 1]
    counts[order[: wanted - counts.sum()]] += 1
    rows_of_classes = np.split(np.argsort(classes, kind="stable"), np.cumsum(sizes)[:-1])
    chosen = np.zeros(len(values), bool)
    for rows, count in zip(rows_of_classes, counts, strict=True):
        chosen[rng.choice(rows, count, replace=False)] = True
    return chosen


def _choose_of_lists(
    values: Sequence[Any], wanted: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Choose rows with lists of labels, none that is the last one with one of them."""
    labels = [set(value) if isinstance(value, list) else set() for value in values]
    left = Counter(chain.from_iterable(labels))
    chosen = np.zeros(len(values), bool)
    wanted = min(wanted, len(values) - 1)
    for row in rng.permutation(len(values)).tolist():
        if wanted and all(left[label] > 1 for label in labels[row]):
            left.subtract(labels[row])
            chosen[row], wanted = True, wanted - 1
    return chosen


def _told_of(values: Sequence[Any], lists: bool) -> str:
    """Return why no row can be set aside."""
    if lists:
        labels = set(chain.from_iterable(value or () for value in values))
        return (
            f"sets no row aside: each is the last with one of the {len(labels):,} labels, and stays"
        )
    counts = Counter(values)
    return (
        f"in {len(counts):,} classes, {max(counts.values()):,} in the largest, sets no row aside "
        "(each class keeps one)"
    )
