"""A large array with some rows replaced and some appended, without a copy of the array."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .lazy_rows import BLOCK, LazyRows, Vectors
from .packed_words import Rows

__all__ = ["PatchedRows", "differing", "is_read_only"]


class PatchedRows(LazyRows):
    """The rows of a base array with some replaced and some appended; indexing gathers them.

    Args:
        base: `(V, D)`, an array or lazy rows; must not change.
        rows: int64 `(n,)`, the rows of the base to replace, each once.
        vectors: float32 `(n + m, D)`, the replacements, then `m` rows to append.
    """

    def __init__(self, base: Vectors | LazyRows, rows: Rows, vectors: Vectors) -> None:
        self.base, self.rows = base, rows
        self._vectors = vectors
        appended = len(vectors) - len(rows)
        self.shape = (len(base) + appended, vectors.shape[1])
        self._place = np.full(len(self), -1, np.int32)  # row -> row of `_vectors`; -1: in the base
        self._place[rows] = np.arange(len(rows))
        self._place[len(base) :] = np.arange(len(rows), len(vectors))

    def __getitem__(self, which: int | slice | Rows) -> Vectors:
        """Return one row `(D,)` as a view, or several `(n, D)` copied.

        An array must hold row numbers of 0 or more.
        """
        if isinstance(which, (int, np.integer)):
            place = self._place[which]
            return self.base[int(which)] if place < 0 else self._vectors[place]
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            which = slice(start, stop) if step == 1 else np.arange(start, stop, step)
        place = self._place[which]
        patched = np.flatnonzero(place >= 0)
        if len(patched) == len(place):
            return self._vectors[place]
        if isinstance(which, slice):
            found, unchanged = np.empty((len(place), self.shape[1]), np.float32), self.base[which]
            found[: len(unchanged)] = unchanged
        else:
            found = self.base[np.minimum(which, len(self.base) - 1)]
        found[patched] = self._vectors[place[patched]]
        return found

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return the arrays of the base; the other rows are in memory."""
        return self.base.arrays() if isinstance(self.base, LazyRows) else [self.base]

    def to_array(self) -> Vectors:
        """Return all rows copied into one array `(V + m, D)`."""
        array, size = np.empty(self.shape, np.float32), len(self.base)
        for start in range(0, size, BLOCK):
            block = slice(start, min(start + BLOCK, size))
            array[block] = self.base[block]
        array[self.rows] = self._vectors[: len(self.rows)]
        array[size:] = self._vectors[len(self.rows) :]
        return array


def is_read_only(vectors: Vectors) -> bool:
    """Return whether nobody can write to an array, not even through the arrays it is a view of."""
    owner: object = vectors
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return False
        owner = owner.base
    return True


def differing(before: Vectors, after: Vectors) -> npt.NDArray[np.bool_]:
    """Return which rows of two arrays `(n, D)` differ by a single bit, bool `(n,)`."""
    bits = [np.ascontiguousarray(one, np.float32).view(np.uint32) for one in (before, after)]
    return np.asarray((bits[0] != bits[1]).any(axis=1))
