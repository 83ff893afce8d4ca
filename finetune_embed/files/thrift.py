"""Structures in Thrift's compact protocol, which Parquet files use for their footer and pages.

Specification: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from typing import Any, TypeVar

__all__ = ["Fields", "read_structure"]

MAX_DEPTH = 16  # of structures and lists inside each other
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _STRUCTURE = 1, 2, 3, 7, 8, 12
_INTEGERS, _LISTS = (4, 5, 6), (9, 10)

Item = TypeVar("Item")


class Fields(dict[int, Any]):
    """The fields of a structure by their numbers. Each method raises ValueError for another type.

    Texts and numbers with fractions are None.
    """

    def count(self, number: int) -> int:
        """Return an integer that is not negative."""
        value = self.get(number)
        if type(value) is not int or value < 0:
            raise ValueError(f"field {number} is {value!r:.50}, not a count")
        return value

    def numbers(self, number: int) -> list[int]:
        """Return a list of integers."""
        return self._list(number, int)

    def structures(self, number: int) -> list[Fields]:
        """Return a list of structures."""
        return self._list(number, Fields)

    def structure(self, number: int) -> Fields:
        """Return a structure."""
        value = self.get(number)
        if not isinstance(value, Fields):
            raise ValueError(f"field {number} is not a structure")
        return value

    def _list(self, number: int, kind: type[Item]) -> list[Item]:
        value = self.get(number)
        if not isinstance(value, list) or not all(type(item) is kind for item in value):
            raise ValueError(f"field {number} is not a list of {kind.__name__}")
        return value


def read_structure(data: memoryview) -> tuple[Fields, int]:
    """Return the fields of a structure at the start of some bytes, and its length.

    Raises:
        ValueError: it is damaged or cut short.
    """
    reader = _Reader(data)
    return reader.structure(0), reader.at


class _Reader:
    """Reads one value after another."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self.at = 0

    def structure(self, depth: int) -> Fields:
        fields, number = Fields(), 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._skip(self._varint())
        if kind in (_TRUE, _FALSE, _BYTE, _DOUBLE):
            return self._skip(8 if kind == _DOUBLE else 1)
        if kind == _STRUCTURE and depth < MAX_DEPTH:
            return self.structure(depth + 1)
        if kind in _LISTS and depth < MAX_DEPTH:
            head = self._byte()
            length = self._varint() if head >> 4 == 15 else head >> 4
            if length > len(self._data) - self.at:  # an item takes a byte or more
                raise ValueError(f"a list of {length:,} items is cut short")
            return [self._value(head & 15, depth + 1) for _ in range(length)]
        raise ValueError(f"a field is of type {kind}")

    def _byte(self) -> int:
        self._skip(1)
        return self._data[self.at - 1]

    def _skip(self, size: int) -> None:
        if size > len(self._data) - self.at:
            raise ValueError(f"a field of {size:,} bytes is cut short")
        self.at += size

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80 and shift < 63:
            value |= (byte & 0x7F) << shift
            shift += 7
        return value | byte << shift

    def _integer(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
