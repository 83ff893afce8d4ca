"""Rows of float32: converted from other types of numbers, and collected block by block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...table import Rows, Vectors

__all__ = ["RowStack", "as_float32", "source_dtype"]


def as_float32(block: npt.NDArray[Any], name: str, rows: Sequence[int] | Rows) -> Vectors:
    """Return numbers `(n, D)` as float32.

    Args:
        block: numbers of any real type.
        name: the name of the array that holds them, for messages.
        rows: their `n` row numbers in that array, for messages.

    Raises:
        VectorFileError: a finite number is too large for float32.
    """
    try:
        with np.errstate(over="raise", invalid="ignore"):
            return np.asarray(block, np.float32)
    except FloatingPointError as error:
        sizes = np.where(np.isfinite(block), np.abs(block), 0)
        row, column = np.unravel_index(int(sizes.argmax()), sizes.shape)
        value = block[row, column]
        raise VectorFileError(
            f"{value:g} is too large for float32, whose largest number is 3.4e38",
            where=f"{name}[{rows[int(row)]}]",
            value=value,
            remedy="scale the vectors down",
        ) from error


def source_dtype(dtype: np.dtype[Any]) -> dict[str, str]:
    """Return the metadata that record the type of a file's numbers; empty for float32."""
    return {} if dtype.name == "float32" else {"source_dtype": dtype.name}


class RowStack:
    """Rows of float32, collected block by block.

    A single block is kept without a copy. With a second one, the rows move to an array that grows.

    Args:
        vector_size: numbers in a row.
    """

    def __init__(self, vector_size: int) -> None:
        self.vector_size = vector_size
        self._only_block: Vectors | None = None
        self._vectors = np.empty((0, vector_size), np.float32)
        self._rows = 0

    def extend(self, rows: Vectors) -> None:
        """Add rows `(n, D)`, which must not change later."""
        if not len(rows):
            return
        usable = rows.flags.c_contiguous and rows.flags.aligned
        if self._only_block is None and not self._rows and usable:
            self._only_block = rows
            return
        if self._only_block is not None:
            first, self._only_block = self._only_block, None
            self._append(first)
        self._append(rows)

    def _append(self, rows: Vectors) -> None:
        stop = self._rows + len(rows)
        if stop > len(self._vectors):
            capacity = max(stop, len(self._vectors) + len(self._vectors) // 8)
            self._vectors.resize((capacity, self.vector_size), refcheck=False)
        self._vectors[self._rows : stop] = rows
        self._rows = stop

    def array(self) -> Vectors:
        """Return all rows, without a copy."""
        if self._only_block is not None:
            return self._only_block
        self._vectors.resize((self._rows, self.vector_size), refcheck=False)
        return self._vectors
