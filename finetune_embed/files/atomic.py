"""Bytes out: files and folders that appear whole, or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, cast

from typing_extensions import Buffer

from ..errors import VectorFileError

__all__ = ["atomic_folder", "atomic_write", "atomic_writes", "remove_remains", "sha256_of"]

CHUNK = 1 << 20
FLUSHED = 1 << 24  # bytes that are flushed together


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes as a hexadecimal string."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for writing that appears at `path` whole, or not at all.

    The bytes go to a hidden file beside `path`, are flushed to the disk, and the file is renamed
    over `path` when the block ends without an error; on an error nothing is left behind. What a
    link leads to is replaced, and not the link; the new file has the former one's permissions.

    Raises:
        VectorFileError: `path` is a folder, a device or a pipe, or no file can be made there.
    """
    with atomic_writes(path) as (file,):
        yield file


@contextlib.contextmanager
def atomic_writes(*paths: str | os.PathLike[str]) -> Iterator[list[BinaryIO]]:
    """Open several files as `atomic_write` does one; they are renamed one right behind the other.

    Raises:
        VectorFileError: as there.
    """
    places = [Path(os.path.realpath(path) if os.path.islink(path) else path) for path in paths]
    hidden: list[Path] = []
    try:
        with contextlib.ExitStack() as opened:
            files = []
            for path in places:
                if os.path.exists(path) and not os.path.isfile(path):
                    raise VectorFileError(
                        f"can't write {path}: it is there, but no file; give another path"
                    )
                temporary = _beside(path)
                with _telling(path):
                    raw = open(temporary, "xb", buffering=0)  # noqa: SIM115  (`opened` closes it)
                hidden.append(temporary)
                files.append(opened.enter_context(_Flushing(raw)))
            yield [cast(BinaryIO, file) for file in files]
            for file in files:
                file.sync()
        for path, temporary in zip(places, hidden, strict=True):
            with contextlib.suppress(OSError):  # there is none, or the file system has none
                shutil.copymode(path, temporary)
        for path, temporary in zip(places, hidden, strict=True):
            os.replace(temporary, path)
    except BaseException:
        for temporary in hidden:
            temporary.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in places}:
        _sync(folder)


class _Flushing(io.BufferedWriter):
    """A file whose bytes go on to the disk, in a thread, while further ones are written."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw, CHUNK)
        self._pool = ThreadPoolExecutor(1, "flush")
        self._pending: Future[None] | None = None
        self._waiting = 0

    def write(self, data: Buffer) -> int:
        written = super().write(data)
        self._waiting += written
        if self._waiting >= FLUSHED and (self._pending is None or self._pending.done()):
            self._check()
            self._waiting = 0
            self._pending = self._pool.submit(os.fsync, self.fileno())
        return written

    def sync(self) -> None:
        """Wait until all bytes are on the disk."""
        self.flush()
        self._check()
        os.fsync(self.fileno())

    def _check(self) -> None:
        """Wait for the bytes that are under way; an error is told once only, so it is asked for."""
        if self._pending is not None:
            self._pending.result()

    def close(self) -> None:
        self._pool.shutdown()
        super().close()


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Fill a folder that appears at `path` whole, or not at all; `path` must not exist yet.

    Raises:
        VectorFileError: no folder can be made there.
    """
    path = Path(path)
    temporary = _beside(path)
    with _telling(path):
        temporary.mkdir()
    try:
        yield temporary
        for file in temporary.iterdir():
            _sync(file)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _sync(path.parent)


def _beside(path: Path) -> Path:
    """Return a new hidden name in the same folder."""
    return path.parent / f".{path.name}.{secrets.token_hex(4)}"


def remove_remains(folder: Path, names: Collection[str]) -> None:
    """Remove what processes that were killed while they wrote files have left of them."""
    for file in folder.iterdir():
        hidden = re.fullmatch(r"\.(.+)\.[0-9a-f]{8}", file.name)
        if hidden is not None and hidden[1] in names:
            file.unlink()


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Say of an error which file can't be made, not how it is called until it is whole."""
    try:
        yield
    except FileNotFoundError as error:
        raise VectorFileError(
            f"can't write {path}: the folder {path.parent} does not exist; create it first"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        raise VectorFileError(f"can't write {path}: {reason}") from error


def _sync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk, so that a rename survives a power cut."""
    if os.name == "posix" or path.is_file():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
