"""Ways to hold the numbers of vectors in fewer bytes than float32 takes. numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import Option, VectorFileError
from .lazy_rows import LazyRows, Vectors
from .packed_words import Rows

__all__ = ["CodedRows", "Coding", "Part"]

LEVELS = 127  # of int8, above zero and below
LARGEST_SCALE = np.nextafter(np.finfo(np.float32).max / np.float32(LEVELS), np.float32(0))


class Part(NamedTuple):
    """Consecutive rows as they are held.

    Attributes:
        codes: float32, float16 or int8 `(n, D)`, or the bits of bfloat16 as uint16.
        scale: of int8, what the codes of each row count, float32 `(n,)`; else None.
    """

    codes: npt.NDArray[Any]
    scale: Vectors | None = None


@dataclass(frozen=True)
class Coding:
    """A way to hold numbers, which turns rows into codes and back.

    - `float16` and `bfloat16`: the nearest number of that type, of two the one that ends in 0.
    - `int8`: the nearest multiple of the row's scale, which is its largest magnitude / 127.

    Attributes:
        name: `float32`, `float16`, `bfloat16` or `int8`.
    """

    name: str = "float32"

    def encode(self, rows: Vectors, first: int = 0) -> Part:
        """Return rows `(n, D)` as they are held.

        Args:
            rows: the rows.
            first: the row number of the first one, for messages.

        Raises:
            VectorFileError: a number is too large for the type, or int8 has no code for it.
        """
        rows = np.ascontiguousarray(rows, np.float32)
        if self.name == "int8":
            scale = self.scale(rows, first)
            with np.errstate(divide="ignore", invalid="ignore"):  # rows of zeros
                codes = np.rint(rows / scale[:, None])
            codes[scale == 0] = 0
            return Part(codes.clip(-LEVELS, LEVELS).astype(np.int8), scale)
        if self.name == "float32":
            return Part(rows)
        with np.errstate(over="ignore"):
            part = Part(rows.astype(np.float16) if self.name == "float16" else _bfloat16(rows))
        lost = np.isfinite(rows) & np.isinf(self.decode(part))
        if lost.any():
            row, column = np.argwhere(lost)[0].tolist()
            raise VectorFileError(
                f"can't hold {rows[row, column]:g}, which is in row {first + row:,}",
                option="dtype",
                value=self.name,
                remedy=("use ", Option("dtype", "float32")),
            )
        return part

    def scale(self, rows: Vectors, first: int = 0) -> Vectors:
        """Return what the codes of int8 count in each row, float32 `(n,)`.

        Raises:
            VectorFileError: a number is not finite.
        """
        largest = np.abs(rows).max(axis=1, initial=0)
        if not np.isfinite(largest).all():
            row = first + int(np.flatnonzero(~np.isfinite(largest))[0])
            raise VectorFileError(
                f"can't hold a number that is not finite, as in row {row:,}",
                option="dtype",
                value=self.name,
                remedy=("use ", Option("dtype", "float16")),
            )
        return np.asarray(np.minimum(largest / np.float32(LEVELS), LARGEST_SCALE), np.float32)

    def decode(self, part: Part) -> Vectors:
        """Return codes as rows, float32 `(n, D)`."""
        if self.name == "bfloat16":
            bits = part.codes.astype(np.uint32) << 16
            return np.asarray(bits.view(np.float32))
        rows: Vectors = np.asarray(part.codes, np.float32)
        return rows if part.scale is None else rows * part.scale[:, None]


def _bfloat16(rows: Vectors) -> npt.NDArray[np.uint16]:
    """Return the bits of the nearest bfloat16, the upper half of a float32."""
    bits = rows.view(np.uint32)
    nearest = (bits + (0x7FFF + ((bits >> 16) & 1))) >> 16
    return np.where(np.isnan(rows), (bits >> 16) | 0x40, nearest).astype(np.uint16)


class CodedRows(LazyRows):
    """Rows that are held in fewer bytes, or in several arrays, and decoded when they are used.

    Args:
        coding: how they are held.
        parts: the rows, one part after the other; at least one.
    """

    def __init__(self, coding: Coding, parts: list[Part]) -> None:
        self.coding, self.parts = coding, parts
        self._ends = np.cumsum([len(part.codes) for part in parts])
        self.shape = (int(self._ends[-1]), parts[0].codes.shape[1])

    def __getitem__(self, which: int | slice | Rows) -> Vectors:
        if isinstance(which, (int, np.integer)):
            row: Vectors = self[int(which) : int(which) + 1][0]
            return row
        if isinstance(which, slice):
            start, stop, step = which.indices(len(self))
            if step == 1:
                return self.coding.decode(self.part(start, stop))
            which = np.arange(start, stop, step)
        found = np.empty((len(which), self.shape[1]), np.float32)
        of_part = np.searchsorted(self._ends, which, "right")
        for number in np.unique(of_part).tolist():
            (at,) = (of_part == number).nonzero()
            part = self.parts[number]
            first = int(self._ends[number]) - len(part.codes)
            found[at] = self.coding.decode(_some(part, which[at] - first))
        return found

    def part(self, start: int, stop: int) -> Part:
        """Return the rows from one number up to another as they are held."""
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
