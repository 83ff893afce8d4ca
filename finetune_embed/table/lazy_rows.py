"""Rows that are made when they are used, in place of an array of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .packed_words import Rows

__all__ = ["LazyRows", "Vectors"]

Vectors = npt.NDArray[np.float32]

BLOCK = 1 << 15  # rows made at a time


class LazyRows:
    """Rows of float32; indexing makes them.

    Attributes:
        shape: `(V, D)`.
        dtype: float32.
    """

    shape: tuple[int, int]
    dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, which: int | slice | Rows) -> Vectors:
        """Return one row `(D,)`, or several `(n, D)`; an array must hold row numbers from 0 on."""
        raise NotImplementedError

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return the arrays that the rows are made of, which may be in a mapped file."""
        raise NotImplementedError

    def to_array(self) -> Vectors:
        """Return all rows in one array `(V, D)`."""
        array = np.empty(self.shape, np.float32)
        for start in range(0, len(self), BLOCK):
            array[start : start + BLOCK] = self[start : start + BLOCK]
        return array
