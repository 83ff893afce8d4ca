"""Arrow data, wherever it lies, opened to be read batch by batch.

Arrow IPC files and streams, Parquet files, folders of `Dataset.save_to_disk` (Arrow streams that
`state.json` lists) and Hugging Face data sets in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import VectorFileError
from ...files import EXPANSION_FLOOR, MAX_EXPANSION, Source
from ..common.folders import missing_folder, read_json

__all__ = ["Batches", "data_files", "naming_damage", "of_dataset", "of_file", "of_parts"]

ROWS = 1 << 14  # rows read at a time, where that is ours to choose
STATE, SPLITS = "state.json", "dataset_dict.json"


@dataclass(frozen=True)
class Batches:
    """Arrow data to be read once, batch by batch.

    Attributes:
        name: where it comes from, for messages.
        schema: its `pyarrow.Schema`.
        of: gives `pyarrow.RecordBatch`es of the columns at some positions of the schema, in that
            order.
        size: the bytes of its file; 0 where there is none.
    """

    name: str
    schema: Any
    of: Callable[[list[int]], Iterator[Any]]
    size: int = 0

    def refuse_bomb(self, grown: int) -> None:
        """Refuse data that grows beyond reason, as rows repeated by run lengths can.

        Raises:
            VectorFileError: `grown` bytes are too many for the file they were read from.
        """
        if self.size and grown > max(MAX_EXPANSION * self.size, EXPANSION_FLOOR):
            raise VectorFileError(
                f"{self.name}: {self.size:,} bytes grew beyond {grown:,}, over {MAX_EXPANSION} to "
                "1, which no vectors do; read it by its own library if you trust it"
            )


@contextlib.contextmanager
def naming_damage(name: str) -> Iterator[None]:
    """Say of any error that pyarrow raises which file it is."""
    import pyarrow as pa

    damage = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, IndexError, MemoryError)
    try:
        yield
    except VectorFileError:
        raise
    except damage as error:
        reason = " ".join(str(error).split())[:300]
        raise VectorFileError(
            f"{name} is damaged or cut short ({reason}); fetch the file again"
        ) from error


def of_file(source: Source, name: str) -> Batches:
    """Open an Arrow file, an Arrow stream or a Parquet file, in place.

    Raises:
        VectorFileError: what tells its columns is damaged or cut short.
    """
    import pyarrow as pa

    stream = source.peek(6) != b"ARROW1"
    with naming_damage(source.name):
        data = pa.py_buffer(source.read_all())
        if name == "parquet":
            return _of_parquet(source.name, data)
        return (_of_ipc_stream if stream else _of_ipc_file)(source.name, data)


def _of_parquet(name: str, data: Any) -> Batches:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(data)
    schema = file.schema_arrow

    def of(columns: list[int]) -> Iterator[Any]:
        names = [schema.field(column).name for column in columns]
        words, numbers = (_chunks(file.metadata, data, name) for name in names)
        claimed = (max(chunk.total_uncompressed_size, 4 * chunk.num_values) for chunk in numbers)
        batches.refuse_bomb(sum(claimed) + sum(chunk.total_uncompressed_size for chunk in words))
        packed = names[:1] if _is_dictionary(words) else []
        opened = pq.ParquetFile(data, read_dictionary=packed) if packed else file
        return (batch.select(names) for batch in opened.iter_batches(ROWS, columns=names))

    batches = Batches(name, schema, of, data.size)
    return batches


def _chunks(metadata: Any, data: Any, name: str) -> list[Any]:
    """Return what a Parquet file tells of all parts of a column.

    Raises:
        pyarrow.ArrowException: it is damaged.
    """
    import pyarrow.parquet as pq

    # Asked for a part that is damaged, pyarrow ends the process; buffering all parts, it raises.
    next(pq.ParquetFile(data, pre_buffer=True).iter_batches(1, columns=[name]), None)
    paths = [metadata.schema.column(at).path for at in range(metadata.num_columns)]
    wanted = [at for at, path in enumerate(paths) if f"{path}.".startswith(f"{name}.")]
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    return [group.column(at) for group in groups for at in wanted]


def _is_dictionary(chunks: list[Any]) -> bool:
    """Tell words that lie once in a dictionary, where pyarrow can leave them so."""
    encodings = {encoding for chunk in chunks for encoding in chunk.encodings}
    texts = all(chunk.physical_type == "BYTE_ARRAY" for chunk in chunks)
    return texts and "DICTIONARY" in str(encodings) and "DELTA" not in str(encodings)


def _of_ipc_file(name: str, data: Any) -> Batches:
    import pyarrow as pa

    reader = pa.ipc.open_file(data)

    def of(columns: list[int]) -> Iterator[Any]:
        return (reader.get_batch(i).select(columns) for i in range(reader.num_record_batches))

    return Batches(name, reader.schema, of, data.size)


def _of_ipc_stream(name: str, data: Any) -> Batches:
    import pyarrow as pa

    reader = pa.ipc.open_stream(data)

    def of(columns: list[int]) -> Iterator[Any]:
        return (batch.select(columns) for batch in reader)

    return Batches(name, reader.schema, of, data.size)


def of_parts(name: str, parts: list[Batches]) -> Batches:
    """Return the data of several files as one.

    Raises:
        VectorFileError: their columns differ.
    """
    schema = parts[0].schema
    for part in parts[1:]:
        if not part.schema.equals(schema):
            raise VectorFileError(
                f"{part.name} has other columns than {parts[0].name}: {part.schema.names}, not "
                f"{schema.names}; save the data set again"
            )

    def of(columns: list[int]) -> Iterator[Any]:
        return itertools.chain.from_iterable(part.of(columns) for part in parts)

    return Batches(name, schema, of, sum(part.size for part in parts))


def data_files(folder: Path) -> list[Path]:
    """Return the Arrow streams of a folder that `Dataset.save_to_disk` wrote.

    Raises:
        VectorFileError: it is none, holds several data sets, or lists files outside it.
    """
    if (folder / SPLITS).is_file():
        told = read_json(folder / SPLITS)
        names = told.get("splits") if isinstance(told, dict) else None
        raise _several(str(folder), names, lambda split: f"load_arrow({str(folder / split)!r})")
    if not (folder / STATE).is_file():
        raise missing_folder(
            folder, "a saved Hugging Face data set", f"load_arrow needs one with {STATE} in it"
        )
    state = read_json(folder / STATE)
    try:
        names = [item["filename"] for item in state["_data_files"]]
        if not names or not all(Path(name).name == name for name in names):
            raise ValueError(f"it lists {names}")
    except (ValueError, TypeError, KeyError) as error:
        raise VectorFileError(
            f"{folder / STATE} does not list the data's files ({error}); save the data set again: "
            "dataset.save_to_disk(path)"
        ) from error
    if state.get("_indices_data_files"):
        raise VectorFileError(
            f"{folder} was saved with a selection of its rows by an old version of datasets; load "
            "it there: load_arrow(datasets.load_from_disk(path))"
        )
    return [folder / name for name in names]


def of_dataset(dataset: Any) -> Batches | None:
    """Open a Hugging Face data set; None if this is something else.

    Raises:
        VectorFileError: it is a dictionary of data sets, or an iterable one without rows.
    """
    datasets = sys.modules.get("datasets")  # who has one, has imported it
    if datasets is None:
        return None
    if isinstance(dataset, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        raise _several("the data set", list(dataset), lambda split: f"dataset[{split!r}]")
    if isinstance(dataset, datasets.Dataset):
        return _of_rows(dataset)
    return _of_stream(dataset) if isinstance(dataset, datasets.IterableDataset) else None


def _of_rows(dataset: Any) -> Batches:
    schema = dataset.features.arrow_schema

    def of(columns: list[int]) -> Iterator[Any]:
        names = [schema.field(column).name for column in columns]
        tables = dataset.select_columns(names).with_format("arrow").iter(ROWS)
        return (batch for table in tables for batch in table.select(names).to_batches())

    return Batches("the data set", schema, of)


def _of_stream(dataset: Any) -> Batches:
    with naming_damage("the data set"):
        tables = iter(dataset.with_format("arrow").iter(ROWS))
        first = next(tables, None)
    if first is None:
        raise VectorFileError("the data set has no rows; pass one that has")

    def of(columns: list[int]) -> Iterator[Any]:
        names = [first.schema.field(column).name for column in columns]
        for table in itertools.chain([first], tables):
            yield from table.select(names).to_batches()

    return Batches("the data set", first.schema, of)


def _several(name: str, splits: Any, cure: Callable[[str], str]) -> VectorFileError:
    names = [str(split) for split in splits or ["train"]]
    return VectorFileError(
        f"{name} holds several data sets: {', '.join(names)}; pass one, such as {cure(names[0])}"
    )
