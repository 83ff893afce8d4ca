"""The file `key2row` of spaCy vectors, a msgpack map from integers to integers.

Specification: https://github.com/msgpack/msgpack/blob/master/spec.md.
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import Source, open_source

__all__ = ["pack_key2row", "read_key2row"]

PAIR = 64  # bytes that a key and its row take at most
#: Bytes of the big-endian integer after each msgpack tag.
_WIDTHS = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}
_MAP4, _MAP16, _MAP32 = 0x80, 0xDE, 0xDF


def read_key2row(path: Path) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the hashes of the keys and the row of each, both `(n,)`, in the file's order.

    Raises:
        VectorFileError: the file is missing, incomplete, or holds anything else.
    """
    with open_source(path) as source:
        data = bytes(source.read_all())
        tag, width = data[0], {_MAP16: 2, _MAP32: 4}.get(data[0], 0)
        if tag & 0xF0 != _MAP4 and not width:
            raise _damaged(source, 0)
        at = 1 + width
        count = int.from_bytes(data[1:at], "big") if width else tag & 0x0F
        source.refuse_bomb(PAIR * count)
        if len(data) - at < 2 * count:
            raise _damaged(source, len(data))
        numbers = array("Q")
        for _ in range(2 * count):
            tag = data[at] if at < len(data) else 0xC0
            if tag < 0x80:
                numbers.append(tag)
                at += 1
                continue
            end = at + 1 + _WIDTHS.get(tag, len(data))
            if end > len(data):
                raise _damaged(source, at)
            numbers.append(int.from_bytes(data[at + 1 : end], "big"))
            at = end
        if at != len(data):
            raise _damaged(source, at)
    pairs = np.array(numbers, np.uint64).reshape(count, 2)
    return pairs[:, 0], np.minimum(pairs[:, 1], np.iinfo(np.int64).max).astype(np.int64)


def _damaged(source: Source, at: int) -> VectorFileError:
    return VectorFileError(
        f"byte {at:,} does not belong to a msgpack map from keys to rows",
        where=source.name,
        value=at,
        remedy="the file is incomplete or damaged; fetch it again",
    )


def pack_key2row(hashes: npt.NDArray[np.uint64]) -> bytes:
    """Return the bytes of a map from these keys to the rows 0, 1, 2 and so on."""
    packed = [_packed_map(len(hashes))]
    for row, key in enumerate(hashes.tolist()):
        packed += _packed(key), _packed(row)
    return b"".join(packed)


def _packed_map(count: int) -> bytes:
    if count < 16:
        return bytes([_MAP4 | count])
    small = count < 1 << 16
    return struct.pack(">BH" if small else ">BI", _MAP16 if small else _MAP32, count)


def _packed(number: int) -> bytes:
    """Return the shortest msgpack encoding of an integer."""
    if number < 0x80:
        return bytes([number])
    tag, width = next((tag, width) for tag, width in _WIDTHS.items() if number < 1 << 8 * width)
    return bytes([tag]) + number.to_bytes(width, "big")
