"""Folders that `save_to_disk` of the library `datasets` wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import DataError

__all__ = ["saved_files"]

_SPLITS, _INFO, _STATE = "dataset_dict.json", "dataset_info.json", "state.json"


def saved_files(folder: Path) -> dict[str, list[Path]]:
    """Return the Arrow files of each split of a folder; nothing for a folder of another kind.

    Raises:
        DataError: the folder is damaged.
    """
    if (folder / _SPLITS).is_file():
        names = _of(folder / _SPLITS, "splits")
        return {str(name): _files_of(folder / Path(str(name)).name) for name in names}
    return {"train": _files_of(folder)} if (folder / _INFO).is_file() else {}


def _files_of(folder: Path) -> list[Path]:
    files = _of(folder / _STATE, "_data_files")
    names = [str(file.get("filename", "")) if isinstance(file, dict) else "" for file in files]
    if not names or not all(name and Path(name).name == name for name in names):
        raise DataError("this names no files of the data set", where=folder / _STATE)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"{missing[0]} is missing, which {_STATE} names",
            where=folder,
            remedy="save the data set again",
        )
    return [folder / name for name in names]


def _of(path: Path, key: str) -> list[Any]:
    """Return the list under a key of a JSON file.

    Raises:
        DataError: there is none.
    """
    try:
        found = json.loads(path.read_bytes())[key]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(f"cannot be read: {error}", where=path) from error
    if not isinstance(found, list):
        raise DataError(f"{key!r} is not a list", where=path, value=found)
    return found
