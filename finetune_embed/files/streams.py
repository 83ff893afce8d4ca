"""Streams of bytes: hashed on the way, put back together, decompressed."""

from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any, cast

__all__ = [
    "ARCHIVES",
    "CHUNK",
    "COMPRESSED",
    "DAMAGE",
    "KIND_BYTES",
    "Chained",
    "Hashing",
    "decompressor",
    "kind_of",
]

CHUNK = 1 << 20
_PACKED = 1 << 17  # compressed bytes that are read together
#: Compressed streams by their first bytes. All but zip can be read from a pipe.
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
KIND_BYTES = _TAR[0] + len(_TAR[1])
#: What decompressors raise of damaged data.
DAMAGE = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tarfile.TarError,
    RuntimeError,
    ValueError,
    IndexError,  # a member of a zip archive without a name
)


def kind_of(head: bytes) -> str:
    """Return how a file is compressed, by its first bytes, or `""`."""
    if head[_TAR[0] : KIND_BYTES] == _TAR[1]:
        return "tar"
    return next((kind for magic, kind in COMPRESSED.items() if head.startswith(magic)), "")


class Hashing(io.RawIOBase):
    """A raw reader that counts and hashes every byte it hands on, large blocks in a thread."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._sha256 = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, "sha256")
        self._pending: Future[None] | None = None
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, fewer at the end of the file only."""
        parts: list[bytes] = []
        while size:
            part: bytes | None = self._raw.read(size if size > 0 else CHUNK)
            if part is None:
                raise BlockingIOError(errno.EAGAIN, "it is non-blocking; pass one that waits")
            if not part:
                break
            parts.append(part)
            size -= len(part) if size > 0 else 0
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self.count += len(data)
        self._wait()
        if len(data) >= CHUNK:
            self._pending = self._pool.submit(self._sha256.update, data)
        else:
            self._sha256.update(data)
        return data

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def hexdigest(self) -> str:
        """Return the SHA-256 of the whole file, reading what is left of it."""
        while self.read(16 * CHUNK):
            pass
        self._wait()
        return self._sha256.hexdigest()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def close(self) -> None:
        self._pool.shutdown()
        super().close()


class _Pieces(io.RawIOBase):
    """A raw reader of what `piece` returns."""

    def piece(self, size: int) -> bytes:
        """Return some of the next bytes, `size` at most; none at the end."""
        raise NotImplementedError

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self.piece(len(view))
        view[: len(data)] = data
        return len(data)


class Chained(_Pieces):
    """Bytes that were looked at already, then the rest of a stream."""

    def __init__(self, head: bytes, rest: Any, check: Callable[[int], None]) -> None:
        self._head, self._rest, self._check = head, rest, check
        self._served = 0

    def piece(self, size: int) -> bytes:
        data: bytes = self._head[:size] or self._rest.read(size)
        self._head = self._head[size:]
        self._served += len(data)
        self._check(self._served)
        return data


def decompressor(kind: str, stream: io.BufferedReader) -> Any:
    """Return a stream of the decompressed bytes."""
    if kind == "gzip":
        return gzip.GzipFile(fileobj=stream)
    if kind == "bzip2":
        return io.BufferedReader(_Concatenated(stream, bz2.BZ2Decompressor), _PACKED)
    if kind == "xz":
        return io.BufferedReader(_Concatenated(stream, lzma.LZMADecompressor), _PACKED)
    import pyarrow

    return pyarrow.CompressedInputStream(pyarrow.PythonFile(stream, "r"), "zstd")


class _Concatenated(_Pieces):
    """The bytes of compressed streams that stand one behind the other, up to the end of the file.

    `bz2.BZ2File` and `lzma.LZMAFile` take a stream that is damaged where it begins for the end.
    Zeros between and behind streams are padding.
    """

    def __init__(self, packed: io.BufferedReader, new: Callable[[], Any]) -> None:
        self._packed, self._new, self._one = packed, new, new()

    def piece(self, size: int) -> bytes:
        data = b""
        while not data:
            fed = b""
            if self._one.eof:
                if not (fed := self._next_stream()):
                    break
                self._one = self._new()
            elif self._one.needs_input and not (fed := self._packed.read(_PACKED)):
                raise EOFError("compressed file ended before the end-of-stream marker was reached")
            data = self._one.decompress(fed, size)
        return data

    def _next_stream(self) -> bytes:
        """Return the first bytes of the next stream, none at the end of the file."""
        fed: bytes = self._one.unused_data.lstrip(b"\0")
        while not fed and (more := self._packed.read(_PACKED)):
            fed = more.lstrip(b"\0")
        return fed
