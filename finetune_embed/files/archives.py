"""Which member of an archive to read, and which files of a folder count."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from shlex import quote
from typing import NamedTuple

from ..errors import Option, VectorFileError

__all__ = ["HEAD", "Member", "folder_kind", "is_clutter", "only_file", "pick_member"]

SHOWN = 400  # characters of names in a message
LONGEST = 320  # characters of a name that a remedy can hold
HEAD = 1 << 12  # bytes of a member that show whether it holds vectors
WHOLE = "model.safetensors"  # the file of a table that would have had shards if it were larger
#: The files that identify a kind of folder; the first line whose files all exist decides.
FOLDERS = (
    (("dataset_info.json", "state.json"), "dataset"),
    (("dataset_dict.json",), "dataset"),
    (("key2row", "vectors"), "spacy"),
    (("vocab/strings.json",), "spacy"),
    (("vocab/key2row", "vocab/vectors"), "spacy"),
    (("__init__.py", "meta.json"), "spacy"),  # the package of a pipeline
    (("vectors.tsv", "metadata.tsv"), "projector"),
    (("modules.json",), "static"),
    (("tokenizer.json", "model.safetensors"), "static"),
    (("0_StaticEmbedding/model.safetensors",), "static"),
    (("wordembedding_config.json", "model.safetensors"), "static"),
    (("model.safetensors.index.json",), "safetensors-shards"),
    ((WHOLE,), "safetensors"),
)
#: Files that systems add to folders and archives.
_CLUTTER = frozenset(
    (".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized", "icon\r")
)
_CLUTTER_FOLDERS = frozenset(("__macosx", ".spotlight-v100", ".trashes", ".fseventsd"))
_ABOUT = re.compile(r"(?:licen[cs]e|notice|readme|copying|changelog|authors|citation)\b", re.I)
#: The first bytes of vectors: rows or a header of text, or a known format, compressed or not.
_VECTORS = re.compile(
    rb"\xef?\xbb?\xbf?\s*\d+[ \t]+\d+[ \t]*\r?\n"
    rb"|[^\r\n]*?\S(?:[ \t,;]+[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)+[ \t]*\r?(?:\n|$)"
    rb"|\x93NUMPY|\xba\x16\x4f\x2f|PAR1|ARROW1|\xff{4}|.{4}\x00{4}\{|\x1f\x8b|BZh|\xfd7zXZ|\x28\xb5\x2f",
    re.I | re.S,
)


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        name: its path in the archive.
        size: its size in bytes.
        head: its first bytes, at most `HEAD`.
    """

    name: str
    size: int
    head: bytes = b""


def is_clutter(name: str) -> bool:
    """Return whether a file is one that a system adds: `.DS_Store`, `Thumbs.db` and so on."""
    *folders, last = name.lower().split("/")
    return (
        last in _CLUTTER
        or last.startswith("._")
        or not _CLUTTER_FOLDERS.isdisjoint([*folders, last])
    )


def folder_kind(holds: Callable[[str], bool]) -> str:
    """Return the kind of a folder, or `""`; `holds` tells whether a path in it is a file."""
    return next((kind for files, kind in FOLDERS if all(map(holds, files))), "")


def only_file(folder: Path) -> Path | None:
    """Return the file that a folder stands for; None if it stands for more, or for nothing.

    It is the only file besides clutter, or `model.safetensors`, which may have a card beside it.
    """
    if folder_kind(lambda name: (folder / name).is_file()) == "safetensors":
        return folder / WHOLE
    inside = [item for item in folder.iterdir() if not is_clutter(item.name)]
    return inside[0] if len(inside) == 1 and inside[0].is_file() else None


def pick_member(archive: str, members: Sequence[Member], member: str | None) -> str:
    """Return `member`, or without one the only file of the archive.

    Args:
        archive: the name of the archive, for messages.
        members: the files in the archive.
        member: the file to read; None where the caller gave none.

    Raises:
        VectorFileError: the archive is empty, has no such member, or holds several files.
    """
    if member is not None and any(member == one.name for one in members):
        return member
    files = [one for one in members if not is_clutter(one.name)]
    if member is None and len(files) == 1:
        return files[0].name
    if not files:
        raise VectorFileError("the archive holds no files", where=archive, remedy="fetch it again")
    listed = _listed([one.name for one in files])
    found = (
        f"the archive holds several files: {listed}"
        if member is None
        else f"the archive has no member {member!r:.100}, only {listed}"
    )
    if _is_folder(files):
        raise VectorFileError(
            found,
            where=archive,
            value=member,
            remedy="it is the folder of a model or a data set: unpack it and pass the folder",
        )
    best = _best(files)
    if best is None:
        raise VectorFileError(
            found,
            where=archive,
            value=member,
            remedy="none of them looks like vectors; unpack it and pass the file of vectors",
        )
    if not best.name.isprintable() or len(quote(best.name)) > LONGEST:
        last = PurePosixPath(best.name).name
        raise VectorFileError(
            found,
            where=archive,
            value=member,
            remedy=f"unpack it and pass the file of vectors, {last!r:.80}",
        )
    raise VectorFileError(
        found,
        where=archive,
        value=member,
        remedy=("name the one to read: ", Option("member", best.name)),
    )


def _is_folder(files: list[Member]) -> bool:
    """Return whether the files are those of a model or a data set, in any folder."""
    paths = [PurePosixPath(one.name) for one in files]
    folders = {folder for path in paths for folder in list(path.parents)[:2]}
    return any(
        folder_kind({str(p.relative_to(at)) for p in paths if at in p.parents}.__contains__)
        for at in folders
    )


def _best(files: list[Member]) -> Member | None:
    """Return the file that most likely holds vectors, None if none of several looks like it."""
    if len(files) == 1:
        return files[0]
    fitting = [one for one in files if _VECTORS.match(one.head)]
    about = [bool(_ABOUT.match(PurePosixPath(one.name).name)) for one in fitting]
    order = sorted(zip(about, fitting, strict=True), key=lambda pair: (pair[0], -pair[1].size))
    return order[0][1] if order else None


def _listed(names: list[str]) -> str:
    """Return the names for a message, as many as fit."""
    shown: list[str] = []
    for name in map(repr, names):
        if sum(map(len, shown)) + len(name) > SHOWN and shown:
            return ", ".join(shown) + f" and {len(names) - len(shown)} more"
        shown.append(name if len(name) <= SHOWN // 2 else name[: SHOWN // 2] + "...'")
    return ", ".join(shown)
