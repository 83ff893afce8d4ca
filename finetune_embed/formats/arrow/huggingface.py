"""Opens Hugging Face data sets: the folders of `Dataset.save_to_disk`, and objects in memory."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ...errors import VectorFileError
from ..common.folders import missing_folder, read_json
from .batches import ROWS, Batches, as_vector_file_error

__all__ = ["data_files", "open_dataset"]

STATE, SPLITS = "state.json", "dataset_dict.json"
IN_MEMORY = "the data set"  # its name in messages


def data_files(folder: Path) -> list[Path]:
    """Return the Arrow streams of a folder that `Dataset.save_to_disk` wrote.

    Raises:
        VectorFileError: this is not such a folder, contains several data sets, or lists files
            outside it or missing ones.
    """
    if (folder / SPLITS).is_file():
        content = read_json(folder / SPLITS)
        listed = content.get("splits") if isinstance(content, dict) else None
        splits = [str(split) for split in listed or ["train"]]
        raise VectorFileError(
            f"the folder holds several data sets: {', '.join(splits)}",
            where=folder,
            remedy=f"pass the folder of one of them, such as {folder / splits[0]}",
        )
    if not (folder / STATE).is_file():
        raise missing_folder(
            folder,
            "dataset",
            "a saved Hugging Face data set",
            f"pass the folder that contains {STATE}",
        )
    state = read_json(folder / STATE)
    try:
        names = [item["filename"] for item in state["_data_files"]]
        if not names or not all(Path(name).name == name for name in names):
            raise ValueError(f"it lists {names}")
    except (ValueError, TypeError, KeyError) as error:
        raise VectorFileError(
            f"this does not list the files of the data ({error})",
            where=folder / STATE,
            remedy="save the data set again: dataset.save_to_disk(path)",
        ) from error
    if state.get("_indices_data_files"):
        raise VectorFileError(
            "an old version of datasets saved this folder with a selection of its rows",
            where=folder,
            remedy="open it with that version and save the rows: "
            "dataset.flatten_indices().save_to_disk(new_path)",
        )
    absent = [name for name in names if not (folder / name).is_file()]
    if absent:
        raise VectorFileError(
            f"this names {absent[0]}, which is missing",
            where=folder / STATE,
            value=absent[0],
            remedy="fetch the complete folder",
        )
    return [folder / name for name in names]


def open_dataset(dataset: Any) -> Batches | None:
    """Open a Hugging Face data set; return None for any other object.

    Raises:
        VectorFileError: it is a dictionary of data sets, or an iterable data set without rows.
    """
    datasets = sys.modules.get("datasets")  # imported by whoever made the data set
    if datasets is None:
        return None
    if isinstance(dataset, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        splits = [str(split) for split in dataset] or ["train"]
        raise VectorFileError(
            f"this holds several data sets: {', '.join(splits)}",
            where=IN_MEMORY,
            remedy=f"pass one of them, such as dataset[{splits[0]!r}]",
        )
    if isinstance(dataset, datasets.Dataset):
        return _open_rows(dataset)
    return _open_iterable(dataset) if isinstance(dataset, datasets.IterableDataset) else None


def _open_rows(dataset: Any) -> Batches:
    schema = dataset.features.arrow_schema

    def read(columns: Sequence[int]) -> Iterator[Any]:
        names = [schema.field(column).name for column in columns]
        tables = dataset.select_columns(names).with_format("arrow").iter(ROWS)
        return (batch for table in tables for batch in table.select(names).to_batches())

    return Batches(IN_MEMORY, schema, read)


def _open_iterable(dataset: Any) -> Batches:
    with as_vector_file_error(IN_MEMORY):
        tables = iter(dataset.with_format("arrow").iter(ROWS))
        first = next(tables, None)
    if first is None:
        raise VectorFileError("this has no rows", where=IN_MEMORY)

    def read(columns: Sequence[int]) -> Iterator[Any]:
        names = [first.schema.field(column).name for column in columns]
        for table in itertools.chain([first], tables):
            yield from table.select(names).to_batches()

    return Batches(IN_MEMORY, first.schema, read)
