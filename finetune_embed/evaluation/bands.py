"""Rows in bands of word frequency or row number, and how far the rows of each band moved."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..table import Origin
from .movement import Movement

__all__ = ["Band", "bands_by_count", "bands_by_origin", "bands_by_row"]

Ranges = tuple[tuple[int, int | None], ...]
COUNT_RANGES: Ranges = ((0, 0), (1, 1), (2, 9), (10, 99), (100, 999), (1_000, None))
ROW_RANGES: Ranges = ((0, 999), (1_000, 9_999), (10_000, 99_999), (100_000, None))

ORIGINS = {
    Origin.PRETRAINED: "untouched",
    Origin.TUNED: "trained",
    Origin.NEW: "new",
    Origin.COMPOSED: "composed of subwords",
}


@dataclass(frozen=True)
class Band:
    """The rows of a range of frequencies or of row numbers, or of an origin.

    Attributes:
        name: what they are, such as `seen 10 to 99 times` or `trained`.
        rows: the number of them.
        moved: the number of rows that moved at all.
        median_movement: of the rows that moved, relative to the length of the start vector.
        median_cosine: between start and end, of the rows that moved.
    """

    name: str
    rows: int
    moved: int
    median_movement: float
    median_cosine: float


def bands_by_count(counts: npt.NDArray[np.int64], movement: Movement) -> tuple[Band, ...]:
    """Return the bands by how often a word occurs in the training data; empty bands are left out.

    Args:
        counts: `(V,)`, how often the word of each row occurs.
        movement: how far the rows moved.
    """
    return tuple(
        _band(_count_name(low, high), _inside(counts, low, high), movement)
        for low, high in COUNT_RANGES
        if _inside(counts, low, high).any()
    )


def bands_by_row(movement: Movement) -> tuple[Band, ...]:
    """Return the bands by row number; empty bands are left out."""
    numbers = np.arange(len(movement.moved))
    return tuple(
        _band(f"rows {_range_name(low, high)}", _inside(numbers, low, high), movement)
        for low, high in ROW_RANGES
        if _inside(numbers, low, high).any()
    )


def bands_by_origin(
    origin: npt.NDArray[np.uint8], new: npt.NDArray[np.uint8], movement: Movement
) -> tuple[Band, ...]:
    """Return the bands by where the values of a row come from; empty bands are left out.

    Args:
        origin: `(V,)`, the `Origin` codes of the base rows after tuning. A row that moved counts as
            trained, because few files hold these codes.
        new: the codes of the rows that the base lacks, whose movement is not known.
        movement: how far the base rows moved.
    """
    origin = np.where(movement.moved, np.uint8(Origin.TUNED), origin)
    new = np.where(new == Origin.COMPOSED, new, np.uint8(Origin.NEW))
    bands = []
    for code, name in ORIGINS.items():
        band = _band(name, origin == code, movement)
        bands.append(replace(band, rows=band.rows + int((new == code).sum())))
    return tuple(band for band in bands if band.rows)


def _inside(values: npt.NDArray[np.int64], low: int, high: int | None) -> npt.NDArray[np.bool_]:
    return np.asarray((values >= low) & (values <= (math.inf if high is None else high)))


def _count_name(low: int, high: int | None) -> str:
    if high == 0:
        return "never seen in training"
    return "seen once" if high == 1 else f"seen {_range_name(low, high)} times"


def _range_name(low: int, high: int | None) -> str:
    return f"{low:,} or more" if high is None else f"{low:,} to {high:,}"


def _band(name: str, inside: npt.NDArray[np.bool_], movement: Movement) -> Band:
    at = inside & movement.moved
    return Band(
        name,
        int(inside.sum()),
        int(at.sum()),
        float(np.median(movement.distance[at])) if at.any() else 0.0,
        float(np.median(movement.cosine[at])) if at.any() else 1.0,
    )
