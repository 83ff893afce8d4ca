"""Recognise compressed data by its first bytes, and decompress it."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any, cast

__all__ = [
    "ARCHIVES",
    "COMPRESSED",
    "DAMAGE",
    "KIND_BYTES",
    "PrefixedReader",
    "decompressor",
    "kind_of",
]

_PACKED = 1 << 17  # compressed bytes read at a time
#: Kinds of compressed files by their first bytes. All but zip can be read from a pipe.
COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}
ARCHIVES = ("zip", "tar")
_TAR = (257, b"ustar")
KIND_BYTES = _TAR[0] + len(_TAR[1])  # the bytes that `kind_of` needs
#: What decompressors raise on damaged data.
DAMAGE = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    RuntimeError,
    ValueError,
    IndexError,  # a zip member without a name
)


def kind_of(head: bytes) -> str:
    """Return how a file is compressed, by its first bytes; `""` if it is not."""
    if head[_TAR[0] : KIND_BYTES] == _TAR[1]:
        return "tar"
    return next((kind for magic, kind in COMPRESSED.items() if head.startswith(magic)), "")


def decompressor(kind: str, stream: io.BufferedReader) -> Any:
    """Return a stream of the decompressed bytes of `stream`."""
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if kind == "bzip2":
        return io.BufferedReader(_ConcatenatedReader(stream, bz2.BZ2Decompressor), _PACKED)
    if kind == "xz":
        return io.BufferedReader(_ConcatenatedReader(stream, lzma.LZMADecompressor), _PACKED)
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(stream, "r"), "zstd")


class _PieceReader(io.RawIOBase):
    """A raw reader of the bytes that `piece` returns."""

    def piece(self, size: int) -> bytes:
        """Return some of the next bytes, at most `size`; none at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self.piece(len(view))
        view[: len(data)] = data
        return len(data)


class PrefixedReader(_PieceReader):
    """Reads bytes that were taken from a stream earlier, then the rest of the stream.

    Args:
        head: the bytes taken earlier.
        rest: the stream.
        check: called with the number of bytes returned so far, after each piece.
    """

    def __init__(self, head: bytes, rest: Any, check: Callable[[int], None]) -> None:
        self._head, self._rest, self._check = head, rest, check
        self._returned = 0

    def piece(self, size: int) -> bytes:
        data: bytes = self._head[:size] or self._rest.read(size)
        self._head = self._head[size:]
        self._returned += len(data)
        self._check(self._returned)
        return data


class _ConcatenatedReader(_PieceReader):
    """Decompresses streams that follow each other, up to the end of the file.

    `bz2.BZ2File` and `lzma.LZMAFile` silently end where a later stream starts with damaged bytes.
    Zeros between and after streams are padding.
    """

    def __init__(self, packed: io.BufferedReader, new: Callable[[], Any]) -> None:
        self._packed, self._new, self._current = packed, new, new()

    def piece(self, size: int) -> bytes:
        data = b""
        while not data:
            fed = b""
            if self._current.eof:
                if not (fed := self._start_of_next()):
                    break
                self._current = self._new()
            elif self._current.needs_input and not (fed := self._packed.read(_PACKED)):
                raise EOFError("compressed file ended before the end-of-stream marker was reached")
            data = self._current.decompress(fed, size)
        return data

    def _start_of_next(self) -> bytes:
        """Return the first bytes of the next stream, none at the end of the file."""
        fed: bytes = self._current.unused_data.lstrip(b"\0")
        while not fed and (more := self._packed.read(_PACKED)):
            fed = more.lstrip(b"\0")
        return fed
