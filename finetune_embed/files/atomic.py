"""Write files and folders that appear complete, or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import re
import secrets
import shutil
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

from ..errors import VectorFileError

__all__ = [
    "atomic_folder",
    "atomic_write",
    "errors_of_writing",
    "remove_partial_files",
    "sync",
]

CHUNK = 1 << 20
FLUSHED = 1 << 24  # bytes flushed to the disk together
LONG_NAME = 128  # bytes of a name that a hidden name may contain
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], *, through_links: bool = True) -> Iterator[BinaryIO]:
    """Open a file for writing that appears at `path` complete, or not at all.

    The bytes go to a hidden file beside `path`. When the block ends without an error, they are
    flushed to the disk and the file is renamed over `path`; on an error the file is removed. The
    new file has the permissions of the old one.

    Args:
        path: the file.
        through_links: of a link, replace the file it points to instead of the link.

    Raises:
        VectorFileError: `path` is a folder, a device or a pipe, no file can be created there, or
            the disk is full.
    """
    is_link = os.path.islink(path)
    target = Path(os.path.realpath(path) if is_link and through_links else path)
    if os.path.exists(target) and not os.path.isfile(target):
        raise VectorFileError(
            "can't be written: it exists and is not a regular file",
            where=target,
            remedy="give another path",
        )
    temporary, created = _hidden_beside(target), False
    with errors_of_writing(target):
        try:
            raw = open(temporary, "xb", buffering=0)  # noqa: SIM115  (the writer closes it)
            created = True
            with _FlushingWriter(raw) as file:
                yield cast(BinaryIO, file)
                file.sync()
            if through_links or not is_link:
                with contextlib.suppress(OSError):  # no file to copy from, or no permissions
                    shutil.copymode(target, temporary)
            os.replace(temporary, target)
        except BaseException:
            if created:
                temporary.unlink(missing_ok=True)
            raise
        sync(target.parent)


class _FlushingWriter(io.BufferedWriter):
    """Flushes its bytes to the disk in a thread while more are written."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw, CHUNK)
        self._pool = ThreadPoolExecutor(1, "flush")
        self._pending: Future[None] | None = None
        self._unflushed = 0

    def write(self, data: Any) -> int:
        written = super().write(data)
        self._unflushed += written
        if self._unflushed >= FLUSHED and (self._pending is None or self._pending.done()):
            self._wait()
            self._unflushed = 0
            self._pending = self._pool.submit(os.fsync, self.fileno())
        return written

    def sync(self) -> None:
        """Wait until all bytes are on the disk."""
        self.flush()
        self._wait()
        os.fsync(self.fileno())

    def _wait(self) -> None:
        """Wait for the flush in the thread: the system reports its error only there."""
        if self._pending is not None:
            self._pending.result()

    def close(self) -> None:
        self._pool.shutdown()
        super().close()


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike[str], shown: Path | None = None) -> Iterator[Path]:
    """Fill a folder that appears at `path` complete, or not at all; `path` must not exist yet.

    Args:
        path: the folder.
        shown: the folder that errors name, if it is another.

    Raises:
        VectorFileError: no folder can be created there, or the disk is full.
    """
    path = Path(path)
    temporary = _hidden_beside(path)
    with errors_of_writing(shown or path):
        temporary.mkdir()
        try:
            yield temporary
            for file in temporary.rglob("*"):
                sync(file)
            sync(temporary)
            os.replace(temporary, path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        sync(path.parent)


def _hidden_beside(path: Path) -> Path:
    """Return a new hidden name in the same folder, which is not too long where `path` is not."""
    name = path.name
    if len(os.fsencode(name)) > LONG_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return path.parent / f".{name}.{secrets.token_hex(4)}"


def remove_partial_files(folder: Path, names: Collection[str]) -> None:
    """Remove the hidden files that killed processes left when they wrote files of these names."""
    for file in folder.iterdir():
        hidden = re.fullmatch(r"\.(.+)\.[0-9a-f]{8}", file.name)
        if hidden is not None and hidden[1] in names:
            file.unlink()


@contextlib.contextmanager
def errors_of_writing(*paths: Path) -> Iterator[None]:
    """Turn what the system raises while something is written into errors that name `paths`.

    Raises:
        VectorFileError: it cannot be written.
    """
    where = ", ".join(map(str, paths))
    try:
        yield
    except OSError as error:
        if isinstance(error, FileNotFoundError) and not paths[0].parent.is_dir():
            raise VectorFileError(
                f"can't be written: the folder {paths[0].parent} does not exist",
                where=where,
                remedy="create it first",
            ) from error
        reason = f"can't be written: {error.strerror or error}"
        if error.errno in _NO_ROOM:
            raise VectorFileError(
                reason, where=where, remedy="make room, or choose another place"
            ) from error
        raise VectorFileError(reason, where=where) from error
    except ValueError as error:
        if any("\0" in str(path) for path in paths):
            raise VectorFileError(f"can't be written: {error}", where=where) from error
        raise


def sync(path: Path) -> None:
    """Flush a file, or the entries of a folder, so that a rename survives a power cut."""
    if os.name == "posix" or path.is_file():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
