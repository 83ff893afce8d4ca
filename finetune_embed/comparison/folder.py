"""The folder of a comparison: what it was started with, and its runs."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import atomic_write
from ..training.run.file_names import MARK
from ..training.settings import same_settings
from .report import COMPARISON, MARKDOWN, PLOT, RECIPE

__all__ = ["open_folder"]

SETTINGS, TRIALS = "settings.json", "trials.jsonl"
FILES = (SETTINGS, TRIALS, COMPARISON, MARKDOWN, PLOT, RECIPE)


def open_folder(
    folder: Path | None, settings: dict[str, Any], resume: bool, overwrite: bool
) -> Path | None:
    """Return the file of runs in a folder, made ready for a comparison.

    Args:
        folder: of a new comparison, or of one to go on with or to replace; None for no folder.
        settings: that all runs of it share; plain values.
        resume: whether to go on.
        overwrite: whether to replace.

    Raises:
        DataError: it holds a comparison and the caller has not said what to do with it, one with
            other settings, or files that are not ours.
    """
    if resume and overwrite:
        raise DataError("resume=True goes on, overwrite=True starts over; choose one")
    if folder is None:
        if resume:
            raise DataError("resume=True needs the folder of the comparison: output_dir='...'")
        return None
    if folder.exists() and not folder.is_dir():
        raise DataError(f"output_dir={folder} is a file; name a folder")
    present = [name for name in FILES if (folder / name).exists()]
    before = _settings_of(folder) if present else None
    if present and before is None:
        raise DataError(
            f"{folder} holds {', '.join(present)}, which no comparison of {MARK} wrote; choose "
            "another output_dir"
        )
    if len(present) > 1 and not (resume or overwrite):  # more than what it was started with
        raise DataError(
            f"{folder} holds a comparison; go on with resume=True, or start over with "
            "overwrite=True"
        )
    if before is not None and resume:
        same_settings(folder, before, settings)
        return folder / TRIALS
    folder.mkdir(parents=True, exist_ok=True)
    for name in reversed(FILES):
        (folder / name).unlink(missing_ok=True)
    with atomic_write(folder / SETTINGS) as file:
        told = {MARK: version(MARK), **settings}
        file.write(json.dumps(told, indent=2, ensure_ascii=False).encode() + b"\n")
    return folder / TRIALS


def _settings_of(folder: Path) -> dict[str, Any] | None:
    """Return what a comparison was started with; None if nothing of ours is there."""
    try:
        told = json.loads((folder / SETTINGS).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and MARK in told else None
