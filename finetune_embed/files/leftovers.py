"""Hidden files and folders that killed processes left beside what they were writing.

A writer keeps its hidden file or folder locked while it fills it; the lock ends with the process,
however that ends. So what has the name of one, is not locked, and has not changed for a minute
belongs to nobody. Where the system has no such locks, as on Windows, everything stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

__all__ = ["hidden_beside", "lock", "remove_leftovers"]

LONG_NAME = 128  # bytes of a name that a hidden name may contain
AGE = 60.0  # seconds; longer than between making a file and locking it, or unlocking and renaming


def hidden_beside(path: Path) -> Path:
    """Return a new hidden name in the same folder, which is not too long where `path` is not."""
    return path.parent / f".{_short(path.name)}.{secrets.token_hex(4)}"


def _short(name: str) -> str:
    if len(os.fsencode(name)) > LONG_NAME:
        return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
    return name


def lock(handle: int) -> bool:
    """Lock an open file or folder until it is closed; return whether that was possible."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it, or the file system has no locks
        return False
    return True


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left when they wrote to a path, as far as that is certain."""
    if sys.platform == "win32":
        return
    pattern = re.compile(rf"\.{re.escape(_short(path.name))}\.[0-9a-f]{{8}}")
    with contextlib.suppress(OSError):
        names = [name for name in os.listdir(path.parent) if pattern.fullmatch(name)]
        for name in names:
            with contextlib.suppress(OSError):
                _remove_unless_in_use(path.parent / name)


def _remove_unless_in_use(path: Path) -> None:
    """Remove a file or a folder that no process has locked and that is not new."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        inside = path.rglob("*") if path.is_dir() else ()
        changed = max(one.lstat().st_mtime for one in (path, *inside))
        if not lock(handle) or time.time() - changed < AGE:
            return
        mode = os.fstat(handle).st_mode
        if stat.S_ISREG(mode):
            path.unlink()
        elif stat.S_ISDIR(mode):
            shutil.rmtree(path)
    finally:
        os.close(handle)
