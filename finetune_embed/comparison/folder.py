"""The folder of a comparison: what it was started with, and its runs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import DataError, Option
from ..files import atomic_write
from ..training.run.file_names import MARK
from ..training.run.record import check_same
from .report import COMPARISON, MARKDOWN, PLOT, RECIPE

__all__ = ["open_folder"]

SETTINGS, TRIALS = "settings.json", "trials.jsonl"
FILES = (SETTINGS, TRIALS, COMPARISON, MARKDOWN, PLOT, RECIPE)


def open_folder(
    output_dir: str | os.PathLike[str] | None,
    identity: Mapping[str, Any],
    resume: bool,
    overwrite: bool,
) -> Path | None:
    """Return the file of runs in a folder, made ready for a comparison.

    Args:
        output_dir: the folder of a new comparison, or of one to continue or to replace; None for no
            folder.
        identity: plain values that identify the inputs and settings of all its runs.
        resume: whether to continue.
        overwrite: whether to replace.

    Raises:
        DataError: it holds a comparison and neither `resume` nor `overwrite` is set, a comparison
            with other settings, or files of something else.
    """
    keep_or_replace = ("choose ", Option("resume", True), " or ", Option("overwrite", True))
    if resume and overwrite:
        raise DataError(
            ("excludes ", Option("overwrite", True)),
            option="resume",
            value=True,
            remedy="choose one of the two",
        )
    if output_dir is None:
        return None
    folder = Path(output_dir)
    if folder.exists() and not folder.is_dir():
        raise DataError("is a file", option="output_dir", value=str(folder), remedy="name a folder")
    present = [name for name in FILES if (folder / name).exists()]
    before = _settings_of(folder) if present else None
    if present and before is None:
        raise DataError(
            f"the folder holds {', '.join(present)}, which no comparison of {MARK} wrote",
            where=folder,
            remedy=("choose another ", Option("output_dir")),
        )
    if len(present) > 1 and not (resume or overwrite):  # more than what it was started with
        raise DataError("the folder holds a comparison", where=folder, remedy=keep_or_replace)
    if before is not None and resume:
        check_same(folder, before, identity)
        return folder / TRIALS
    folder.mkdir(parents=True, exist_ok=True)
    for name in reversed(FILES):
        (folder / name).unlink(missing_ok=True)
    with atomic_write(folder / SETTINGS) as file:
        settings = {MARK: version(MARK), **identity}
        file.write(json.dumps(settings, indent=2, ensure_ascii=False).encode() + b"\n")
    return folder / TRIALS


def _settings_of(folder: Path) -> dict[str, Any] | None:
    """Return what a comparison was started with; None if the folder holds none of ours."""
    try:
        found = json.loads((folder / SETTINGS).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and MARK in found else None
