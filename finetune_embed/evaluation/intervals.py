"""Figures of a score, and their 95 % intervals."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["NO_INTERVAL", "Figure", "Interval", "Scored", "bootstrap", "of_correlation", "of_share"]

Interval = tuple[float, float]
NO_INTERVAL: Interval = (float("nan"), float("nan"))
Z = 1.959963984540054  # of 95 %
RESAMPLES = 2_000


class Figure(NamedTuple):
    """A figure of a score.

    Attributes:
        name: what it is.
        value: its value; nan if there is none.
        interval: its 95 % interval; nan if it has none.
        digits: how it is printed.
    """

    name: str
    value: float
    interval: Interval = NO_INTERVAL
    digits: str = ".3f"

    def __str__(self) -> str:
        low, high = (f"{end:{self.digits}}" for end in self.interval)
        value = f"{self.value:{self.digits}}"
        return value if math.isnan(self.interval[0]) else f"{value} ({low} to {high})"


class Scored(ABC):
    """A score that prints as its figures and what they are of."""

    @property
    @abstractmethod
    def figures(self) -> tuple[Figure, ...]:
        """The figures, the main one first."""

    @property
    @abstractmethod
    def coverage(self) -> str:
        """How much of the test set they are of, such as `3 of 4 pairs`."""

    def __str__(self) -> str:
        figures = ", ".join(f"{figure.name} {figure}" for figure in self.figures)
        return f"{figures} on {self.coverage}"


def of_share(share: float, number: int) -> Interval:
    """Return the interval of a share of `number` independent trials (Wilson 1927)."""
    if not number:
        return NO_INTERVAL
    middle = (share + Z**2 / (2 * number)) / (1 + Z**2 / number)
    spread = share * (1 - share) / number + (Z / (2 * number)) ** 2
    width = Z * math.sqrt(spread) / (1 + Z**2 / number)
    return max(0.0, middle - width), min(1.0, middle + width)


def of_correlation(spearman: float, number: int) -> Interval:
    """Return the interval of a rank correlation of `number` pairs (Bonett and Wright 2000)."""
    if number <= 3 or not abs(spearman) < 1:
        return NO_INTERVAL
    margin = Z * math.sqrt((1 + spearman**2 / 2) / (number - 3))
    middle = math.atanh(spearman)
    return math.tanh(middle - margin), math.tanh(middle + margin)


def bootstrap(draw: Callable[[np.random.Generator], npt.ArrayLike]) -> Interval:
    """Return the percentiles of resampled scores; a function of `draw` alone.

    Args:
        draw: returns the scores of `RESAMPLES` resamples; those that are not finite don't count.
    """
    scores = np.asarray(draw(np.random.default_rng(0)), np.float64)
    scores = scores[np.isfinite(scores)]
    if len(scores) < 2:
        return NO_INTERVAL
    low, high = np.quantile(scores, [0.025, 0.975])
    return float(low), float(high)
