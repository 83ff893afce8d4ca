"""The folder of a run: what it holds, whether it is ours, and what may be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ...errors import DataError, Option
from ...files import remove_partial_files
from .checkpoints import latest_checkpoint, remove_checkpoints
from .file_names import CONFIG, FILES, HISTORY, MARK, METRICS

__all__ = ["check_folder", "clear_folder", "state_of", "tidy_folder"]

State = Literal["empty", "unfinished", "finished"]


def state_of(folder: Path) -> State:
    """Return the state of the run in a folder.

    Raises:
        DataError: it is a file, or holds files with the names of a run's files that no run of this
            library wrote.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError("is a file", option="output_dir", value=str(folder), remedy="name a folder")
    if latest_checkpoint(folder) is not None and not (folder / METRICS).exists():
        return "unfinished"
    present = [name for name in FILES if (folder / name).exists()]
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
        DataError: it holds a run, and neither `resume` nor `overwrite` is set, or both are.
    """
    if resume and overwrite:
        raise DataError(
            ("excludes ", Option("overwrite", True)),
            option="resume",
            value=True,
            remedy="choose one of the two",
        )
    state = state_of(folder)
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
    return state


def clear_folder(folder: Path) -> None:
    """Make a folder ready for a new run.

    The checkpoints, the history and the metrics, which mark a run as finished, are removed. The
    other files stay until new ones replace them: one may be the table that is being tuned.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (METRICS, HISTORY):
        (folder / name).unlink(missing_ok=True)
    tidy_folder(folder)


def tidy_folder(folder: Path) -> None:
    """Remove the checkpoints of a run, and what killed processes left in its folder."""
    remove_checkpoints(folder)
    remove_partial_files(folder, FILES)
