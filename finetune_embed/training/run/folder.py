"""The folder of a run: what lies there, whether it is ours, and what may be done to it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ...errors import DataError
from ...files import remove_partial_files
from .checkpoints import latest_checkpoint, remove_checkpoints
from .file_names import CONFIG, FILES, HISTORY, MARK, METRICS

__all__ = ["check_folder", "clear_folder", "state_of", "tidy_folder"]

State = Literal["empty", "unfinished", "finished"]


def state_of(folder: Path) -> State:
    """Return what a folder holds of a run.

    Raises:
        DataError: it is a file, or holds files of the names that a run would write, and no run of
            this library wrote them.
    """
    if folder.exists() and not folder.is_dir():
        raise DataError(f"output_dir={folder} is a file; name a folder")
    if latest_checkpoint(folder) is not None and not (folder / METRICS).exists():
        return "unfinished"
    present = [name for name in FILES if (folder / name).exists()]
    if not present:
        return "empty"
    if not _is_marked(folder / CONFIG):
        raise DataError(
            f"{folder} holds {', '.join(present)}, which no run of {MARK} wrote; choose another "
            "output_dir"
        )
    return "finished" if METRICS in present else "empty"


def _is_marked(config: Path) -> bool:
    if not config.is_file():
        return False
    with open(config, "rb") as file:
        return file.read(len(MARK) + 1) == f"{MARK}:".encode()


def check_folder(folder: Path, resume: bool, overwrite: bool) -> State:
    """Return what a folder holds, if what the caller asks for can be done with it.

    Raises:
        DataError: it holds a run, and the caller has not said what to do with it.
    """
    if resume and overwrite:
        raise DataError("resume=True goes on with a run, overwrite=True replaces it; choose one")
    state = state_of(folder)
    if state == "finished" and not (resume or overwrite):
        raise DataError(
            f"{folder} holds a finished run; choose another output_dir, or start over with "
            "overwrite=True"
        )
    if state == "unfinished" and not (resume or overwrite):
        raise DataError(
            f"{folder} holds an unfinished run; go on with resume=True, or start over with "
            "overwrite=True"
        )
    return state


def clear_folder(folder: Path) -> None:
    """Make a folder ready for a new run.

    Of a former run only the checkpoints go, its history, and the metrics, which mark it as
    finished; its other files, of which one may be the table being tuned, stay until new ones take
    their places.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (METRICS, HISTORY):
        (folder / name).unlink(missing_ok=True)
    tidy_folder(folder)


def tidy_folder(folder: Path) -> None:
    """Remove the checkpoints of a run, and what killed processes have left in its folder."""
    remove_checkpoints(folder)
    remove_partial_files(folder, FILES)
