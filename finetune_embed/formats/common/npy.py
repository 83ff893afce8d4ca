"""The `.npy` container: one array in a file, read after its header was checked.

Specification: NEP 1, https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
numpy itself parses the header. Arrays that need pickle are never read.
"""

from __future__ import annotations

import io
import math
import tokenize
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import refuse_bomb

__all__ = ["MAX_SIZE", "WORD", "Readable", "StoredArray", "open_array"]

MAX_SIZE = 1 << 20  # numbers in a vector, characters in a word
BLOCK = 1 << 22  # bytes of an array converted at a time
WORD = 64  # bytes that a short word takes in memory
HEADER = 1 << 16  # bytes that a header may take
#: What numpy, and the Python modules that it uses, raise for a damaged header.
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
    """A stream of bytes that an array can be read from."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""


@dataclass(frozen=True)
class StoredArray:
    """An array whose header was read and checked.

    Attributes:
        name: its file, for messages.
        shape: its shape according to the header.
        dtype: the type of a number or of a word.
        fortran: whether it is stored column by column.
        data: the bytes after the header, if they are in memory or in a mapped file; else None.
        file: the stream to read them from if `data` is None.
        packed: the bytes that it takes in an archive; None outside one.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    data: memoryview | None
    file: Readable
    packed: int | None = None

    @property
    def is_matrix(self) -> bool:
        """Whether it holds numbers `(V, D)`."""
        return len(self.shape) == 2 and self.dtype.kind in "fiu"

    @property
    def is_words(self) -> bool:
        """Whether it holds words `(V,)`, as characters or bytes."""
        return len(self.shape) == 1 and self.dtype.kind in "US"

    def __str__(self) -> str:
        kind = "object" if self.dtype.hasobject else self.dtype.str
        return f"{kind} {list(self.shape)}"

    def check_claim(self, stored: int) -> None:
        """Check the sizes that the header claims, before memory is taken for them.

        Words of a fixed width may be mostly padding, so only their number counts here.

        Args:
            stored: the bytes that the file claims to have, header included.

        Raises:
            VectorFileError: the header promises more, or the array takes too much memory.
        """
        count = math.prod(self.shape)
        if count * self.dtype.itemsize > stored:
            raise self._wrong_length(stored)
        least = WORD if self.dtype.kind in "US" else 4 * self.is_matrix
        self.check_size(count * max(least, 0 if self.is_words else self.dtype.itemsize))

    def check_size(self, expanded: int) -> None:
        """Check the bytes that the array takes in memory.

        Raises:
            VectorFileError: they are too many for the bytes that it takes in an archive.
        """
        if self.packed is not None:
            refuse_bomb(self.packed, expanded, self.name)

    def read(self) -> npt.NDArray[Any]:
        """Return the array, in place and read-only if its bytes are in memory or mapped.

        Raises:
            VectorFileError: the file holds fewer or more bytes than the header promises.
        """
        needed = math.prod(self.shape) * self.dtype.itemsize
        data = _read_rest(self.file, needed) if self.data is None else self.data
        if len(data) != needed:
            raise self._wrong_length(len(data))
        flat = np.frombuffer(data, self.dtype)
        return flat.reshape(self.shape, order="F" if self.fortran else "C")

    def blocks(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the array in blocks of rows.

        Raises:
            VectorFileError: the file holds fewer or more bytes than the header promises.
        """
        rows, row_bytes = self.shape[0], math.prod(self.shape[1:]) * self.dtype.itemsize
        step = max(1, BLOCK // max(row_bytes, 1))
        if self.data is not None or self.fortran:
            array = self.read()
            yield from (array[start : start + step] for start in range(0, rows, step))
            return
        for start in range(0, rows, step):
            count = min(step, rows - start)
            data = self.file.read(count * row_bytes)
            if len(data) < count * row_bytes:
                raise self._wrong_length(start * row_bytes + len(data))
            yield np.frombuffer(data, self.dtype).reshape((count, *self.shape[1:]))
        if self.file.read(1):
            raise self._wrong_length(rows * row_bytes + 1)

    def _wrong_length(self, found: int) -> VectorFileError:
        needed = math.prod(self.shape) * self.dtype.itemsize
        promise = f"the header promises {self}, which is {needed:,} bytes"
        if found < needed:
            return VectorFileError(
                f"{promise}, but only {found:,} follow it",
                where=self.name,
                remedy="the file is cut short; fetch it again",
            )
        return VectorFileError(
            f"{promise}, but at least {found:,} follow it",
            where=self.name,
            remedy="save the array in a file of its own: numpy.save(path, array)",
        )


def open_array(name: str, file: Readable, data: memoryview | None = None) -> StoredArray:
    """Read and check the header of an array.

    Args:
        name: its file, for messages.
        file: the stream to read it from.
        data: all bytes of the file instead, if they are in memory or mapped.

    Raises:
        VectorFileError: the header is damaged.
    """
    if data is not None:
        file = io.BytesIO(data[:HEADER])
    shape, fortran, dtype, length = _header(name, file)
    rest = None if data is None else data[length:]
    return StoredArray(name, shape, dtype, fortran and len(shape) > 1, rest, file)


def _header(name: str, file: Readable) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return the shape, order and type of an array, and the length of its header."""
    counted = _HeaderReader(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about headers written by Python 2
            version = np.lib.format.read_magic(counted)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(counted)
            elif version in ((2, 0), (3, 0)):  # 3.0 only differs for named fields
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(counted)
            else:
                raise ValueError(f"its version is {version}")
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200]
        raise _damaged_header(name, reason) from error
    if min(shape, default=0) < 0:
        raise _damaged_header(name, f"its shape is {shape}")
    return shape, bool(fortran), dtype, counted.position


def _damaged_header(name: str, reason: str) -> VectorFileError:
    return VectorFileError(
        f"the array's header is damaged ({reason})", where=name, remedy="fetch the file again"
    )


class _HeaderReader:
    """A stream that counts the bytes it returns, up to the largest header."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.position = 0

    def read(self, size: int = -1, /) -> bytes:
        if size < 0 or self.position + size > HEADER:
            raise ValueError(f"it claims {size:,} bytes")
        data = self._file.read(size)
        self.position += len(data)
        return data


def _read_rest(file: Readable, promised: int) -> memoryview:
    """Return the rest of a file, but not much more than was promised."""
    data = bytearray()
    while len(data) <= promised and (part := file.read(BLOCK)):
        data += part
    return memoryview(data)
