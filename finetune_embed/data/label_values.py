"""Labels that are numbers to predict, such as ratings, read from a column."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .columns import column_of, invalid_examples
from .reading.local_dataset import LocalDataset

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["Moments", "are_scores", "label_values", "value_of"]

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


def value_of(label: Any) -> float | None:
    """Return the number that a label is, or is the text of; None if it is no finite number."""
    is_number = isinstance(label, (int, float, Decimal)) and not isinstance(label, bool)
    is_text = isinstance(label, str) and _NUMBER.fullmatch(label) is not None
    if not is_number and not is_text:
        return None
    try:
        value = float(label)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def are_scores(labels: Sequence[Any], are_texts: bool) -> bool:
    """Return whether labels are numbers that are not all whole.

    Args:
        labels: the labels; missing ones do not count.
        are_texts: whether they are fields of a text file, where numbers are texts.
    """
    kinds = (str,) if are_texts else (int, float, Decimal)
    if not all(label is None or isinstance(label, kinds) for label in labels):
        return False
    values = [value_of(label) for label in set(labels) if label is not None and label == label]
    return None not in values and any(v is not None and not v.is_integer() for v in values)


def label_values(
    split: Dataset | LocalDataset, column: str, where: str, ignored: Collection[Any] = ()
) -> npt.NDArray[np.float64]:
    """Return the number of each example, NaN for one that is ignored.

    Args:
        split: the split.
        column: the column of numbers, or of texts of numbers.
        where: the name of the split in messages.
        ignored: numbers that do not count.

    Raises:
        DataError: the column is missing, or a value is no finite number.
    """
    labels = column_of(split, column, where, "label")
    values = [value_of(label) for label in labels]
    bad = [i for i, value in enumerate(values) if value is None]
    if bad:
        raise invalid_examples(split, where, bad, f"no finite number in {column!r}", labels[bad[0]])
    found = np.array(values, np.float64)
    found[np.isin(found, list(ignored))] = np.nan
    return found


@dataclass
class Moments:
    """The mean and deviation of numbers that come in parts (Chan et al. 1979).

    Attributes:
        count: how many have come.
        mean: their mean.
        squares: the sum of their squared differences from it.
        low: the least.
        high: the greatest.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: npt.NDArray[np.float64]) -> Moments:
        """Take in more numbers, without those that are NaN; return this object."""
        values = values[~np.isnan(values)]
        if not len(values):
            return self
        with np.errstate(over="ignore", invalid="ignore"):
            mean = values.mean()
            apart, count = mean - self.mean, self.count + len(values)
            self.squares += float(((values - mean) ** 2).sum())
            self.squares += float(apart**2 * self.count * len(values) / count)
            self.mean += float(apart * len(values) / count)
        self.count = count
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        return self

    @property
    def deviation(self) -> float:
        """Their standard deviation; 0 if all are the same."""
        return math.sqrt(self.squares / self.count) if self.low < self.high else 0.0
