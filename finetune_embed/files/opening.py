"""Open a path, a file object or standard input as a `Source`."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from ..errors import Either, Text, VectorFileError
from .archives import folder_kind, only_file
from .source import Source

__all__ = ["STDIN", "PathOrFile", "as_folder", "looked_in", "near", "open_source"]

PathOrFile = str | os.PathLike[str] | BinaryIO

#: The path that stands for standard input.
STDIN = "-"


def as_folder(path: object) -> Path | None:
    """Return a path as the folder of a model or a data set; None for files and file objects.

    A folder that holds a single file, besides those that a system adds, stands for this file, and
    so does one with `model.safetensors` and no other part of a model.
    """
    if not isinstance(path, (str, os.PathLike)) or path == STDIN or not os.path.isdir(path):
        return None
    folder = Path(path)
    kind = folder_kind(lambda inside: (folder / inside).exists())
    return None if kind in ("", "safetensors") and only_file(folder) else folder


def looked_in(path: Path) -> str:
    """Return, in brackets, the folder that a path is relative to; nothing of an absolute path."""
    return "" if path.is_absolute() else f" (looked in {Path.cwd()})"


def near(path: str | os.PathLike[str]) -> str | None:
    """Return the path of a file or folder whose name differs a little from that of one missing."""
    given, path = os.fspath(path), Path(path)
    if given.startswith("~") and os.path.exists(os.path.expanduser(given)):
        return os.path.expanduser(given)
    try:
        names = [name for name in os.listdir(path.parent) if name != path.name]  # as a dead link is
    except (OSError, ValueError):
        return None
    same_stem = [name for name in names if name.split(".")[0] == path.name]
    lower = {name.lower(): name for name in names}
    alike = difflib.get_close_matches(path.name.lower(), lower, 1, 0.8)
    close = same_stem[:1] or [lower[name] for name in alike]
    return str(path.parent / close[0]) if close else None


@contextlib.contextmanager
def open_source(
    path: PathOrFile, member: str | None = None, *, salvage: bool = False
) -> Iterator[Source]:
    """Open a vector file for one pass, decompressed by its first bytes, never by its suffix.

    Args:
        path: a path, a binary file object, read from its current position, or `"-"` for standard
            input. Of a folder, its only file; files that a system adds, such as `.DS_Store`, don't
            count, in folders as in archives.
        member: the file to read of a zip or tar archive; by default its only one.
        salvage: end at damaged compressed data instead of raising; `Source.damage` then holds the
            error.

    Raises:
        VectorFileError: the file is missing, a folder, empty or not readable, or the archive has
            no such member or several.
    """
    with contextlib.ExitStack() as stack:
        if isinstance(path, str) and path == STDIN:
            raw, on_disk, name = cast(IO[bytes], sys.stdin.buffer), None, "<stdin>"
        elif isinstance(path, (str, os.PathLike)):
            on_disk = Path(path)
            if os.path.isdir(on_disk):
                on_disk = only_file(on_disk) or on_disk
            raw, name = stack.enter_context(_open_file(on_disk)), str(on_disk)
        else:
            raw, on_disk = _checked(path), None
            name = str(getattr(path, "name", "<file object>"))
        source = Source(raw, on_disk, name, member, salvage)
        stack.callback(source.close)
        if not source.peek(1):
            raise source.damage or VectorFileError(
                "the file is empty (0 bytes)", where=source.name, remedy="fetch the file again"
            )
        yield source


def _open_file(path: Path) -> IO[bytes]:
    if os.path.isdir(path):
        remedy: Text = "give the vector file inside it"
        if folder_kind(lambda inside: (path / inside).exists()):
            detects = "use load_vectors(path), which detects the format of a folder"
            remedy = Either(detects, remedy)
        raise VectorFileError("this is a folder", where=path, remedy=remedy)
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError as error:
        close = near(path)
        raise VectorFileError(
            f"no such file{looked_in(path)}",
            where=path,
            remedy=None if close is None else f"did you mean {close}?",
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null character
        reason = getattr(error, "strerror", None) or error
        raise VectorFileError(f"can't be read: {reason}", where=repr(str(path)[:200])) from error


def _checked(file: Any) -> IO[bytes]:
    """Return the file object if it can be read and gives bytes."""
    if not hasattr(file, "read"):
        raise VectorFileError(
            f"{file!r} is neither a path nor a file object",
            value=file,
            remedy="pass open(path, 'rb')",
        )
    try:
        is_text = not isinstance(file.read(0), bytes)
    except (OSError, ValueError) as error:  # closed, or open for writing
        raise VectorFileError(
            f"{file!r} can't be read: {error}", value=file, remedy="pass open(path, 'rb')"
        ) from error
    if is_text:
        raise VectorFileError(
            f"{file!r} was opened as text", value=file, remedy="open it with mode 'rb'"
        )
    return cast(IO[bytes], file)
