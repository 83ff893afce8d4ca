"""Examples of a training split held out for validation or for a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..errors import DataError, Either, Option
from .columns import column_of, texts_of
from .labels import Label, has_hidden_labels
from .reading.splits import Splits

__all__ = ["hold_out", "with_labelled_test", "with_repeats_noted"]


def hold_out(
    splits: Splits,
    label: str,
    share: float,
    seed: int,
    role: Literal["validation", "test"] = "validation",
    numbers: bool = False,
) -> Splits:
    """Hold out training examples for validation, or for a test, if there is no such split.

    Each class gives about the same share of its examples, and keeps at least one for training. If
    examples have lists of labels, or of tags, they are drawn at random until there are enough; an
    example stays in training if no other example there has one of its labels. If labels are
    numbers to predict, any examples are drawn. Both parts keep the order of the examples. The
    choice depends only on the labels, the share and the seed.

    Args:
        splits: the splits; returned unchanged if they have the split.
        label: the column of labels, or of lists of them.
        share: the share of the training examples to hold out, between 0 and 1.
        seed: the seed of the choice.
        role: which split to make.
        numbers: whether labels are numbers to predict.

    Raises:
        DataError: the column is missing, the share is not between 0 and 1, or no example can be
            held out.
    """
    if getattr(splits, role) is not None:
        return splits
    train = splits.train
    pass_folder = f"pass a folder with train.csv and {role}.csv"
    pass_split = Either(f"pass DatasetDict(train=..., {role}=...), or {pass_folder}", pass_folder)
    if splits.streamed:
        raise DataError(
            f"there is no {role} split, and a stream has no examples to hold out",
            where=splits.name,
            remedy=(
                pass_folder,
                Either(
                    f", or, if the order of the examples is random, {{'train': stream.skip(1_000), "
                    f"'{role}': stream.take(1_000)}}",
                    "",
                ),
            ),
        )
    if not 0 < share < 1:
        raise DataError(
            f"is not a share between 0 and 1 to hold out of {len(train):,} training examples, and "
            f"there is no {role} split",
            where=splits.name,
            option=role,
            value=share,
            remedy=("pass ", Option(role, 0.1), ", or ", pass_split),
        )
    values = column_of(train, label, f"{splits.name} (train)", "label")
    if numbers:
        values = [()] * len(train)  # all alike
    has_lists = any(isinstance(value, list) for value in values)
    choose = _choose_of_lists if has_lists else _choose_of_classes
    wanted = round(share * len(train))
    try:
        held_out = choose(values, wanted, np.random.default_rng(seed))
    except TypeError as error:  # lists in lists, or structures
        raise DataError(
            f"the values of the column {label!r} are not labels ({error}); a label is a string or "
            "a whole number",
            where=f"{splits.name} (train)",
            remedy=("choose another column: ", Option("label", ...)),
        ) from error
    if not held_out.any():
        raise DataError(
            f"holds out none of {len(train):,} training examples: "
            f"{_why_none(values, has_lists) if wanted else 'that is less than one'}",
            where=splits.name,
            option=role,
            value=share,
            remedy=("pass a larger share, or more examples; or ", pass_split),
        )
    parts = {"train": ~held_out, role: held_out}
    return replace(splits, **{n: train.select(np.flatnonzero(at)) for n, at in parts.items()})


def with_labelled_test(
    splits: Splits,
    label: str,
    share: float,
    seed: int,
    ignored: Collection[Label],
    numbers: bool = False,
) -> Splits:
    """Return splits with a test split, held out of training where there is none with labels.

    Args:
        splits: the splits.
        label: the column of labels.
        share: the share of the training examples to hold out.
        seed: the seed of the choice.
        ignored: labels that do not count.
        numbers: whether labels are numbers to predict.

    Raises:
        DataError: no example can be held out; see `hold_out`.
    """
    if splits.test is not None and has_hidden_labels(splits.test, label, ignored):
        splits = replace(splits, test=None)
    return hold_out(splits, label, share, seed, "test", numbers)


def with_repeats_noted(splits: Splits, opened: Splits, text: str | Sequence[str]) -> Splits:
    """Return splits with a note for each held-out one that has texts of the training split.

    Args:
        splits: the splits.
        opened: the same before any was held out.
        text: the column of texts, or several.
    """
    made = [n for n in ("validation", "test") if getattr(splits, n) is not getattr(opened, n)]
    if not made:
        return splits

    def hashes(role: str) -> list[int]:
        texts = texts_of(getattr(splits, role), text, f"{splits.name} ({role})")
        return [hash(tuple(one) if isinstance(one, list) else one) for one in texts]

    known, notes = set(hashes("train")), list(splits.notes)
    for role in made:
        found = hashes(role)
        if same := sum(one in known for one in found):
            notes.append(
                f"{same:,} of {len(found):,} {role} texts are training texts too, which makes the "
                f"scores too good; {_without_repeats(text)}"
            )
    return replace(splits, notes=tuple(notes))


def _without_repeats(text: str | Sequence[str]) -> str:
    """Return how to remove examples with equal texts."""
    named = repr(text) if isinstance(text, str) else list(text)
    return (
        "polars removes such duplicates: import polars as pl; pl.read_csv(FILE, infer_schema=False)"
        f".unique({named}, keep='first', maintain_order=True).write_csv(NEW_FILE)"
    )


def _choose_of_classes(
    values: Sequence[Any], wanted: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Choose about the same share of the examples of each class, by largest remainders."""
    numbers: dict[Any, int] = {}
    classes = np.array([numbers.setdefault(value, len(numbers)) for value in values])
    sizes = np.bincount(classes)
    counts, remainders = np.divmod(wanted * sizes, len(values))
    counts = np.minimum(counts, sizes - 1)
    order = rng.permutation(len(sizes))  # decides which classes come first at equal remainders
    order = order[np.argsort(-remainders[order], kind="stable")]
    order = order[counts[order] < sizes[order] - 1]
    counts[order[: wanted - counts.sum()]] += 1
    examples_by_class = np.split(np.argsort(classes, kind="stable"), np.cumsum(sizes)[:-1])
    chosen = np.zeros(len(values), bool)
    for examples, count in zip(examples_by_class, counts, strict=True):
        chosen[rng.choice(examples, count, replace=False)] = True
    return chosen


def _choose_of_lists(
    values: Sequence[Any], wanted: int, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Choose examples with lists of labels, but never the last one with one of its labels."""
    labels = [set(value) if isinstance(value, list) else set() for value in values]
    left = Counter(chain.from_iterable(labels))
    chosen = np.zeros(len(values), bool)
    wanted = min(wanted, len(values) - 1)
    for at in rng.permutation(len(values)).tolist():
        if wanted and all(left[label] > 1 for label in labels[at]):
            left.subtract(labels[at])
            chosen[at], wanted = True, wanted - 1
    return chosen


def _why_none(values: Sequence[Any], has_lists: bool) -> str:
    """Return why no example can be held out."""
    if has_lists:
        labels = set(chain.from_iterable(value or () for value in values))
        return f"each is the last with one of the {len(labels):,} labels"
    counts = Counter(values)
    return (
        f"each of the {len(counts):,} classes keeps one, and the largest has "
        f"{max(counts.values()):,}"
    )
