"""Which member of an archive to read."""

from __future__ import annotations

from ..errors import Option, VectorFileError

__all__ = ["is_clutter", "pick_member"]


def pick_member(archive: str, names: list[str], member: str | None) -> str:
    """Return `member`, or without one the only file of the archive.

    Args:
        archive: the name of the archive, for messages.
        names: the files in the archive.
        member: the file to read; None where the caller gave none.

    Raises:
        VectorFileError: the archive is empty, has no such member, or holds several files.
    """
    if member is not None and member in names:
        return member
    files = [name for name in names if not is_clutter(name)]
    if member is None and len(files) == 1:
        return files[0]
    if not files:
        raise VectorFileError("the archive holds no files", where=archive, remedy="fetch it again")
    listed = ", ".join(map(repr, files[:10])) + (", ..." if len(files) > 10 else "")
    raise VectorFileError(
        f"the archive holds several files: {listed}"
        if member is None
        else f"the archive has no member {member!r}, only {listed}",
        where=archive,
        value=member,
        remedy=("name the one to read: ", Option("member", files[0])),
    )


def is_clutter(name: str) -> bool:
    """Return whether a member is one of the files that macOS adds to archives."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._")
