"""Whole numbers written as 1.0 in the labels of text files, as pandas writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .reading.local_dataset import LocalDataset
from .reading.splits import Splits

__all__ = ["are_whole", "as_whole", "text_labels", "with_whole_labels"]

_WHOLE = re.compile(r"([+-]?\d+)(?:\.0)?", re.ASCII)


def are_whole(labels: Iterable[Any]) -> bool:
    """Return whether texts are all whole numbers, and some are written with `.0`."""
    found = list(labels)
    are_numbers = all(isinstance(one, str) and _WHOLE.fullmatch(one) for one in found)
    return are_numbers and any(one.endswith(".0") for one in found)


def as_whole(label: Any) -> Any:
    """Return a label without `.0`."""
    return label.removesuffix(".0") if isinstance(label, str) else label


def text_labels(splits: Splits, label: str) -> set[Any]:
    """Return the labels of the splits in memory that are from text files."""
    found: set[Any] = set()
    for split in _text_splits(splits, label).values():
        found |= set(split.columns[label].drop_nulls().unique().to_list())
    return found


def with_whole_labels(splits: Splits, label: str) -> Splits:
    """Return splits where the labels of text files in memory have no `.0`.

    Args:
        splits: the splits.
        label: the column of labels.
    """
    import polars as pl

    stripped = pl.col(label).str.strip_suffix(".0")
    changed: dict[str, Any] = {
        role: split.with_columns(split.columns.with_columns(stripped))
        for role, split in _text_splits(splits, label).items()
    }
    return replace(splits, **changed)


def _text_splits(splits: Splits, label: str) -> dict[str, LocalDataset]:
    given = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {
        role: split
        for role, split in given.items()
        if isinstance(split, LocalDataset) and split.is_as_written and label in split.column_names
    }
