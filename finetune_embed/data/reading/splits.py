"""Opens data sets as named splits: objects, local files and folders, and Hub names."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import DataError, Either
from .file_kinds import SUFFIXES, ReadAs
from .frames import as_local, is_frame
from .hub import check_not_a_path, load_from_hub
from .local_dataset import FilePart, LocalDataset
from .local_files import read_files, stream_files
from .saved import saved_files

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = ["DataSource", "Splits", "open_splits"]

DataSource = Any  # Dataset | DatasetDict | DataFrame | str | os.PathLike[str] | Splits
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
        train: the training split: a `Dataset`, a `LocalDataset` if it was read from local files or
            a frame, or an `IterableDataset`, which is streamed.
        validation: the validation split, or None.
        test: the test split, or None.
        name: the name of the data set in messages.
        notes: what to report about how it was read.
        is_as_written: whether every value of the training split is a field of a text file as
            written.
    """

    train: Any
    validation: Dataset | LocalDataset | None
    test: Dataset | LocalDataset | None
    name: str
    notes: tuple[str, ...] = ()
    is_as_written: bool = False

    @property
    def streamed(self) -> bool:
        """Whether the training split is streamed."""
        return not isinstance(self.train, Sized)


def open_splits(
    dataset: DataSource,
    streaming: bool = False,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
) -> Splits:
    """Open a data set and name its splits.

    Args:
        dataset: a `datasets.Dataset` or `DatasetDict`, or their streamed counterparts; a pandas or
            polars `DataFrame`, an Arrow table or a list of dictionaries, one for each example, or a
            dictionary of such splits; a CSV, TSV, JSON, JSONL, Parquet or Arrow
            file, the first five gzip-compressed or not, or an Excel workbook; a folder; or the name
            of a data set on the Hugging Face Hub, which is passed to `datasets.load_dataset`. A
            folder is one that `save_to_disk` wrote, or has such files, itself or in its subfolder
            `data`: one for each split, named `train` (or `training`), `validation` (or `valid`,
            `val`, `dev`) or `test`, or its shards, such as `train-00000-of-00002.parquet`. Other
            files are ignored. In CSV and TSV every field is text as written, an empty field without
            quotes is a missing value, and lines without any value are skipped. `Splits` are
            returned unchanged.
        streaming: whether files and data sets of the Hub are streamed. The training split is then
            never held in memory (except a JSON file that is one array, and a workbook); the other
            splits are.
        delimiter: what is between the fields of CSV and TSV files, such as `";"` or `"tab"`; found
            in each file when left out.
        encoding: the encoding of CSV, TSV and JSON files; found in each file when left out.
        sheet: the name of the sheet of a workbook; the first one when left out.

    Raises:
        DataError: nothing is found there, it cannot be read, or a split is missing or empty.
        MissingPackageError: the data is a workbook, and openpyxl is not installed.
    """
    if isinstance(dataset, Splits):
        return dataset
    opened, name = _open(dataset, _Reader(streaming, ReadAs(delimiter, encoding, sheet)))
    found: dict[str, Any] = {}
    notes: list[str] = []
    is_as_written = False
    for role, names in _SPLIT_NAMES.items():
        split = next((opened[n] for n in names if n in opened), None)
        if isinstance(split, _StreamedFiles):
            notes += [note for part in split.parts for note in part.notes]
            is_as_written = all(part.layout is not None for part in split.parts)
            split = split.stream
        if split is not None:
            found[role] = _checked(split, role, name, is_only=len(opened) == 1)
        if isinstance(split, LocalDataset):
            notes += split.notes
            is_as_written |= role == "train" and split.is_as_written
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
    others = found.get("validation"), found.get("test")
    return Splits(found["train"], *others, name, tuple(notes), is_as_written)


def _checked(split: Any, role: str, name: str, *, is_only: bool) -> Any:
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
        what = "the data is empty" if is_only else f"the {role} split is empty"
        raise DataError(f"{what} (0 examples)", where=name)
    return split


class _StreamedFiles(NamedTuple):
    """A stream of local files, and the files."""

    stream: Any
    parts: list[FilePart]


class _Reader(NamedTuple):
    """How files are read; see `open_splits`."""

    streaming: bool
    given: ReadAs

    def open(self, files: Mapping[str, list[Path]]) -> Mapping[str, Any]:
        """Open the files of each split; only a training split can be streamed."""
        return {role: self._open_split(role, paths) for role, paths in files.items()}

    def _open_split(self, role: str, paths: list[Path]) -> Any:
        if self.streaming and role == "train":
            return _StreamedFiles(*stream_files(paths, self.given))
        return read_files(paths, self.given)


def _open(dataset: DataSource, reader: _Reader) -> tuple[Mapping[str, Any], str]:
    """Return the splits of a data set as it names them, and its name."""
    if isinstance(dataset, Mapping):
        names = {name: f"the data set ({name})" for name in dataset}
        return {
            str(name): as_local(split, names[name]) if is_frame(split) else split
            for name, split in dataset.items()
        }, "the data set"
    if is_frame(dataset):
        return {"train": as_local(dataset, "the data set")}, "the data set"
    if not isinstance(dataset, (str, os.PathLike)):
        from datasets import Dataset, IterableDataset

        if isinstance(dataset, (Dataset, IterableDataset)):
            return {"train": dataset}, dataset.info.dataset_name or "the data set"
        kind = "an empty list" if isinstance(dataset, list) and not dataset else ""
        raise DataError(
            "a data set is a datasets.Dataset, a DatasetDict, a pandas or polars DataFrame, a "
            "pyarrow Table, a list of dictionaries, a path or a Hub name, not "
            f"{kind or type(dataset).__name__}",
            value=dataset,
            remedy="wrap columns: datasets.Dataset.from_dict(...)",
        )
    path = Path(dataset)
    if os.path.isdir(path):  # not those of Path, which raise for some names
        return reader.open(saved_files(path) or _files_of(path)), str(dataset)
    if os.path.isfile(path):
        return reader.open({"train": [path]}), str(dataset)
    check_not_a_path(os.fspath(dataset))
    return load_from_hub(str(dataset), reader.streaming), str(dataset)


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
