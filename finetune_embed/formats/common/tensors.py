"""The safetensors container: named arrays in one file, each checked before it is believed.

Specification: https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import Source
from .sniff import MAX_SAFETENSORS_HEADER

__all__ = ["DTYPES", "TensorFile", "open_tensors"]

#: numpy's name for each type of number that is read.
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
}
_MAX_LENGTH = 1 << 48  # of a tensor's side; more is no table, and numpy could not index it
#: What a header raises that is JSON no writer of safetensors writes.
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
)


@dataclass(frozen=True)
class TensorFile:
    """A safetensors file whose header was read and checked.

    Attributes:
        name: where it comes from, for messages.
        tensors: what the header says of each tensor.
        metadata: plain strings.
        data: the bytes behind the header.
    """

    name: str
    tensors: dict[str, Any]
    metadata: dict[str, str]
    data: memoryview

    def dtype(self, tensor: str) -> str:
        """Return the type that the header names for a tensor, such as `F32`."""
        try:
            return str(self.tensors[tensor]["dtype"])
        except _DAMAGE as error:
            raise self._damaged(tensor) from error

    def read(self, tensor: str, dtype: str, ndim: int) -> npt.NDArray[Any]:
        """Return one tensor, read-only and in place.

        Raises:
            VectorFileError: it is of another type or number of dimensions, or its place in the
                file is not as large as its shape needs.
        """
        spec = self.tensors[tensor]
        try:
            shape = tuple(int(length) for length in spec["shape"])
            begin, end = (int(offset) for offset in spec["data_offsets"])
        except _DAMAGE as error:
            raise self._damaged(tensor) from error
        found = self.dtype(tensor)
        if found != dtype or len(shape) != ndim or not 0 <= min(shape) <= max(shape) <= _MAX_LENGTH:
            raise VectorFileError(
                f"{self.name}: {tensor} is {found} {list(shape)}, but {dtype} of {ndim} dimensions "
                "is needed"
            )
        array_dtype = np.dtype(DTYPES[dtype])
        needed = int(np.prod(shape, dtype=object)) * array_dtype.itemsize
        if not (0 <= begin <= end <= len(self.data)) or needed != end - begin:
            raise VectorFileError(
                f"{self.name}: {tensor} of shape {list(shape)} needs {needed:,} bytes, its place "
                f"in the file has {end - begin:,}; the file is damaged"
            )
        return np.frombuffer(self.data[begin:end], array_dtype).reshape(shape)

    def _damaged(self, tensor: str) -> VectorFileError:
        return VectorFileError(f"{self.name}: the header's entry for {tensor} is damaged")


def open_tensors(source: Source) -> TensorFile:
    """Read and check the header of a safetensors file.

    Raises:
        VectorFileError: the header is damaged, or the file is shorter or longer than it promises.
    """
    data = source.whole()
    length = int.from_bytes(data[:8], "little")
    if length > min(MAX_SAFETENSORS_HEADER, len(data) - 8):
        raise VectorFileError(
            f"{source.name}: its header claims {length:,} bytes of a file of {len(data):,}; it is "
            "damaged or no safetensors file; fetch it again"
        )
    try:
        header = json.loads(bytes(data[8 : 8 + length]))
        metadata = header.pop("__metadata__", {})
        end = max((int(spec["data_offsets"][1]) for spec in header.values()), default=0)
        if not all(isinstance(value, str) for value in metadata.values()):
            raise TypeError("its metadata are not strings")
    except _DAMAGE as error:
        raise VectorFileError(
            f"{source.name}: its safetensors header is damaged ({error})"
        ) from error
    if 8 + length + end != len(data):
        raise VectorFileError(
            f"{source.name}: its header promises {8 + length + end:,} bytes, the file has "
            f"{len(data):,}; it is cut short or damaged; fetch it again"
        )
    return TensorFile(source.name, header, metadata, data[8 + length :])
