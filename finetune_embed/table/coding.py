"""Ways to hold the numbers of vectors in fewer bytes than float32 takes. numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import Option, VectorFileError
from .lazy_rows import LazyRows, Vectors
from .packed_words import Rows
from .quantization import nearest_centroids

__all__ = ["CodedRows", "Coding", "Part"]

Numbers = Sequence[int] | Rows
LEVELS = 127  # of int8, above zero and below
LARGEST_SCALE = np.nextafter(np.finfo(np.float32).max / np.float32(LEVELS), np.float32(0))


class Part(NamedTuple):
    """Consecutive rows as they are held.

    Attributes:
        codes: float32, float16 or int8 `(n, D)`, or the bits of bfloat16 as uint16; of product
            quantization uint8 `(n, M)`.
        scale: of int8, what the codes of each row count, float32 `(n,)`; else None.
    """

    codes: npt.NDArray[Any]
    scale: Vectors | None = None


@dataclass(frozen=True, eq=False)
class Coding:
    """A way to hold numbers, which turns rows into codes and back.

    - `float16` and `bfloat16`: the nearest number of that type, of two the one that ends in 0.
    - `int8`: the nearest multiple of the row's scale, which is its largest magnitude / 127.
    - `pq`, product quantization (Jegou et al. 2011): each `S` numbers are the number of one of up
      to 256 centroids.

    With a basis, what is held of a row are the `d` coordinates of its projection.

    Attributes:
        name: `float32`, `float16`, `bfloat16`, `int8` or `pq`.
        codebooks: of `pq`, the centroids of each group of numbers, float32 `(M, K, S)`.
        basis: float32 `(d, D)`, orthonormal rows; or None.
        mean: with a basis, what is subtracted before the projection, float32 `(D,)`.
    """

    name: str = "float32"
    codebooks: Vectors | None = None
    basis: Vectors | None = None
    mean: Vectors | None = None

    def width(self, codes: npt.NDArray[Any]) -> int:
        """Return the number of values of the rows that codes `(n, ...)` stand for."""
        if self.basis is not None:
            return int(self.basis.shape[1])
        return int(codes.shape[1] * (1 if self.codebooks is None else self.codebooks.shape[2]))

    def encode(self, rows: Vectors, numbers: Numbers | None = None) -> Part:
        """Return rows `(n, D)` as they are held.

        Args:
            rows: the rows.
            numbers: the `n` row numbers, for messages; from 0 on when left out.

        Raises:
            VectorFileError: a number is too large for the type, or int8 has no code for it.
        """
        rows = np.ascontiguousarray(rows, np.float32)
        if self.basis is not None and self.mean is not None:
            rows = np.ascontiguousarray((rows - self.mean) @ self.basis.T)
        if self.codebooks is not None:
            self.check_finite(rows, numbers)
            return Part(nearest_centroids(rows, self.codebooks))
        if self.name == "int8":
            scale = self.scale(rows, numbers)
            with np.errstate(divide="ignore", invalid="ignore"):  # rows of zeros
                codes = np.rint(rows / scale[:, None])
            codes[scale == 0] = 0
            return Part(codes.clip(-LEVELS, LEVELS).astype(np.int8), scale)
        if self.name == "float32":
            return Part(rows)
        with np.errstate(over="ignore"):
            part = Part(rows.astype(np.float16) if self.name == "float16" else _bfloat16(rows))
        lost = np.isfinite(rows) & np.isinf(self._numbers(part))
        if lost.any():
            row, column = np.argwhere(lost)[0].tolist()
            raise VectorFileError(
                f"can't hold {rows[row, column]:g}, which is in row {_number(numbers, row):,}",
                option="dtype",
                value=self.name,
                remedy=("use ", Option("dtype", "float32")),
            )
        return part

    def scale(self, rows: Vectors, numbers: Numbers | None = None) -> Vectors:
        """Return what the codes of int8 count in each row, float32 `(n,)`.

        Raises:
            VectorFileError: a number is not finite.
        """
        self.check_finite(rows, numbers)
        largest = np.abs(rows).max(axis=1, initial=0)
        return np.asarray(np.minimum(largest / np.float32(LEVELS), LARGEST_SCALE), np.float32)

    def check_finite(self, rows: Vectors, numbers: Numbers | None = None) -> None:
        """Check that there is a code for each number.

        Raises:
            VectorFileError: a number is not finite.
        """
        bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
        if len(bad):
            row = _number(numbers, int(bad[0]))
            raise VectorFileError(
                f"can't hold a number that is not finite, as in row {row:,}",
                option="dtype",
                value=self.name,
                remedy=("use ", Option("dtype", "float16")),
            )

    def decode(self, part: Part) -> Vectors:
        """Return codes as rows, float32 `(n, D)`; the bits of a row do not depend on the others."""
        with np.errstate(over="ignore", invalid="ignore"):  # a damaged file may have any numbers
            rows = self._numbers(part)
            if self.basis is None or self.mean is None:
                return rows
            found = np.tile(self.mean, (len(rows), 1))
            for coordinate, direction in zip(rows.T, self.basis, strict=True):
                found += coordinate[:, None] * direction
            return found

    def _numbers(self, part: Part) -> Vectors:
        if self.codebooks is not None:
            groups = np.arange(len(self.codebooks))
            found: Vectors = self.codebooks[groups, part.codes].reshape(len(part.codes), -1)
            return found
        if self.name == "bfloat16":
            bits = part.codes.astype(np.uint32) << 16
            return np.asarray(bits.view(np.float32))
        rows: Vectors = np.asarray(part.codes, np.float32)
        return rows if part.scale is None else rows * part.scale[:, None]


def _number(numbers: Numbers | None, row: int) -> int:
    return row if numbers is None else int(numbers[row])


def _bfloat16(rows: Vectors) -> npt.NDArray[np.uint16]:
    """Return the bits of the nearest bfloat16, the upper half of a float32."""
    bits = rows.view(np.uint32)
    nearest = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return np.where(np.isnan(rows), (bits >> 16) | 0x40, nearest).astype(np.uint16)


class CodedRows(LazyRows):
    """Rows that are held in fewer bytes, or in several arrays, and decoded when they are used.

    Args:
        coding: how they are held.
        parts: what is held, one part after the other; at least one.
        rows: int32 `(V,)`, which of the held rows each row is, if some share one; else None.

    Attributes:
        held: the number of rows that are held.
    """

    def __init__(
        self, coding: Coding, parts: list[Part], rows: npt.NDArray[np.int32] | None = None
    ) -> None:
        self.coding, self.parts, self.rows = coding, parts, rows
        self._ends = np.cumsum([len(part.codes) for part in parts])
        self.held = int(self._ends[-1])
        self.shape = (self.held if rows is None else len(rows), coding.width(parts[0].codes))

    def __getitem__(self, which: int | slice | Rows) -> Vectors:
        if isinstance(which, (int, np.integer)):
            row: Vectors = self[int(which) : int(which) + 1][0]
            return row
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            if step == 1 and self.rows is None:
                return self.coding.decode(self.part(start, stop))
            which = np.arange(start, stop, step)
        at = which if self.rows is None else self.rows[which]
        found = np.empty((len(at), self.shape[1]), np.float32)
        of_part = np.searchsorted(self._ends, at, "right")
        for number in np.unique(of_part).tolist():
            (places,) = (of_part == number).nonzero()
            part = self.parts[number]
            first = int(self._ends[number]) - len(part.codes)
            found[places] = self.coding.decode(_some(part, at[places] - first))
        return found

    def part(self, start: int, stop: int) -> Part:
        """Return held rows, from one number up to another, as they are held."""
        found = [
            _some(part, slice(max(start - first, 0), max(stop - first, 0)))
            for first, part in zip([0, *self._ends.tolist()], self.parts, strict=False)
            if first < stop and start < first + len(part.codes)
        ]
        if len(found) == 1:
            return found[0]
        if not found:
            return _some(self.parts[0], slice(0))
        codes, scales = zip(*found, strict=True)
        return Part(np.concatenate(codes), None if scales[0] is None else np.concatenate(scales))

    def arrays(self) -> list[npt.NDArray[Any]]:
        """Return the codes and scales of all parts."""
        return [array for part in self.parts for array in part if array is not None]


def _some(part: Part, which: slice | Rows) -> Part:
    return Part(part.codes[which], None if part.scale is None else part.scale[which])
