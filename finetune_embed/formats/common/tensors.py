"""The safetensors container: named arrays in one file, read after their entries were checked.

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
from .folders import JSON_SIZE
from .sniff import MAX_SAFETENSORS_HEADER

__all__ = ["DTYPES", "TensorFile", "open_tensors"]

#: numpy's name for each supported type of number; it has none for bfloat16, read as its bits.
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
}
_MAX_LENGTH = 1 << 48  # of a dimension; numpy could not index more
#: What reading a header raises if it is JSON of another structure.
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
        name: the file's name, for messages.
        tensors: the header's entry for each tensor.
        metadata: the header's metadata.
        data: the bytes after the header.
    """

    name: str
    tensors: dict[str, Any]
    metadata: dict[str, str]
    data: memoryview

    def dtype(self, tensor: str) -> str:
        """Return the type of a tensor as it is named in the header, such as `F32`."""
        try:
            return str(self.tensors[tensor]["dtype"])
        except _DAMAGE as error:
            raise self._damaged(tensor) from error

    def read(self, tensor: str, dtype: str, ndim: int) -> npt.NDArray[Any]:
        """Return one tensor, read-only and in place.

        Raises:
            VectorFileError: the tensor is of another type or number of dimensions, or its shape
                needs another number of bytes than it has.
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
                f"{tensor} is {found} {list(shape)}, but {dtype} with {ndim} dimensions is needed",
                where=self.name,
            )
        array_dtype = np.dtype(DTYPES[dtype])
        needed = int(np.prod(shape, dtype=object)) * array_dtype.itemsize
        if not (0 <= begin <= end <= len(self.data)) or needed != end - begin:
            raise VectorFileError(
                f"{tensor} of shape {list(shape)} needs {needed:,} bytes, but the file has "
                f"{end - begin:,} for it",
                where=self.name,
                remedy="the file is damaged; fetch it again",
            )
        return np.frombuffer(self.data[begin:end], array_dtype).reshape(shape)

    def _damaged(self, tensor: str) -> VectorFileError:
        return VectorFileError(
            f"the header's entry for {tensor} is damaged",
            where=self.name,
            remedy="fetch the file again",
        )


def open_tensors(source: Source) -> TensorFile:
    """Read and check the header of a safetensors file.

    Raises:
        VectorFileError: the header is damaged, or the file is shorter or longer than it promises.
    """
    data = source.read_all()
    length = int.from_bytes(data[:8], "little")
    if length > min(MAX_SAFETENSORS_HEADER, len(data) - 8):
        raise VectorFileError(
            f"the header claims {length:,} bytes of a file of {len(data):,}, so this is not a "
            "safetensors file, or it is damaged",
            where=source.name,
            remedy="fetch it again",
        )
    source.refuse_bomb(JSON_SIZE * length)
    try:
        header = json.loads(bytes(data[8 : 8 + length]))
        metadata = header.pop("__metadata__", {})
        end = max((int(spec["data_offsets"][1]) for spec in header.values()), default=0)
        if not all(isinstance(value, str) for value in metadata.values()):
            raise TypeError("its metadata is not strings")
    except _DAMAGE as error:
        raise VectorFileError(
            f"the safetensors header is damaged ({error})",
            where=source.name,
            remedy="fetch the file again",
        ) from error
    if 8 + length + end != len(data):
        raise VectorFileError(
            f"the header promises {8 + length + end:,} bytes, but the file has {len(data):,}",
            where=source.name,
            remedy="it is damaged or cut short; fetch it again",
        )
    return TensorFile(source.name, header, metadata, data[8 + length :])
