"""Which file of an archive is meant."""

from __future__ import annotations

from ..errors import VectorFileError

__all__ = ["is_clutter", "pick_member"]


def pick_member(archive: str, names: list[str], member: str | None) -> str:
    """Return the member that was asked for, or the only one.

    Raises:
        VectorFileError: there is none, none of that name, or several.
    """
    if member is not None and member in names:
        return member
    plain = [name for name in names if not is_clutter(name)]
    if member is None and len(plain) == 1:
        return plain[0]
    shown = ", ".join(map(repr, plain[:10])) + (", ..." if len(plain) > 10 else "")
    if not plain:
        raise VectorFileError(f"{archive}: the archive holds no files; fetch it again")
    what = f"has no member {member!r}, but" if member is not None else "holds several files:"
    raise VectorFileError(
        f"{archive}: the archive {what} {shown}; name the one to read: member={plain[0]!r}"
    )


def is_clutter(name: str) -> bool:
    """Tell the files that macOS adds to archives."""
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith("._")
