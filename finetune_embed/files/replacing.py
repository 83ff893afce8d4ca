"""Replace several files of a folder together, and keep other processes from writing to it.

No system replaces several files in one step. So new files are first written to a hidden folder
inside, and flushed. One rename of that folder to `.new-files` decides: before it the folder holds
the old files, after it the new ones, of which some are still to be moved to their places.
`finish_replacing` moves them. Whoever reads or writes the files calls it first, so a process that
is killed at any moment leaves all of the old files or all of the new ones.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from ..errors import DataError, FinetuneEmbedError, VectorFileError
from .atomic import atomic_folder, errors_of_writing, sync

if sys.platform != "win32":
    import fcntl

__all__ = [
    "finish_replacing",
    "locked",
    "place_of",
    "remove_own_folder",
    "replaced_folder",
    "replaced_together",
    "settle",
]

NEW = ".new-files"
PATIENCE = 10.0  # seconds for which a reader waits until another process has moved its files
Cleanup = Callable[[Path], None]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make a folder if there is none, and keep other processes from writing to it.

    The lock is one of the system on the folder itself: it leaves no file behind, and ends with the
    process, however that ends. It holds among the processes of one machine. A new folder that is
    still empty at the end is removed.

    Raises:
        DataError: it is a file, or another process has it locked.
        VectorFileError: it cannot be made.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise DataError("this is a file, and not a folder", where=folder, remedy="name a folder")
    made = [one for one in (folder, *folder.parents) if not os.path.exists(one)]
    with errors_of_writing(folder):
        handle = _lock(folder)
    if handle is _BUSY:
        raise DataError(
            "another process is writing to the folder",
            where=folder,
            remedy="wait until it ends, or choose another folder",
        )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty
            for one in made:
                one.rmdir()
        if handle is not None:
            os.close(handle)


_BUSY = -1


def _lock(folder: Path) -> int | None:
    """Return the handle of a locked folder; `_BUSY` if another has it, None without locks."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        if sys.platform == "win32":
            return None
        handle = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return _BUSY
        except OSError:  # a file system without locks
            return handle
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.stat(folder)):
                return handle
        os.close(handle)  # the process that had made the folder has just removed it


@contextlib.contextmanager
def replaced_together(
    folder: Path, names: Sequence[str], cleanup: Cleanup | None = None
) -> Iterator[Path]:
    """Yield a hidden folder; the files written to it replace those in `folder`, all or none.

    The caller has `folder` locked. Links are replaced, not followed; permissions stay. An old file
    without a new one is removed.

    Args:
        folder: the folder.
        names: the names of the files. The first is written in any case, the others may be.
        cleanup: removes what goes with the old files, before the new ones are moved; it may be
            called twice.

    Raises:
        VectorFileError: a name is that of a folder, or the files cannot be written.
    """
    finish_replacing(folder, names, cleanup)
    for name in names:
        if os.path.isdir(folder / name) and not os.path.islink(folder / name):
            raise VectorFileError(
                "can't be written: it is a folder",
                where=folder / name,
                remedy="remove it, or choose another place",
            )
    for path in folder.iterdir():  # of processes that were killed before they had written all
        if re.fullmatch(rf"\.{re.escape(NEW)}\.[0-9a-f]{{8}}", path.name):
            remove_own_folder(path, names)
    with atomic_folder(folder / NEW, shown=folder) as new:
        shown = {str(new / name): folder / name for name in names}
        try:
            yield new
        except VectorFileError as error:
            error.where = shown.get(str(error.where), error.where)
            raise
        for name in names:
            if (new / name).is_file() and not os.path.islink(folder / name):
                with contextlib.suppress(OSError):
                    shutil.copymode(folder / name, new / name)
    finish_replacing(folder, names, cleanup)


def finish_replacing(folder: Path, names: Sequence[str], cleanup: Cleanup | None = None) -> None:
    """Move new files to their places, if a process was killed before it had.

    The caller has `folder` locked; see `replaced_together`.
    """
    new = folder / NEW
    if os.path.islink(new) or not os.path.isdir(new):
        return
    if cleanup is not None:
        cleanup(folder)
    with errors_of_writing(folder):
        written = [name for name in names if os.path.lexists(new / name)]
        if written[:1] == [names[0]]:  # none has been moved yet
            for name in names:
                if name not in written:
                    (folder / name).unlink(missing_ok=True)
        for name in written:
            os.replace(new / name, folder / name)
        sync(folder)
        new.rmdir()


def settle(folder: Path, names: Sequence[str], cleanup: Cleanup | None = None) -> None:
    """Do what `finish_replacing` does, for a reader; wait while another process does it.

    Raises:
        DataError: another process has had the folder locked for ten seconds.
        VectorFileError: the files cannot be moved.
    """
    end = time.monotonic() + PATIENCE
    while os.path.isdir(folder / NEW):
        try:
            with locked(folder):
                finish_replacing(folder, names, cleanup)
                return
        except DataError:
            if time.monotonic() > end:
                raise
        time.sleep(0.01)


@contextlib.contextmanager
def replaced_folder(folder: Path, check: Callable[[Path], None]) -> Iterator[Path]:
    """Yield a path for a new folder, which takes the place of an old one when the block ends.

    The new one has the permissions of the old one. On an error the old folder is as it was. It is
    `old` in a hidden folder beside, if the process is killed between the two renames.

    Args:
        folder: the old folder.
        check: called with its path before it is moved out of the way, and with the new path after;
            raises if it must not be replaced.

    Raises:
        VectorFileError: a folder cannot be made or renamed there.
    """
    target = Path(os.path.realpath(folder))  # the working directory may be inside, and move
    with errors_of_writing(folder):
        prefix = f".{target.name[:32]}.replacing-"
        hidden = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    old, new = hidden / "old", hidden / "new" / target.name
    try:
        with errors_of_writing(folder):
            new.parent.mkdir()
        yield new
        with errors_of_writing(folder):
            check(target)
            os.replace(target, old)
            check(old)  # again, for what was added meanwhile
            for path in (new, *new.rglob("*")):
                with contextlib.suppress(OSError):  # there was none, or no permissions
                    shutil.copymode(old / path.relative_to(new), path)
            os.replace(new, target)
            sync(target.parent)
    except FinetuneEmbedError as error:
        where = os.fsdecode(error.where or "")
        for path in (new, old, target):
            if where == str(path) or where.startswith(f"{path}{os.sep}"):
                error.where = where.replace(str(path), str(folder), 1)
                break
        raise
    finally:
        is_done = os.path.lexists(target) and not os.path.lexists(new)
        if os.path.lexists(old) and not is_done:
            _put_back(old, target, folder)
        shutil.rmtree(hidden, ignore_errors=True)


def _put_back(old: Path, target: Path, shown: Path) -> None:
    """Rename a folder back.

    Raises:
        VectorFileError: that is not possible; it stays where it is.
    """
    try:
        os.replace(old, target)
    except OSError as error:
        raise VectorFileError(
            f"can't be written, nor put back: {error.strerror or error}",
            where=shown,
            remedy=f"the folder that was there is now {old}; move it back",
        ) from error


def place_of(folder: Path, name: str) -> Path:
    """Return where a file of a folder is, for who reads only that one; see `replaced_together`."""
    new = folder / NEW / name
    return new if new.is_file() else folder / name


def remove_own_folder(path: Path, names: Sequence[str]) -> bool:
    """Remove a folder that holds nothing but files of these names, or hidden parts of them.

    Returns:
        Whether it did; what holds anything else, or is a link, stays as it is.
    """
    if os.path.islink(path) or not os.path.isdir(path):
        return False
    entries = list(os.scandir(path))
    for entry in entries:
        part = re.fullmatch(r"\.(.+)\.[0-9a-f]{8}", entry.name)
        name = part[1] if part is not None else entry.name
        if name not in names or not entry.is_file(follow_symlinks=False):
            return False
    for entry in entries:
        os.unlink(entry.path)
    os.rmdir(path)
    return True
