"""The bound on the memory that a file may take for its size, of every kind and entrance."""

from __future__ import annotations

import io
import os
import string
from collections.abc import Callable
from typing import BinaryIO

from ..errors import FinetuneEmbedError, VectorFileError

__all__ = ["bounded", "refuse_bomb"]

#: A file may take this many times its bytes. Text of vectors compresses about 2.3 to 1, tables of
#: labels 20 to 1, so only bombs exceed this.
MOST = 200
FLOOR = 1 << 26  # below 64 MB nothing is a bomb
VALUE = 16  # bytes that a field takes besides its text, at least
NESTED = 64  # more of them, of a list or an object in JSON
_BLOCK = 1 << 18
_IN_FIELDS = string.ascii_letters.encode() + string.digits.encode() + bytes(range(0x80, 0x100))


def refuse_bomb(
    packed: int,
    expanded: int,
    where: str | os.PathLike[str],
    error: type[FinetuneEmbedError] = VectorFileError,
) -> None:
    """Refuse data that takes too much memory for its size.

    Args:
        packed: the bytes that the data takes in the file.
        expanded: the bytes that it takes in memory, or a part of it that is known to.
        where: the file, for the message.
        error: what is raised.
    """
    if expanded > max(MOST * packed, FLOOR):
        raise error(
            f"{packed:,} bytes expand to {expanded:,} or more, over {MOST} to 1",
            where=where,
            remedy="if you trust it, unpack it, or read it with the library that wrote it",
        )


def bounded(
    stream: BinaryIO, packed: int, where: str | os.PathLike[str], error: type[FinetuneEmbedError]
) -> io.BufferedReader:
    """Return a reader of the decompressed text of examples that refuses what takes too much memory.

    A text is held twice while it is parsed. As many fields can be in it as characters that are no
    letters and no digits.

    Args:
        stream: the decompressed bytes, closed with the reader.
        packed: the bytes that they take on disk.
        where: the file, for messages.
        error: what is raised; see `refuse_bomb`.
    """
    expanded = 0

    def check(data: bytes) -> None:
        nonlocal expanded
        expanded += 2 * len(data) + VALUE * len(data.translate(None, _IN_FIELDS))
        expanded += NESTED * (data.count(b"[") + data.count(b"{"))
        refuse_bomb(packed, expanded, where, error)

    return io.BufferedReader(_CheckedReader(stream, check), _BLOCK)


class _CheckedReader(io.RawIOBase):
    """Reads a stream and calls a function with each block."""

    def __init__(self, stream: BinaryIO, check: Callable[[bytes], None]) -> None:
        self._stream, self._check = stream, check

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed asks for any buffer; BufferedReader gives this one
        data = self._stream.read(len(buffer))
        self._check(data)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
