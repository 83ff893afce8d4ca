"""The decompressed sizes that the buffers of an Arrow file or stream claim, before it is read.

Specification: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-
communication-ipc, and `Message.fbs` and `File.fbs` there. Messages are FlatBuffers:
https://flatbuffers.dev/internals/.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["claimed_size"]

_MAGIC = b"ARROW1"
_DICTIONARY, _RECORDS = 2, 3  # types of messages
# Fields of the tables in the schemas.
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_DATA = 1  # of a dictionary: its record batch
_BUFFERS, _COMPRESSION = 2, 3  # of a record batch
_DICTIONARIES, _BATCHES = 2, 3  # of the footer of a file
_BLOCK, _BUFFER = struct.Struct("<qi4xq"), struct.Struct("<qq")


def claimed_size(data: memoryview) -> int:
    """Return the bytes that all compressed buffers of a file or a stream claim to expand to.

    Raises:
        ValueError: it is damaged.
    """
    is_file = data[: len(_MAGIC)] == _MAGIC
    try:
        return sum(_claim(data, *place) for place in (_in_file if is_file else _in_stream)(data))
    except struct.error as error:
        raise ValueError(f"a message is cut short: {error}") from error


def _in_file(data: memoryview) -> Iterator[tuple[int, int]]:
    """Yield where the messages of a file begin, and their bodies."""
    end = len(data) - len(_MAGIC) - 4
    (length,) = struct.unpack_from("<i", data, end)
    footer = _Table.root(data[end - length : end])
    for field in (_DICTIONARIES, _BATCHES):
        for start, metadata, _ in footer.structures(field, _BLOCK):
            yield start, start + metadata


def _in_stream(data: memoryview) -> Iterator[tuple[int, int]]:
    """Yield where the messages of a stream begin, and their bodies."""
    at = 0
    while len(data) - at >= 8:
        length = _length(data, at)
        if not length:
            return
        body = at + 8 + length
        yield at, body
        at = body + _Table.root(data[at + 8 : body]).integer(_BODY_LENGTH, "<q")


def _length(data: memoryview, at: int) -> int:
    mark, length = struct.unpack_from("<Ii", data, at)
    if mark != 0xFFFFFFFF or length < 0 or at < 0:
        raise ValueError(f"no message starts at byte {at:,}")
    return int(length)


def _claim(data: memoryview, at: int, body: int) -> int:
    """Return the bytes that the compressed buffers of a message claim to expand to."""
    message = _Table.root(data[at + 8 : at + 8 + _length(data, at)])
    kind = message.integer(_HEADER_TYPE, "<B")
    if kind not in (_DICTIONARY, _RECORDS):
        return 0
    batch = message.table(_HEADER)
    if batch is not None and kind == _DICTIONARY:
        batch = batch.table(_DATA)
    if batch is None or batch.table(_COMPRESSION) is None:
        return 0
    claimed = 0
    for start, length in batch.structures(_BUFFERS, _BUFFER):
        if length >= 8 and start >= 0:
            claimed += max(0, struct.unpack_from("<q", data, body + start)[0])
    return claimed


class _Table:
    """A table of a FlatBuffer.

    Args:
        data: the buffer.
        at: where the table begins.
    """

    def __init__(self, data: memoryview, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - struct.unpack_from("<i", data, at)[0]
        if not 0 <= self._fields < len(data):
            raise ValueError("a table is damaged")

    @classmethod
    def root(cls, data: memoryview) -> _Table:
        return cls(data, struct.unpack_from("<I", data)[0])

    def _place(self, field: int) -> int:
        """Return where a field is stored; 0 if it is left out."""
        (size,) = struct.unpack_from("<H", self._data, self._fields)
        if 4 + 2 * field >= size:
            return 0
        (offset,) = struct.unpack_from("<H", self._data, self._fields + 4 + 2 * field)
        return self._at + offset if offset else 0

    def integer(self, field: int, layout: str) -> int:
        at = self._place(field)
        return int(struct.unpack_from(layout, self._data, at)[0]) if at else 0

    def table(self, field: int) -> _Table | None:
        at = self._place(field)
        return _Table(self._data, at + self.integer(field, "<I")) if at else None

    def structures(self, field: int, layout: struct.Struct) -> Iterator[tuple[int, ...]]:
        at = self._place(field)
        if at:
            at += self.integer(field, "<I")
            (count,) = struct.unpack_from("<I", self._data, at)
            if count > len(self._data) // layout.size:
                raise ValueError("a list is cut short")
            for number in range(count):
                yield layout.unpack_from(self._data, at + 4 + number * layout.size)
