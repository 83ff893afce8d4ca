"""How far vectors moved: the distance from start to end, and the cosine between both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..table import Vectors, differing

__all__ = ["Movement", "movement_of"]


@dataclass(frozen=True)
class Movement:
    """How far each row moved.

    Attributes:
        distance: float64 `(V,)`, relative to the length of the start vector.
        cosine: float64 `(V,)`, between start and end.
        moved: bool `(V,)`, whether a row changed by a single bit.
    """

    distance: npt.NDArray[np.float64]
    cosine: npt.NDArray[np.float64]
    moved: npt.NDArray[np.bool_]

    @classmethod
    def none(cls, rows: int) -> Movement:
        """Return the movement of rows without a changed bit: distance 0, cosine 1."""
        return cls(np.zeros(rows), np.ones(rows), np.zeros(rows, bool))


def movement_of(before: Vectors, after: Vectors) -> Movement:
    """Return how far each row moved.

    Args:
        before: `(V, D)`. The distance of a zero row is not relative.
        after: `(V, D)`. A row without a changed bit has distance 0 and cosine 1.
    """
    found = Movement.none(len(before))
    at = np.flatnonzero(differing(before, after))
    a, b = before[at].astype(np.float64), after[at].astype(np.float64)
    a_norm, b_norm = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    norms = a_norm * b_norm
    found.moved[at] = True
    with np.errstate(invalid="ignore"):  # infinite values
        found.distance[at] = np.linalg.norm(b - a, axis=1) / np.where(a_norm > 0, a_norm, 1)
        found.cosine[at] = (a * b).sum(axis=1) / np.where(norms > 0, norms, 1)
    return found
