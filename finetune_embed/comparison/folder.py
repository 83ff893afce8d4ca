"""The folder of a comparison: what it was started with, and its runs."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import DataError, Option
from ..files import finish_replacing, replaced_together
from ..training.run.checkpoints import latest_checkpoint
from ..training.run.file_names import MARK, RECORD
from ..training.run.folder import check_nothing_else
from ..training.run.record import check_same
from .report import COMPARISON, MARKDOWN, PLOT, RECIPE

__all__ = ["FILES", "open_folder"]

SETTINGS, TRIALS = "settings.json", "trials.jsonl"
FILES = (SETTINGS, TRIALS, COMPARISON, MARKDOWN, PLOT, RECIPE)


def open_folder(
    output_dir: str | os.PathLike[str] | None,
    identity: Mapping[str, Any],
    resume: bool,
    overwrite: bool,
) -> tuple[Path | None, Callable[[], None] | None]:
    """Return the file of runs in a folder that the caller has locked, and what begins a comparison.

    A comparison that is in the folder stays until `begin` replaces it, once there is a first run.

    Args:
        output_dir: the folder of a new comparison, or of one to continue or to replace; None for no
            folder.
        identity: plain values that identify the inputs and settings of all its runs.
        resume: whether to continue.
        overwrite: whether to replace.

    Returns:
        The file, and `begin`, None where the comparison continues; None twice without a folder.

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
        return None, None
    folder = Path(output_dir)
    finish_replacing(folder, FILES)
    if latest_checkpoint(folder) is not None or (folder / RECORD).is_file():
        raise DataError(
            "the folder holds a run, and a comparison needs one of its own",
            where=folder,
            remedy=("choose another ", Option("output_dir")),
        )
    present = [name for name in FILES if os.path.lexists(folder / name)]
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
        if os.path.islink(folder / TRIALS):
            raise DataError(
                "is a link, and runs are written to no other folder",
                where=folder / TRIALS,
                remedy="put the file in its place",
            )
        return folder / TRIALS, None
    if resume:
        check_nothing_else(folder, FILES)
    settings = {MARK: version(MARK), **identity}

    def begin() -> None:
        with replaced_together(folder, FILES) as new:
            (new / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", "utf-8")

    return folder / TRIALS, begin


def _settings_of(folder: Path) -> dict[str, Any] | None:
    """Return what a comparison was started with; None if the folder holds none of ours."""
    try:
        found = json.loads((folder / SETTINGS).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and MARK in found else None
