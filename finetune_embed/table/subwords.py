"""Vectors of words that a table lacks, from parts of the word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from .lazy_rows import Vectors

__all__ = ["Subwords"]


class Subwords(Protocol):
    """Composes a vector for a word that a table lacks, from parts of the word."""

    def compose(self, words: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Return vectors `(n, D)` and which of the `n` words could be composed, bool `(n,)`.

        The row of a word that could not be composed is zero.
        """
