"""Writes safetensors files, block by block."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from .tensors import DTYPES

__all__ = ["WRITE_BYTES", "Tensor", "check_metadata", "tensor_of", "write_tensors"]

Array = npt.NDArray[Any]
WRITE_BYTES = 1 << 22
_NAMES = {dtype: name for name, dtype in DTYPES.items()}


@dataclass(frozen=True)
class Tensor:
    """A tensor to be written.

    Attributes:
        name: its name.
        dtype: the type of its numbers, as it is named in the header, such as `F32`.
        shape: its shape.
        block: returns some of its rows, from the first up to the second number.
        step: the number of rows in a block.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    block: Callable[[int, int], Array]
    step: int

    @property
    def bytes_of_row(self) -> int:
        """The bytes that a row takes, or an element of a vector."""
        return math.prod(self.shape[1:]) * np.dtype(DTYPES[self.dtype]).itemsize

    @property
    def size(self) -> int:
        """The bytes that the tensor takes."""
        return self.shape[0] * self.bytes_of_row

    def blocks(self) -> Iterable[Array]:
        """Yield the rows in blocks, in the type of the file."""
        for start in range(0, self.shape[0], self.step):
            block = self.block(start, min(start + self.step, self.shape[0]))
            yield np.ascontiguousarray(block, DTYPES[self.dtype])


def tensor_of(name: str, array: Array) -> Tensor:
    """Return an array as a tensor to be written."""
    dtype = _NAMES[array.dtype.newbyteorder("<").str]
    step = max(1, WRITE_BYTES // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))
    return Tensor(name, dtype, array.shape, lambda start, stop: array[start:stop], step)


def write_tensors(file: BinaryIO, tensors: Sequence[Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors in this order, after a header; equal ones give equal bytes."""
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))} if metadata else {}
    position = 0
    for one in tensors:
        end = position + one.size
        header[one.name] = {
            "dtype": one.dtype,
            "shape": list(one.shape),
            "data_offsets": [position, end],
        }
        position = end
    encoded = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    encoded += b" " * (-len(encoded) % 8)
    file.write(struct.pack("<Q", len(encoded)) + encoded)
    for one in tensors:
        for block in one.blocks():
            file.write(block.data)


def check_metadata(metadata: Mapping[Any, Any]) -> None:
    """Check that metadata are strings that UTF-8 can encode.

    Raises:
        VectorFileError: they are not.
    """
    for name, value in metadata.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise VectorFileError(
                f"metadata[{name!r}] is {value!r}, not a string",
                value=value,
                remedy="convert it; safetensors metadata are strings",
            )
        try:
            (name + value).encode()
        except UnicodeEncodeError as error:
            raise VectorFileError(
                f"metadata[{name!r}] is {value!r}, which UTF-8 can't encode",
                value=value,
                remedy="remove its lone surrogates; safetensors metadata are UTF-8",
            ) from error
