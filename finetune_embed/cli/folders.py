"""Writing a folder of vectors in place of one that is there."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import click
import numpy as np

from ..errors import Option, VectorFileError
from ..files import STDIN, is_clutter, replaced_folder
from ..formats.common.kernels import format_text
from ..formats.common.saving import check_new_folder
from ..formats.common.shards import INDEX, shards_of

__all__ = ["PIPELINE", "check_folder", "folder_overwrite_option", "written_folder"]

folder_overwrite_option = click.option(
    "--overwrite",
    is_flag=True,
    help="Replace the target if it is there; a folder only if it holds exactly the files that are "
    "written again.",
)
WHOLE, CARD = "model.safetensors", "README.md"
PIPELINE = "spacy pipeline"  # a kind of folder, in which `vocab` is one of the kind `spacy`
#: The files of each kind of folder; see `_files_of`.
FILES = {
    "projector": {"vectors.tsv", "metadata.tsv"},
    "spacy": {"vectors", "key2row", "strings.json", "vectors.cfg"},
    "static": {WHOLE, "tokenizer.json", "config.json", "modules.json"},
}


def check_folder(target: Path, *sources: Path, kind: str, overwrite: bool) -> None:
    """Check that a folder can be written, or replaced.

    Args:
        target: what is written.
        sources: what is read.
        kind: the format that is written.
        overwrite: whether a folder of this kind that is there may be replaced.

    Raises:
        VectorFileError: it can't.
    """
    if not target.is_dir() or target.is_symlink():
        check_new_folder(target)
        return
    resolved, here = target.resolve(), Path.cwd()
    if resolved in (here, *here.parents):
        raise VectorFileError(
            "this folder is not replaced, since it is, or holds, the working directory",
            where=target,
            remedy="choose another path, or change to another directory first",
        )
    if not overwrite:
        raise VectorFileError(
            "this folder is there already",
            where=target,
            remedy=("name another, or replace it with ", Option("overwrite", True)),
        )
    for source in (one.resolve() for one in sources if str(one) != STDIN):
        if resolved in (source, *source.parents):
            raise VectorFileError(
                "the source is in this folder, and would be lost",
                where=target,
                remedy="name another target",
            )
    _check_own(kind, target)


@contextlib.contextmanager
def written_folder(target: Path, kind: str | None) -> Iterator[Path]:
    """Yield the path to write a folder to, which is the target in the end.

    Args:
        target: the folder.
        kind: its format if it may be replaced, else None.

    Raises:
        VectorFileError: it cannot be written.
    """
    if kind is not None and target.is_dir():
        with replaced_folder(target, partial(_check_own, kind)) as new:
            yield new
    else:
        yield target


def _check_own(kind: str, folder: Path) -> None:
    """Check that a folder holds nothing, or exactly what is written again.

    Raises:
        VectorFileError: it holds something else.
    """
    entries = [entry for entry in os.scandir(folder) if not is_clutter(entry.name)]
    if kind == PIPELINE and entries:
        _check_pipeline(folder)
        return
    found = {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}
    needed = _files_of(kind, folder, found)
    if entries and not needed <= found:
        raise VectorFileError(
            ("this folder is not replaced, since it was not written with ", Option("to", kind)),
            where=folder,
            remedy="choose another path, or delete this folder",
        )
    if kind == "static":
        needed = needed | {CARD}
    others = {entry.name for entry in entries} - (needed & found)
    if others:
        raise VectorFileError(
            f"this folder is not replaced, since {min(others)!r} in it would not be written again",
            where=folder,
            remedy="choose another path, or move or delete that first",
        )
    foreign = [name for name in sorted(found) if not _is_ours(kind, folder / name)]
    if foreign:
        raise VectorFileError(
            f"this folder is not replaced, since {foreign[0]!r} in it is not as this "
            "library writes it: another program made it, or somebody edited it",
            where=folder,
            remedy="choose another path, or move this folder elsewhere or delete it",
        )


def _check_pipeline(folder: Path) -> None:
    """Check that a folder holds exactly a pipeline that was written here.

    Raises:
        VectorFileError: it holds something else.
    """
    from ..formats.spacy_vectors.pipeline import VOCAB, is_unedited

    if not is_unedited(folder):
        raise VectorFileError(
            (
                "this folder is not replaced, since it is not as this library writes it with ",
                Option("lang"),
                ": another program made it, or somebody edited it or added to it",
            ),
            where=folder,
            remedy="choose another path, or move this folder elsewhere or delete it",
        )
    _check_own("spacy", folder / VOCAB)


def _files_of(kind: str, folder: Path, found: set[str]) -> set[str]:
    """Return the names of the files that a folder must have.

    Raises:
        VectorFileError: the index of its files is damaged.
    """
    if kind in FILES:
        return FILES[kind]
    return {INDEX, *(one.name for one in shards_of(folder))} if INDEX in found else {WHOLE}


def _is_ours(kind: str, path: Path) -> bool:
    """Return whether a file has the mark of this library; True of those that have none."""
    if path.name == CARD:
        from ..sharing.card import is_unedited  # imports torch

        return is_unedited(path.read_bytes())
    if path.name == "config.json":
        with contextlib.suppress(ValueError, RecursionError):
            config = json.loads(path.read_text("utf-8"))
            return isinstance(config, dict) and "finetune_embed" in config
        return False
    if path.name == "vectors.cfg":  # spaCy writes the same in several lines
        return path.read_bytes() == b'{"mode": "default"}'
    with open(path, "rb") as file:
        if path.name == "metadata.tsv":  # with several columns it has their names
            return b"\t" not in file.readline()
        if path.name == "vectors.tsv":
            return _has_our_form(file.readline().split())
        if kind == "safetensors" and path.name in (WHOLE, INDEX):
            return b'"vocab.bytes"' in file.read(1 << 20)
    return True


def _has_our_form(numbers: list[bytes]) -> bool:
    """Return whether numbers are the shortest that read back to the same float32."""
    with contextlib.suppress(ValueError), np.errstate(over="ignore"):
        row = np.array([[float(number) for number in numbers]], np.float32)
        return bytes(format_text(b"", row)).split() == numbers
    return False
