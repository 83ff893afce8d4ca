"""Data sets in: objects, local files and folders, and Hub names, as named splits."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from .local_dataset import LocalDataset
from .local_files import SUFFIXES, kind_of, read_rows, stream_rows

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["DataSource", "Splits", "open_splits"]

DataSource = Any  # Dataset | DatasetDict | str | os.PathLike[str] | Splits
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
_ROLES = {name: role for role, names in _SPLIT_NAMES.items() for name in names}
_FILE_NAME = re.compile(
    rf"({'|'.join(_ROLES)})(?:-(\d+)-of-(\d+)(?:-[0-9a-f]+)?)?"
    rf"({'|'.join(map(re.escape, SUFFIXES))})(\.gz)?"
)


@dataclass(frozen=True)
class Splits:
    """The splits of a data set; `validation` and `test` are None where there is none.

    Each is a `Dataset`, or a `LocalDataset` if it was read from local files; `train` may also be an
    `IterableDataset`, which is streamed.
    """

    train: Any
    validation: Dataset | LocalDataset | None
    test: Dataset | LocalDataset | None
    name: str

    @property
    def streamed(self) -> bool:
        """Whether the training split is streamed."""
        return not isinstance(self.train, Sized)


def open_splits(dataset: DataSource, streaming: bool = False) -> Splits:
    """Open a data set and name its splits.

    Args:
        dataset: a `datasets.Dataset` or `DatasetDict`, or what is streamed of the same kind; a
            CSV, TSV, JSON, JSONL or Parquet file; a folder; or the name of a data set on the
            Hugging Face Hub, which is passed to `datasets.load_dataset`. A folder is one written
            by `save_to_disk`, or it, or its subfolder `data`, holds such files, packed with gzip or
            not: for each split one named `train` (or `training`), `validation` (or `valid`, `val`,
            `dev`) or `test`, or its shards, such as `train-00000-of-00002.parquet`. Other files are
            left alone. Every field of a CSV or TSV file is text as it stands; an empty one that is
            not quoted is a missing value, and lines without anything are left out. Splits that were
            opened already are returned as they are.
        streaming: whether files and data sets of the Hub are streamed, so that the training split
            is never held whole (but a JSON file that is one array); the other splits are.

    Raises:
        DataError: nothing is found there, it can't be read, or a split is missing or empty.
    """
    if isinstance(dataset, Splits):
        return dataset
    opened, name = _open(dataset, streaming)
    found: dict[str, Any] = {}
    for role, names in _SPLIT_NAMES.items():
        split = next((opened[n] for n in names if n in opened), None)
        if split is not None:
            found[role] = _checked(split, role, name)
    if "train" not in found:
        raise DataError(
            f"{name}: there is no training split; there are {', '.join(map(repr, opened))}; rename "
            "one, or pass DatasetDict(train=..., test=...)"
        )
    return Splits(found["train"], found.get("validation"), found.get("test"), name)


def _checked(split: Any, role: str, name: str) -> Any:
    """Return a split that is not empty; a streamed one is held in memory, unless to train on."""
    if not hasattr(split, "features"):
        raise DataError(
            f"{name}: the {role} split is a {type(split).__name__} and no data set; wrap it as "
            "datasets.Dataset.from_list(...) or IterableDataset.from_generator(...)"
        )
    if not isinstance(split, Sized):
        if role == "train":
            return split  # it is empty if its first pass finds nothing
        from datasets import Dataset

        rows = list(split)
        split = Dataset.from_list(rows, features=split.features) if rows else rows
    if not len(split):
        raise DataError(f"{name}: the {role} split is empty (0 rows)")
    return split


def _open(dataset: DataSource, streaming: bool) -> tuple[Mapping[str, Any], str]:
    if isinstance(dataset, Mapping):
        return {str(name): split for name, split in dataset.items()}, "the data set"
    if not isinstance(dataset, (str, os.PathLike)):
        from datasets import Dataset, IterableDataset

        if isinstance(dataset, (Dataset, IterableDataset)):
            return {"train": dataset}, dataset.info.dataset_name or "the data set"
        raise DataError(
            f"a data set is a datasets.Dataset, a DatasetDict, a path or a Hub name, not "
            f"{type(dataset).__name__}; wrap columns as datasets.Dataset.from_dict(...)"
        )
    path = Path(dataset)
    if path.is_dir():
        return _open_saved(path, streaming) or _open_files(_files_of(path), streaming), str(dataset)
    if path.is_file():
        return _open_files({"train": [path]}, streaming), str(dataset)
    suffix = kind_of(path)
    local = suffix in SUFFIXES or path.is_absolute() or str(dataset).startswith(".")
    if local or str(dataset).count("/") > 1:
        raise DataError(f"no such file or folder: {path} (looked in {Path.cwd()})")
    return _open_hub(str(dataset), streaming), str(dataset)


def _open_hub(name: str, streaming: bool) -> Mapping[str, Any]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        loaded: Mapping[str, Any] = load_dataset(name, streaming=streaming)
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"{name!r} is neither a file or folder here nor a data set that the Hub gives: {reason}"
        ) from error
    return loaded


def _open_saved(folder: Path, streaming: bool) -> Mapping[str, Any]:
    """Open a folder that `save_to_disk` wrote; of any other, return nothing."""
    whole = (folder / "dataset_dict.json").is_file()
    if not whole and not (folder / "dataset_info.json").is_file():
        return {}
    from datasets import load_from_disk

    loaded: Any = load_from_disk(os.fspath(folder))
    saved = dict(loaded) if whole else {"train": loaded}
    if streaming:
        saved = {name: split.to_iterable_dataset() for name, split in saved.items()}
    return saved


def _open_files(files: Mapping[str, list[Path]], streaming: bool) -> Mapping[str, Any]:
    """Open the files of each split; one that is not trained on is held in memory anyway."""
    return {
        role: stream_rows(paths) if streaming and role == "train" else read_rows(paths)
        for role, paths in files.items()
    }


def _files_of(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each split in a folder.

    Raises:
        DataError: there is none, or it is not clear which ones they are.
    """
    splits: dict[str, dict[Any, list[Path]]] = {}  # the files of a role, shards of one set together
    for path in sorted([*folder.glob("*"), *folder.glob("data/*")]):
        match = _FILE_NAME.fullmatch(path.name.lower())
        if match and path.is_file():
            name, shard, *kind = match.groups()
            one = (path.parent, name, *kind) if shard else path
            splits.setdefault(_ROLES[name], {}).setdefault(one, []).append(path)
    for role, files in splits.items():
        if len(files) > 1:
            first, second, *_ = (paths[0].relative_to(folder) for paths in files.values())
            raise DataError(
                f"{folder}: both {first} and {second} could be the {role} split; remove one of "
                "them, or name the parts of one split train-00000-of-00002.csv and so on"
            )
    if not splits:
        raise DataError(
            f"{folder} has no file named train.csv, train.jsonl, train.parquet or the like; put "
            "one there, or pass the file itself"
        )
    return {role: next(iter(files.values())) for role, files in splits.items()}
