"""Vectors of which a few differ from those of a large array, without a copy of the large one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .packed_words import Rows

__all__ = ["RevisedRows", "Vectors", "is_read_only"]

Vectors = npt.NDArray[np.float32]

BLOCK = 1 << 15  # rows copied at a time


class RevisedRows:
    """The rows of a base, some replaced and some behind them; each index gathers anew.

    Args:
        base: `(V, D)`, which must not change; an array, or revised rows themselves.
        at: int64 `(n,)`, rows of the base to be replaced, each once.
        vectors: float32 `(n + m, D)`, what stands in their places, then `m` rows behind the base.
    """

    def __init__(self, base: Vectors | RevisedRows, at: Rows, vectors: Vectors) -> None:
        self.base, self.at = base, at
        self.dtype = np.dtype(np.float32)
        self._vectors = vectors
        behind = len(vectors) - len(at)
        self.shape = (len(base) + behind, vectors.shape[1])
        self._place = np.full(len(self), -1, np.int32)  # of each row in `_vectors`
        self._place[at] = np.arange(len(at))
        self._place[len(base) :] = np.arange(len(at), len(vectors))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: int | slice | Rows) -> Vectors:
        """Return one row `(D,)` as a view, or several `(n, D)` copied; arrays count from 0 on."""
        if isinstance(which, (int, np.integer)):
            place = self._place[which]
            return self.base[int(which)] if place < 0 else self._vectors[place]
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            which = slice(start, stop) if step == 1 else np.arange(start, stop, step)
        place = self._place[which]
        own = np.flatnonzero(place >= 0)
        if len(own) == len(place):
            return self._vectors[place]
        if isinstance(which, slice):
            found, shared = np.empty((len(place), self.shape[1]), np.float32), self.base[which]
            found[: len(shared)] = shared
        else:
            found = self.base[np.minimum(which, len(self.base) - 1)]
        found[own] = self._vectors[place[own]]
        return found

    def whole(self) -> Vectors:
        """Return all rows as an array `(V + m, D)` of their own."""
        array, size = np.empty(self.shape, np.float32), len(self.base)
        for start in range(0, size, BLOCK):
            part = slice(start, min(start + BLOCK, size))
            array[part] = self.base[part]
        array[self.at] = self._vectors[: len(self.at)]
        array[size:] = self._vectors[len(self.at) :]
        return array


def is_read_only(vectors: Vectors) -> bool:
    """Tell whether nobody can change an array, not even through what it is a view of."""
    owner: object = vectors
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return False
        owner = owner.base
    return True
