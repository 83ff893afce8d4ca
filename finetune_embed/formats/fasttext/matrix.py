"""The matrices of a fastText binary model, plain or product-quantised. Rows are read on demand.

See `formats/fasttext/__init__.py` for the layout.
"""

from __future__ import annotations

import mmap
import struct
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import Source
from ...table import Vectors

__all__ = ["Cursor", "Matrix", "read_matrix"]

Ints = npt.NDArray[np.int64]

CENTROIDS = 256  # a code is one byte


class Cursor:
    """A position in the bytes of a file that advances as parts are read.

    Attributes:
        name: the file, for messages.
        data: all bytes of the file.
        at: the position.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.data = source.read_all()
        self.at = 0

    def error(
        self,
        what: str,
        *,
        at: int | None = None,
        value: object = None,
        remedy: str = "the file is incomplete or damaged; fetch it again",
    ) -> VectorFileError:
        """Return an error about a byte of the file; about the current one if `at` is None."""
        at = self.at if at is None else at
        what = f"at byte {at:,}: {what}"
        return VectorFileError(what, where=self.name, value=value, remedy=remedy)

    def needs(self, size: int, what: str) -> None:
        """Raise an error if fewer than `size` bytes are left."""
        if size > len(self.data) - self.at:
            raise self.error(
                f"{size:,} bytes are needed for {what}, but the file ends at byte "
                f"{len(self.data):,}"
            )

    def array(self, dtype: str, length: int, what: str) -> npt.NDArray[Any]:
        """Return the next numbers as a view of the file, which may be unaligned."""
        size = length * np.dtype(dtype).itemsize
        self.needs(size, what)
        self.at += size
        return np.frombuffer(self.data[self.at - size : self.at], dtype)

    def unpack(self, layout: str, what: str) -> tuple[Any, ...]:
        """Return the next few numbers."""
        return struct.unpack(layout, self.array("u1", struct.calcsize(layout), what).tobytes())

    def flag(self, what: str) -> bool:
        """Return the next byte, which must be 0 or 1."""
        (value,) = self.unpack("<B", what)
        if value > 1:
            raise self.error(f"{what} is {value}, not 0 or 1", at=self.at - 1, value=value)
        return bool(value)


class Matrix(Protocol):
    """A matrix whose rows are read on demand.

    Attributes:
        shape: `(rows, D)`.
        quantized: whether the rows are approximations.
    """

    shape: tuple[int, int]
    quantized: bool

    def rows(self, rows: Ints, step: int) -> Vectors:
        """Return some rows `(n, D)`.

        Args:
            rows: int64 `(n,)`; ascending order is fastest.
            step: the number of rows after which the pages of the file that hold them are released.
        """


class Dense:
    """Plain float32 rows that start at any byte of a file.

    Args:
        data: the file, a view of a memory map or of bytes.
        numbers: float32 `(rows * D,)`, a view of `data`.
        shape: `(rows, D)`.
    """

    quantized = False

    def __init__(
        self, data: memoryview, numbers: npt.NDArray[np.float32], shape: tuple[int, int]
    ) -> None:
        self.shape = shape
        self._bytes = numbers.view(np.uint8).reshape(shape[0], 4 * shape[1])  # always aligned
        self._map = data.obj if isinstance(data.obj, mmap.mmap) else None

    def rows(self, rows: Ints, step: int) -> Vectors:
        """Return some rows. Pages of the file that were read don't stay in memory."""
        found = np.empty((len(rows), self.shape[1]), "<f4")
        target = found.view(np.uint8)
        for at in range(0, len(rows), step):
            some = slice(at, at + step)
            self._bytes.take(rows[some], axis=0, out=target[some], mode="clip")
            if self._map is not None and hasattr(mmap, "MADV_DONTNEED"):
                self._map.madvise(mmap.MADV_DONTNEED)
        return found


class Quantized:
    """Rows that are concatenated centroids, each given by a one-byte code, times a norm.

    Args:
        codes: uint8 `(rows, parts)`.
        centroids: float32 `(parts * 256, width)`; those of the last part are padded with zeros.
        norms: float32 `(rows,)`, or None if the rows were not normalised.
        dim: the number `D` of values in a row.
    """

    quantized = True

    def __init__(
        self, codes: npt.NDArray[np.uint8], centroids: Vectors, norms: Vectors | None, dim: int
    ) -> None:
        self.shape = len(codes), dim
        self._codes, self._centroids, self._norms = codes, centroids, norms
        self._parts = CENTROIDS * np.arange(codes.shape[1])

    def rows(self, rows: Ints, step: int) -> Vectors:
        """Return some rows, decoded."""
        found: Vectors = self._centroids[self._codes[rows] + self._parts]
        found = found.reshape(len(rows), found.shape[1] * found.shape[2])[:, : self.shape[1]]
        if self._norms is not None:
            found *= self._norms[rows, None]
        return found


def read_matrix(
    cursor: Cursor, what: str, quantized: bool, expected: tuple[int | None, int]
) -> Matrix:
    """Read the layout of a matrix. Its rows stay in the file.

    Args:
        cursor: the place where the matrix begins.
        what: the name of the matrix, for messages.
        quantized: whether it is product-quantised.
        expected: the rows and columns it must have; None for any number of rows.

    Raises:
        VectorFileError: the matrix has another shape, or is incomplete or damaged.
    """
    start = cursor.at
    with_norms = quantized and cursor.flag(f"the flag of norms in {what}")
    rows, dim = cursor.unpack("<2q", f"the shape of {what}")
    wanted = rows if expected[0] is None else expected[0]
    if rows < 0 or (rows, dim) != (wanted, expected[1]):
        raise cursor.error(
            f"{what} is {rows:,} x {dim:,}, but the arguments and the dictionary promise "
            f"{'any number of' if expected[0] is None else f'{wanted:,}'} rows of {expected[1]:,}",
            at=start,
        )
    if not quantized:
        numbers = cursor.array("<f4", rows * dim, f"{what} of {rows:,} x {dim:,}")
        return Dense(cursor.data, numbers, (rows, dim))
    (size,) = cursor.unpack("<i", f"the number of codes in {what}")
    codes = cursor.array("u1", max(size, 0), f"the {size:,} codes of {what}")
    centroids = _read_centroids(cursor, what, dim)
    parts = len(centroids) // CENTROIDS
    if size != rows * parts:
        raise cursor.error(
            f"{what} of {rows:,} rows of {parts:,} codes needs {rows * parts:,} codes, but has "
            f"{size:,}",
            at=start + 17,
            value=size,
        )
    norms = None
    if with_norms:
        norm_codes = cursor.array("u1", rows, f"the {rows:,} norms of {what}")
        norms = _read_centroids(cursor, f"the norms of {what}", 1)[:, 0][norm_codes]
    return Quantized(codes.reshape(rows, parts), centroids, norms, dim)


def _read_centroids(cursor: Cursor, what: str, dim: int) -> Vectors:
    """Return the centroids of a product quantiser, float32 `(parts * 256, width)`."""
    start = cursor.at
    found = cursor.unpack("<4i", f"the quantiser of {what}")
    dsub = found[2]
    parts = -(-dim // max(dsub, 1))
    if dsub < 1 or found != (dim, parts, dsub, dim - (parts - 1) * dsub):
        raise cursor.error(
            f"the quantiser of {what} splits {found[0]:,} numbers into {found[1]:,} parts of "
            f"{found[2]:,}, the last of {found[3]:,}, which does not add up to {dim:,}",
            at=start,
        )
    numbers = cursor.array("<f4", dim * CENTROIDS, f"the centroids of {what}")
    width = min(dsub, dim)
    split = (parts - 1) * CENTROIDS * width
    centroids = np.zeros((parts * CENTROIDS, width), np.float32)
    centroids[:-CENTROIDS] = numbers[:split].reshape(-1, width)
    centroids[-CENTROIDS:, : found[3]] = numbers[split:].reshape(CENTROIDS, -1)
    return centroids
