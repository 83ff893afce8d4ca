"""Bytes in and bytes out: decompression by content, a hash on the way, files that appear whole."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from .errors import VectorFileError

__all__ = ["Source", "atomic_folder", "atomic_write", "open_source", "sha256_of"]

GZIP_MAGIC = b"\x1f\x8b"
#: A decompressed file may be this many times larger than the compressed one. Text of vectors
#: packs about 2.3 to 1 and deflate can't exceed 1032 to 1, so this catches bombs alone.
MAX_EXPANSION = 200
EXPANSION_FLOOR = 1 << 26  # below 64 MB nothing is a bomb
CHUNK = 1 << 20


class _Hashing(io.RawIOBase):
    """A raw reader that hashes and counts every byte it hands on."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self.sha256 = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        n = self._raw.readinto(view) or 0
        self.sha256.update(view[:n])
        self.count += n
        return n


class Source:
    """A vector file opened for one pass: its decompressed bytes, its name and its hash.

    Attributes:
        path: where the bytes come from.
        compression: `"gzip"` or `""`.
    """

    def __init__(self, path: Path, raw: io.FileIO) -> None:
        self.path = path
        self._hashing = _Hashing(raw)
        buffered = io.BufferedReader(self._hashing, CHUNK)
        self.compression = "gzip" if buffered.peek(2)[:2] == GZIP_MAGIC else ""
        self._stream: Any = gzip.GzipFile(fileobj=buffered) if self.compression else buffered
        self._buffered = buffered
        self._size = os.fstat(raw.fileno()).st_size
        self._served = 0
        self._head = b""

    def read(self, size: int) -> bytes:
        """Return the next `size` decompressed bytes, fewer at the end of the file only.

        Raises:
            VectorFileError: the compressed data is damaged, cut short, or grows beyond reason.
        """
        parts = [self._head[:size]]
        self._head = self._head[size:]
        wanted = size - len(parts[0])
        try:
            while wanted > 0 and (part := self._stream.read(wanted)):
                parts.append(part)
                wanted -= len(part)
        except (EOFError, OSError, zlib.error) as error:
            raise VectorFileError(
                f"{self.path}: the gzip data is damaged or cut short at byte "
                f"{self._hashing.count:,} of {self._size:,} ({error}); fetch the file again"
            ) from error
        data = b"".join(parts)
        self._served += len(data)
        if self.compression and self._served > max(MAX_EXPANSION * self._size, EXPANSION_FLOOR):
            raise VectorFileError(
                f"{self.path}: {self._size:,} compressed bytes grew beyond {self._served:,}, over "
                f"{MAX_EXPANSION} to 1, which no vector file does; decompress it yourself if you "
                "trust it"
            )
        return data

    def peek(self, size: int) -> bytes:
        """Return up to `size` bytes from the current position without consuming them."""
        head = self.read(size)
        self._served -= len(head)
        self._head = head + self._head
        return head

    def sha256(self) -> str:
        """Return the SHA-256 of the whole file as it lies on disk, reading what is left of it."""
        while self._buffered.read(CHUNK):
            pass
        return self._hashing.sha256.hexdigest()


@contextlib.contextmanager
def open_source(path: str | os.PathLike[str]) -> Iterator[Source]:
    """Open a vector file for one pass, decompressed by its first bytes, never by its suffix.

    Raises:
        VectorFileError: there is no such file, it is a folder, it is empty, or it can't be read.
    """
    path = Path(path)
    if path.is_dir():
        raise VectorFileError(f"{path} is a folder; give the vector file inside it")
    try:
        raw = open(path, "rb", buffering=0)  # noqa: SIM115  (a `with` follows, once opening has not failed)
    except FileNotFoundError as error:
        raise VectorFileError(f"no such file: {path} (looked in {Path.cwd()})") from error
    except OSError as error:
        raise VectorFileError(f"{path} can't be read: {error.strerror}") from error
    with raw:
        if os.fstat(raw.fileno()).st_size == 0:
            raise VectorFileError(f"{path} is empty (0 bytes); fetch the file again")
        yield Source(path, raw)


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes as a hexadecimal string."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that appears at `path` whole, or not at all.

    The bytes go to a hidden file beside `path`, are flushed to the disk, and the file is renamed
    over `path` when the block ends without an error; on an error nothing is left behind.
    """
    path = Path(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except FileNotFoundError as error:
        raise VectorFileError(
            f"can't write {path}: the folder {path.parent} does not exist; create it first"
        ) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb", buffering=CHUNK) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Fill a folder that appears at `path` whole, or not at all; `path` must not exist yet."""
    path = Path(path)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        yield temporary
        for file in temporary.iterdir():
            _sync(file)
        os.chmod(temporary, 0o777 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(path.parent)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk, so that a rename survives a power cut."""
    if os.name == "posix" or path.is_file():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
