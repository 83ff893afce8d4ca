"""SHA-256 of files, also of those that are being read."""

from __future__ import annotations

import hashlib
import io
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, cast

__all__ = ["CHUNK", "HashingReader", "sha256_of"]

CHUNK = 1 << 20


def sha256_of(*paths: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of the bytes of files, one after the other, as a hexadecimal string."""
    digest = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


class HashingReader(io.RawIOBase):
    """A raw reader that counts and hashes the bytes it returns, large blocks in a thread.

    Attributes:
        count: the number of bytes returned so far.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._sha256 = hashlib.sha256()
        self._pool = ThreadPoolExecutor(1, "sha256")
        self._pending: Future[None] | None = None
        self.count = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next `size` bytes, fewer only at the end of the file.

        Raises:
            BlockingIOError: the file has no data yet and does not wait for it.
        """
        parts: list[bytes] = []
        while size:
            part: bytes | None = self._raw.read(size if size > 0 else CHUNK)
            if part is None:
                raise BlockingIOError("the file is non-blocking")
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
        """Read bytes into a buffer and return their number."""
        view = memoryview(cast(bytearray, buffer)).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def hexdigest(self) -> str:
        """Return the SHA-256 of the complete file; reads what is left of it."""
        while self.read(16 * CHUNK):
            pass
        self._wait()
        return self._sha256.hexdigest()

    def _wait(self) -> None:
        if self._pending is not None:
            self._pending.result()
            self._pending = None

    def close(self) -> None:
        """Stop the thread; the file stays open."""
        self._pool.shutdown()
        super().close()
