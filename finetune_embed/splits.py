"""Data sets in: objects, local files and folders, and Hub names, as named splits."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import DataError

if TYPE_CHECKING:
    import polars as pl
    from datasets import Dataset, DatasetDict

__all__ = ["DataSource", "Splits", "open_splits"]

DataSource = Any  # Dataset | DatasetDict | str | os.PathLike[str]
_SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test",),
}
_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")


@dataclass(frozen=True)
class Splits:
    """The splits of a data set; `test` is None where there is none."""

    train: Dataset
    validation: Dataset
    test: Dataset | None
    name: str


def open_splits(dataset: DataSource, validation: float = 0.1, seed: int = 0) -> Splits:
    """Open a data set and name its splits.

    Args:
        dataset: a `datasets.Dataset` or `DatasetDict`; a CSV, TSV, JSON, JSONL or Parquet file; a
            folder with one or more such files a split, named `train...`, `validation...` (or
            `valid`, `val`, `dev`) and `test...`, or one written by `save_to_disk`; or the name of
            a data set on the Hugging Face Hub, which is passed to `datasets.load_dataset`.
        validation: the share of the training split to set aside where there is no validation
            split, chosen by `seed`.
        seed: of that choice.

    Raises:
        DataError: nothing is found there, it can't be read, or a split is missing or empty.
    """
    opened, name = _open(dataset)
    found: dict[str, Dataset] = {}
    for role, names in _SPLIT_NAMES.items():
        split = next((opened[n] for n in names if n in opened), None)
        if split is not None:
            if not len(split):
                raise DataError(f"{name}: the {role} split is empty (0 rows)")
            found[role] = split
    if "train" not in found:
        raise DataError(
            f"{name}: there is no training split; there are {', '.join(map(repr, opened))}; rename "
            "one, or pass DatasetDict(train=..., test=...)"
        )
    train = found["train"]
    if "validation" not in found:
        held_out = round(len(train) * validation)
        if not 0 < held_out < len(train):
            raise DataError(
                f"{name}: validation={validation} of {len(train)} training rows leaves "
                f"{held_out} for validation; pass a validation split, or another share"
            )
        order = np.random.default_rng(seed).permutation(len(train))
        found["validation"] = train.select(np.sort(order[:held_out]))
        train = train.select(np.sort(order[held_out:]))
    return Splits(train, found["validation"], found.get("test"), name)


def _open(dataset: DataSource) -> tuple[Mapping[str, Dataset], str]:
    from datasets import Dataset, IterableDataset, IterableDatasetDict

    if isinstance(dataset, (IterableDataset, IterableDatasetDict)):
        raise DataError(
            "a streamed data set can't be shuffled as a whole; load it without streaming"
        )
    if isinstance(dataset, Dataset):
        return {"train": dataset}, dataset.info.dataset_name or "the data set"
    if isinstance(dataset, Mapping):
        return {str(name): split for name, split in dataset.items()}, "the data set"
    if not isinstance(dataset, (str, os.PathLike)):
        raise DataError(
            f"a data set is a datasets.Dataset, a DatasetDict, a path or a Hub name, not "
            f"{type(dataset).__name__}; wrap columns as datasets.Dataset.from_dict(...)"
        )
    path = Path(dataset)
    if path.is_dir():
        return _open_folder(path), str(dataset)
    if path.is_file():
        return {"train": _read([path])}, str(dataset)
    suffix = _without_gz(path).suffix
    local = suffix in _SUFFIXES or path.is_absolute() or str(dataset).startswith(".")
    if local or str(dataset).count("/") > 1:
        raise DataError(f"no such file or folder: {path} (looked in {Path.cwd()})")
    return _open_hub(str(dataset)), str(dataset)


def _open_hub(name: str) -> DatasetDict:
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    try:
        loaded = load_dataset(name)
    except (DatasetsError, OSError, ValueError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise DataError(
            f"{name!r} is neither a file or folder here nor a data set that the Hub gives: {reason}"
        ) from error
    return loaded


def _open_folder(folder: Path) -> Mapping[str, Dataset]:
    from datasets import load_from_disk

    if (folder / "dataset_dict.json").is_file():
        saved: dict[str, Dataset] = dict(load_from_disk(os.fspath(folder)))
        return saved
    if (folder / "dataset_info.json").is_file():
        return {"train": load_from_disk(os.fspath(folder))}
    splits: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        stem = re.split(r"[^a-z]", path.name.lower())[0]
        role = next((role for role, names in _SPLIT_NAMES.items() if stem in names), None)
        if role and _without_gz(path).suffix in _SUFFIXES:
            splits.setdefault(role, []).append(path)
    if not splits:
        raise DataError(
            f"{folder} has no file named train.csv, train.jsonl, train.parquet or the like; put "
            "one there, or pass the file itself"
        )
    return {role: _read(paths) for role, paths in splits.items()}


def _read(paths: list[Path]) -> Dataset:
    """Read files of one split; every field of a CSV file is taken as it stands."""
    import polars as pl
    from datasets import Dataset

    frames = []
    for path in paths:
        try:
            frames.append(_read_file(path))
        except DataError:
            raise
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            reason = str(error).strip().split("\n")[0]
            raise DataError(f"{path} can't be read: {reason}") from error
    try:
        return Dataset.from_polars(pl.concat(frames, rechunk=True))
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{paths[0].parent}: the files of a split differ in columns: {error}"
        ) from error


def _without_gz(path: Path) -> Path:
    """Return a file's name in lower case, without the suffix of gzip."""
    return Path(path.name.lower().removesuffix(".gz"))


def _read_file(path: Path) -> pl.DataFrame:
    import polars as pl

    if not path.stat().st_size:
        raise DataError(f"{path} is empty (0 bytes)")
    kind = _without_gz(path).suffix
    if kind in (".csv", ".tsv"):
        separator = "\t" if kind == ".tsv" else ","
        return pl.read_csv(path, separator=separator, infer_schema_length=10_000)
    if kind in (".jsonl", ".ndjson"):
        return pl.read_ndjson(path, infer_schema_length=10_000)
    if kind == ".json":
        return pl.read_json(path)
    if kind == ".parquet":
        return pl.read_parquet(path)
    raise DataError(f"{path}: data sets are read from {', '.join(_SUFFIXES)} files")
