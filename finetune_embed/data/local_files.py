"""Local files of examples: CSV, TSV, JSON, JSON Lines and Parquet, read at once or in blocks.

Both ways give the same examples, except for the types of JSON Lines, which are inferred for each
block. In CSV and TSV every field is text as written, an empty field without quotes is a missing
value, and lines without any value are skipped.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import DataError
from .file_kinds import (
    READ_ERRORS,
    SEPARATORS,
    SUFFIXES,
    csv_records,
    is_json_array,
    kind_of,
    open_data,
)
from .file_places import unreadable
from .json_checks import check_array, check_lines
from .local_dataset import LocalDataset

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_files", "stream_files"]

BLOCK = 1 << 22  # bytes of a file that are read and parsed together


def read_files(paths: list[Path]) -> LocalDataset:
    """Read the files of one split.

    Raises:
        DataError: one cannot be read, or they differ in columns.
    """
    import polars as pl

    frames = [_read(path) for path in paths]
    try:
        columns = pl.concat(frames)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the files of a split differ in columns: {error}", where=paths[0].parent
        ) from error
    return LocalDataset(columns, [(path, len(f)) for path, f in zip(paths, frames, strict=True)])


def stream_files(paths: list[Path]) -> Any:
    """Return the files of one split as a `datasets.IterableDataset` with one shard per file.

    A JSON file that is one array is held in memory while it is read.

    Raises:
        DataError: one is of another kind, or empty. Other errors are raised when they are reached.
    """
    from datasets import IterableDataset, load_dataset

    for path in paths:
        _check_file(path)
    files = [os.fspath(path) for path in paths]
    if kind_of(paths[0]) == ".parquet":  # which may have names of classes
        with _naming(paths[0]):
            return load_dataset("parquet", data_files=files, split="train", streaming=True)
    return IterableDataset.from_generator(_examples_of, gen_kwargs={"paths": files})


def _examples_of(paths: list[str]) -> Iterator[dict[str, Any]]:
    for path in map(Path, paths):
        for frame in _blocks(path):
            yield from frame.iter_rows(named=True)


def _check_file(path: Path) -> None:
    if kind_of(path) not in SUFFIXES:
        raise DataError(f"data sets are read from {', '.join(SUFFIXES)} files", where=path)
    if not path.stat().st_size:
        raise DataError("the file is empty (0 bytes)", where=path)


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn any error of reading a file into one that names the file, and the line if possible."""
    import polars as pl

    try:
        yield
    except DataError:
        raise
    except (pl.exceptions.PolarsError, RuntimeError, *READ_ERRORS) as error:
        raise unreadable(path, error) from error


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    _check_file(path)
    kind = kind_of(path)
    with _naming(path):
        if kind == ".parquet":
            with open(path, "rb") as file:  # polars would take a path for a pattern
                return pl.read_parquet(file)
        if kind in SEPARATORS:
            return _read_csv(path, SEPARATORS[kind])
        with open_data(path) as file:
            has_bom = file.tell() > 0  # polars cannot read it
            if kind == ".json" and is_json_array(file):
                return _read_array(file, path)
            frame = _read_lines(io.BytesIO(file.read()) if has_bom else path)
        with open_data(path) as file:
            check_lines(frame, file, path)
        return frame


def _blocks(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the examples of a file that is not a Parquet file, in blocks."""
    kind = kind_of(path)
    with _naming(path), open_data(path) as file:
        if kind in SEPARATORS:
            yield from _blocks_of_csv(file, SEPARATORS[kind])
        elif kind == ".json" and is_json_array(file):
            yield _read_array(file, path)
        else:
            yield from _blocks_of_lines(file, path)


def _blocks_of_csv(file: BinaryIO, separator: str) -> Iterator[pl.DataFrame]:
    records = csv_records(file)
    header = next((record for record in records if record.strip()), b"")
    for block in _grouped(records):
        yield _read_csv(io.BytesIO(header + b"".join(block)), separator)


def _blocks_of_lines(file: BinaryIO, path: Path) -> Iterator[pl.DataFrame]:
    """Yield the examples of JSON Lines; in a block, each column has one type."""
    before = 0
    for lines in _grouped(file):
        if any(line.strip() for line in lines):
            frame = _read_lines(io.BytesIO(b"".join(lines)))
            check_lines(frame, lines, path, before)
            yield frame
        before += len(lines)


def _grouped(parts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield lists of parts with `BLOCK` bytes or a little more; without parts, one empty list."""
    group: list[bytes] = []
    size = 0
    for part in parts:
        if size >= BLOCK:
            yield group
            group, size = [], 0
        group.append(part)
        size += len(part)
    yield group


@contextlib.contextmanager
def _as_file(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """Open a file, gzip-compressed or not; polars would take a path for a pattern."""
    if not isinstance(source, Path):
        yield source
        return
    if source.name.lower().endswith(".gz"):
        with gzip.open(source, "rb") as packed:
            yield io.BytesIO(packed.read())
        return
    with open(source, "rb") as file:
        yield file


def _read_csv(source: Path | BinaryIO, separator: str) -> pl.DataFrame:
    import polars as pl

    with _as_file(source) as file:
        frame = pl.read_csv(file, separator=separator, infer_schema=False)
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))  # polars reads blank lines


def _read_lines(source: Path | BinaryIO) -> pl.DataFrame:
    import polars as pl

    with _as_file(source) as file:
        return pl.read_ndjson(file, infer_schema_length=10_000)


def _read_array(file: BinaryIO, path: Path) -> pl.DataFrame:
    import polars as pl

    data = file.read()
    frame = pl.read_json(io.BytesIO(data))
    check_array(frame, data, path)
    return frame
