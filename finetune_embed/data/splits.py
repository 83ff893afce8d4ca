"""Opens data sets as named splits: objects, local files and folders, and Hub names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, Either
from .file_kinds import SUFFIXES, kind_of
from .local_dataset import LocalDataset
from .local_files import read_files, stream_files

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
    """The splits of a data set.

    Attributes:
        train: the training split: a `Dataset`, a `LocalDataset` if it was read from local files, or
            an `IterableDataset`, which is streamed.
        validation: the validation split, or None.
        test: the test split, or None.
        name: the name of the data set in messages.
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
        dataset: a `datasets.Dataset` or `DatasetDict`, or their streamed counterparts; a CSV, TSV,
            JSON, JSONL or Parquet file, gzip-compressed or not; a folder; or the name of a data set
            on the Hugging Face Hub, which is passed to `datasets.load_dataset`. A folder is one
            that `save_to_disk` wrote, or has such files, itself or in its subfolder `data`: one for
            each split, named `train` (or `training`), `validation` (or `valid`, `val`, `dev`) or
            `test`, or its shards, such as `train-00000-of-00002.parquet`. Other files are ignored.
            In CSV and TSV every field is text as written, an empty field without quotes is a
            missing value, and lines without any value are skipped. `Splits` are returned unchanged.
        streaming: whether files and data sets of the Hub are streamed. The training split is then
            never held in memory (except a JSON file that is one array); the other splits are.

    Raises:
        DataError: nothing is found there, it cannot be read, or a split is missing or empty.
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
            f"there is no training split; there are {', '.join(map(repr, opened))}",
            where=name,
            remedy=(
                "name one of them train: ",
                Either("DatasetDict(train=..., test=...), or ", ""),
                "a file train.csv in a folder",
            ),
        )
    return Splits(found["train"], found.get("validation"), found.get("test"), name)


def _checked(split: Any, role: str, name: str) -> Any:
    """Return a split that is not empty; a stream is read into memory unless it is to train on."""
    if not hasattr(split, "features"):
        raise DataError(
            f"the {role} split is a {type(split).__name__}, not a data set",
            where=name,
            value=split,
            remedy="wrap it: Dataset.from_list(...) or IterableDataset.from_generator(...)",
        )
    if not isinstance(split, Sized):
        if role == "train":
            return split  # the first pass over it finds out whether it is empty
        from datasets import Dataset

        examples = list(split)
        split = Dataset.from_list(examples, features=split.features) if examples else examples
    if not len(split):
        raise DataError(f"the {role} split is empty (0 examples)", where=name)
    return split


def _open(dataset: DataSource, streaming: bool) -> tuple[Mapping[str, Any], str]:
    """Return the splits of a data set as it names them, and its name."""
    if isinstance(dataset, Mapping):
        return {str(name): split for name, split in dataset.items()}, "the data set"
    if not isinstance(dataset, (str, os.PathLike)):
        from datasets import Dataset, IterableDataset

        if isinstance(dataset, (Dataset, IterableDataset)):
            return {"train": dataset}, dataset.info.dataset_name or "the data set"
        raise DataError(
            "a data set is a datasets.Dataset, a DatasetDict, a path or a Hub name, not "
            f"{type(dataset).__name__}",
            value=dataset,
            remedy="wrap columns: datasets.Dataset.from_dict(...)",
        )
    path = Path(dataset)
    if path.is_dir():
        return _open_saved(path, streaming) or _open_files(_files_of(path), streaming), str(dataset)
    if path.is_file():
        return _open_files({"train": [path]}, streaming), str(dataset)
    is_local = kind_of(path) in SUFFIXES or path.is_absolute() or str(dataset).startswith(".")
    if is_local or str(dataset).count("/") > 1:
        raise DataError(f"there is no such file or folder (looked in {Path.cwd()})", where=path)
    return _open_hub(str(dataset), streaming), str(dataset)


def _open_hub(name: str, streaming: bool) -> Mapping[str, Any]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        loaded: Mapping[str, Any] = load_dataset(name, streaming=streaming)
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"is neither a file or folder here nor a data set that the Hub returns: {reason}",
            option="dataset",
            value=name,
        ) from error
    return loaded


def _open_saved(folder: Path, streaming: bool) -> Mapping[str, Any]:
    """Open a folder that `save_to_disk` wrote; return nothing for another folder."""
    has_splits = (folder / "dataset_dict.json").is_file()
    if not has_splits and not (folder / "dataset_info.json").is_file():
        return {}
    from datasets import load_from_disk

    loaded: Any = load_from_disk(os.fspath(folder))
    saved = dict(loaded) if has_splits else {"train": loaded}
    if streaming:
        saved = {name: split.to_iterable_dataset() for name, split in saved.items()}
    return saved


def _open_files(files: Mapping[str, list[Path]], streaming: bool) -> Mapping[str, Any]:
    """Open the files of each split; only a training split can be streamed."""
    return {
        role: stream_files(paths) if streaming and role == "train" else read_files(paths)
        for role, paths in files.items()
    }


def _files_of(folder: Path) -> dict[str, list[Path]]:
    """Return the files of each split in a folder.

    Raises:
        DataError: there is none, or it is not clear which files they are.
    """
    splits: dict[str, dict[Any, list[Path]]] = {}  # the shards of one set have the same key
    for path in sorted([*folder.glob("*"), *folder.glob("data/*")]):
        match = _FILE_NAME.fullmatch(path.name.lower())
        if match and path.is_file():
            name, shard, *kind = match.groups()
            key = (path.parent, name, *kind) if shard else path
            splits.setdefault(_ROLES[name], {}).setdefault(key, []).append(path)
    for role, files in splits.items():
        if len(files) > 1:
            first, second, *_ = (paths[0].relative_to(folder) for paths in files.values())
            raise DataError(
                f"both {first} and {second} could be the {role} split",
                where=folder,
                remedy="remove one of them, or name the shards of one split "
                "train-00000-of-00002.csv and so on",
            )
    if not splits:
        raise DataError(
            "there is no file named train.csv, train.jsonl, train.parquet or similar",
            where=folder,
            remedy="put one there, or pass the file itself",
        )
    return {role: next(iter(files.values())) for role, files in splits.items()}
