"""The folder of a run: what it holds, whether it is ours, and what may be done with it."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

from ...errors import DataError, Option, printable
from ...files import finish_replacing, remove_partial_files, replaced_together, settle
from .checkpoints import latest_checkpoint, remove_checkpoints
from .file_names import COMPARISON_FILES, CONFIG, FILES, MARK, METRICS, TRACKERS

__all__ = ["check_folder", "check_nothing_else", "new_run", "settle_run", "state_of", "tidy_folder"]

State = Literal["empty", "unfinished", "finished"]


def state_of(folder: Path) -> State:
    """Return the state of the run in a folder that the caller has locked.

    A run that replaces a finished one has checkpoints beside its files until it is finished itself.

    Raises:
        DataError: it holds files with the names of a run's files that no run of this library wrote.
    """
    finish_replacing(folder, FILES, remove_checkpoints)
    if latest_checkpoint(folder) is not None:
        return "unfinished"
    present = [name for name in FILES if os.path.lexists(folder / name)]
    if not present:
        return "empty"
    if not _is_marked(folder / CONFIG):
        raise DataError(
            f"the folder holds {', '.join(present)}, which no run of {MARK} wrote",
            where=folder,
            remedy=("choose another ", Option("output_dir")),
        )
    return "finished" if METRICS in present else "empty"


def _is_marked(config: Path) -> bool:
    if not config.is_file():
        return False
    with open(config, "rb") as file:
        return file.read(len(MARK) + 1) == f"{MARK}:".encode()


def check_folder(folder: Path, resume: bool, overwrite: bool) -> State:
    """Return the state of the run in a folder, if `resume` and `overwrite` allow using it.

    Raises:
        DataError: it holds a run, and neither `resume` nor `overwrite` is set, or both are; or it
            holds other files, and `resume` is set.
    """
    if resume and overwrite:
        raise DataError(
            ("excludes ", Option("overwrite", True)),
            option="resume",
            value=True,
            remedy="choose one of the two",
        )
    state = state_of(folder)
    if all((folder / name).is_file() for name in COMPARISON_FILES):
        raise DataError(
            "the folder holds a comparison, and a run needs one of its own",
            where=folder,
            remedy=("choose another ", Option("output_dir")),
        )
    if state == "finished" and not (resume or overwrite):
        raise DataError(
            "the folder holds a finished run",
            where=folder,
            remedy=(
                "choose another ",
                Option("output_dir"),
                ", or start over with ",
                Option("overwrite", True),
            ),
        )
    if state == "unfinished" and not (resume or overwrite):
        raise DataError(
            "the folder holds an unfinished run",
            where=folder,
            remedy=(
                "continue it with ",
                Option("resume", True),
                ", or start over with ",
                Option("overwrite", True),
            ),
        )
    if state == "empty" and resume:
        check_nothing_else(folder, FILES)
    return state


def check_nothing_else(folder: Path, files: Collection[str]) -> None:
    """Log that a folder holds nothing to resume, if it is new or empty.

    Args:
        folder: the folder.
        files: the names of files that a process may have left that was killed early.

    Raises:
        DataError: it holds other files, so that it is likely to be the wrong one.
    """
    others = sorted(
        path.name
        for path in folder.iterdir()
        if path.name not in (*files, TRACKERS) and not path.name.startswith(".")
    )
    if others:
        raise DataError(
            f"the folder holds nothing to resume, but other files, such as {others[0]}",
            where=folder,
            remedy=(
                "choose another ",
                Option("output_dir"),
                ", or start without ",
                Option("resume", True),
            ),
        )
    logging.getLogger(MARK).warning(
        "nothing to resume in %s: starting from the beginning", printable(os.fsdecode(folder))
    )


def new_run(folder: Path) -> AbstractContextManager[Path]:
    """Return the context of a hidden folder whose files replace the run in `folder` together.

    The run's checkpoints are removed with the old files. The caller has `folder` locked.
    """
    return replaced_together(folder, FILES, remove_checkpoints)


def settle_run(folder: Path) -> None:
    """Finish the replacing of a run, if a process was killed that had begun it."""
    settle(folder, FILES, remove_checkpoints)


def tidy_folder(folder: Path) -> None:
    """Remove the checkpoints of a run, and what killed processes left in its folder."""
    remove_checkpoints(folder)
    remove_partial_files(folder, FILES)
