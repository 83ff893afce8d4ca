"""The `.npy` container: one array in a file, its header checked before it is believed.

Specification: NEP 1, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
The header is read by numpy itself; what needs pickle is never read.
"""

from __future__ import annotations

import io
import math
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...table import Vectors

__all__ = [
    "MAX_SIZE",
    "Readable",
    "RowStack",
    "StoredArray",
    "as_float32",
    "open_array",
    "source_dtype",
]

Rows = npt.NDArray[np.int64]

MAX_SIZE = 1 << 20  # numbers in a vector, characters in a word
BLOCK = 1 << 22  # bytes of an array converted at a time
HEADER = 1 << 16
#: What a damaged header raises, in numpy and in the modules of Python that it uses.
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OverflowError,
    SyntaxError,
    RecursionError,
    MemoryError,
    EOFError,
    tokenize.TokenError,
)


class Readable(Protocol):
    """What an array can be read from: bytes in order."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""


@dataclass(frozen=True)
class StoredArray:
    """An array whose header was read and checked.

    Attributes:
        name: where it comes from, for messages.
        shape: what the header says.
        dtype: the type of a number, or of a word.
        fortran: the columns lie one after the other, not the rows.
        data: the bytes behind the header where they lie in memory or in a file; else None.
        file: where to read them from, where `data` is None.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    data: memoryview | None
    file: Readable

    @property
    def is_matrix(self) -> bool:
        """Whether it is numbers `(V, D)`."""
        return len(self.shape) == 2 and self.dtype.kind in "fiu"

    @property
    def is_words(self) -> bool:
        """Whether it is words `(V,)`: of characters, or of bytes."""
        return len(self.shape) == 1 and self.dtype.kind in "US"

    def __str__(self) -> str:
        kind = "object" if self.dtype.hasobject else self.dtype.str
        return f"{kind} {list(self.shape)}"

    def whole(self) -> npt.NDArray[Any]:
        """Return the array, in place and read-only where its bytes are at hand.

        Raises:
            VectorFileError: the file holds fewer or more bytes than the header promises.
        """
        needed = math.prod(self.shape) * self.dtype.itemsize
        data = _rest(self.file, needed) if self.data is None else self.data
        if len(data) != needed:
            self._refuse_length(len(data))
        flat = np.frombuffer(data, self.dtype)
        return flat.reshape(self.shape, order="F" if self.fortran else "C")

    def blocks(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the array by blocks of rows.

        Raises:
            VectorFileError: the file holds fewer or more bytes than the header promises.
        """
        rows, row_bytes = self.shape[0], math.prod(self.shape[1:]) * self.dtype.itemsize
        step = max(1, BLOCK // max(row_bytes, 1))
        if self.data is not None or self.fortran:
            array = self.whole()
            yield from (array[start : start + step] for start in range(0, rows, step))
            return
        for start in range(0, rows, step):
            count = min(step, rows - start)
            data = self.file.read(count * row_bytes)
            if len(data) < count * row_bytes:
                self._refuse_length(start * row_bytes + len(data))
            yield np.frombuffer(data, self.dtype).reshape((count, *self.shape[1:]))
        if self.file.read(1):
            self._refuse_length(rows * row_bytes + 1)

    def _refuse_length(self, found: int) -> None:
        needed = math.prod(self.shape) * self.dtype.itemsize
        cure = (
            "it is cut short; fetch the file again"
            if found < needed
            else "save the array by itself: numpy.save(path, array)"
        )
        raise VectorFileError(
            f"{self.name}: the header promises {self}, which is {needed:,} bytes, but "
            f"{'at least ' if found > needed else ''}{found:,} follow it; {cure}"
        )


def open_array(name: str, file: Readable, data: memoryview | None = None) -> StoredArray:
    """Read and check the header of an array.

    Args:
        name: where it comes from, for messages.
        file: where to read it from.
        data: all its bytes instead, where they lie in memory or in a file.

    Raises:
        VectorFileError: the header is damaged.
    """
    if data is not None:
        file = io.BytesIO(data[:HEADER])
    shape, fortran, dtype, length = _header(name, file)
    rest = None if data is None else data[length:]
    return StoredArray(name, shape, dtype, fortran and len(shape) > 1, rest, file)


def _header(name: str, file: Readable) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, order and type of an array, and the length of its header."""
    counted = _Counted(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about headers of Python 2, which are read all the same
            version = np.lib.format.read_magic(counted)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(counted)
            elif version in ((2, 0), (3, 0)):  # the third differs for named fields only
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(counted)
            else:
                raise ValueError(f"its version is {version}")
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise VectorFileError(f"{name}: the array's header is damaged ({reason})") from error
    if min(shape, default=0) < 0:
        raise VectorFileError(f"{name}: the array's header is damaged (its shape is {shape})")
    return shape, bool(fortran), dtype, counted.position


class _Counted:
    """Bytes read in order, and how many they were."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.position = 0

    def read(self, size: int = -1, /) -> bytes:
        if size < 0 or self.position + size > HEADER:
            raise ValueError(f"it claims {size:,} bytes")
        data = self._file.read(size)
        self.position += len(data)
        return data


def _rest(file: Readable, most: int) -> memoryview:
    """Return what is left of a file, but not much more than was promised."""
    data = bytearray()
    while len(data) <= most and (part := file.read(BLOCK)):
        data += part
    return memoryview(data)


def as_float32(block: npt.NDArray[Any], name: str, rows: Sequence[int] | Rows) -> Vectors:
    """Return numbers `(n, D)` as float32.

    Args:
        block: the numbers, of any real type.
        name: what they are, for messages.
        rows: the row of each in the whole.

    Raises:
        VectorFileError: one is finite and too large for float32.
    """
    try:
        with np.errstate(over="raise", invalid="ignore"):
            return np.asarray(block, np.float32)
    except FloatingPointError as error:
        sizes = np.where(np.isfinite(block), np.abs(block), 0)
        row, column = np.unravel_index(int(sizes.argmax()), sizes.shape)
        raise VectorFileError(
            f"{name}[{rows[int(row)]}] holds {block[row, column]:g}, which is too large for "
            "float32 (3.4e38); scale the vectors down"
        ) from error


def source_dtype(dtype: np.dtype[Any]) -> dict[str, str]:
    """Return what a table's metadata tell of its file's numbers: their type, if not float32."""
    return {} if dtype.name == "float32" else {"source_dtype": dtype.name}


class RowStack:
    """Rows of float32 collected block by block; the array grows as they come.

    Args:
        vector_size: numbers in a row.
    """

    def __init__(self, vector_size: int) -> None:
        self.vector_size = vector_size
        self._only: Vectors | None = None  # as long as there is but one block, it is not copied
        self._vectors = np.empty((0, vector_size), np.float32)
        self._rows = 0

    def extend(self, rows: Vectors) -> None:
        """Add rows `(n, D)`, which must not change later."""
        if not len(rows):
            return
        usable = rows.flags.c_contiguous and rows.flags.aligned
        if self._only is None and not self._rows and usable:
            self._only = rows
            return
        if self._only is not None:
            first, self._only = self._only, None
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
        if self._only is not None:
            return self._only
        self._vectors.resize((self._rows, self.vector_size), refcheck=False)
        return self._vectors
