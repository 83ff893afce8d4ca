"""Whole numbers written as 1.0 in the labels of text files, as pandas writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from .local_dataset import LocalDataset
from .splits import Splits

__all__ = ["are_whole", "as_whole", "with_whole_labels"]

_WHOLE = re.compile(r"([+-]?\d+)(?:\.0)?", re.ASCII)


def are_whole(labels: Iterable[Any]) -> bool:
    """Return whether texts are all whole numbers, and some are written with `.0`."""
    found = list(labels)
    are_numbers = all(isinstance(one, str) and _WHOLE.fullmatch(one) for one in found)
    return are_numbers and any(one.endswith(".0") for one in found)


def as_whole(label: Any) -> Any:
    """Return a label without `.0`."""
    return label.removesuffix(".0") if isinstance(label, str) else label


def with_whole_labels(splits: Splits, label: str, streamed: Iterable[Any] = ()) -> Splits:
    """Return splits where labels of text files such as `1.0` are `1`, if all are whole numbers.

    Args:
        splits: the splits; a streamed one is returned unchanged.
        label: the column of labels.
        streamed: the labels of a streamed split.
    """
    import polars as pl

    given = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    local = {
        role: split
        for role, split in given.items()
        if isinstance(split, LocalDataset) and split.is_as_written and label in split.column_names
    }
    labels = {*streamed}
    for split in local.values():
        labels |= set(split.columns[label].drop_nulls().unique().to_list())
    if not are_whole(labels):
        return splits
    stripped = pl.col(label).str.strip_suffix(".0")
    changed: dict[str, Any] = {
        r: s.with_columns(s.columns.with_columns(stripped)) for r, s in local.items()
    }
    return replace(splits, **changed)
