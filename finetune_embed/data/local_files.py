"""Local files of rows: CSV, TSV, JSON, JSON Lines and Parquet, read whole or block by block.

Both ways give the same rows, but for the types of JSON Lines, which a block finds by itself. Of CSV
and TSV every field is text as it stands, an empty one that is not quoted a missing value, and lines
without anything are left out.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import DataError
from .local_dataset import LocalDataset

if TYPE_CHECKING:
    import polars as pl

__all__ = ["SUFFIXES", "kind_of", "read_rows", "stream_rows"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
BLOCK = 1 << 22  # bytes of a file that are read and made rows together
_BOM = b"\xef\xbb\xbf"
_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson")
_DAMAGE = (OSError, EOFError, ValueError, zlib.error)
#: Texts that may be something else: a list or an object, or half a character (which is made a NUL).
_SUSPECT = r"^\s*[\[{]|\x00"


def kind_of(path: Path) -> str:
    """Return a file's suffix in lower case, without that of gzip."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def read_rows(paths: list[Path]) -> LocalDataset:
    """Read the files of one split.

    Raises:
        DataError: one can't be read, or they differ in columns.
    """
    import polars as pl

    frames = [_read(path) for path in paths]
    try:
        return LocalDataset(pl.concat(frames))
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"{paths[0].parent}: the files of a split differ in columns: {error}"
        ) from error


def stream_rows(paths: list[Path]) -> Any:
    """Return the files of one split as a `datasets.IterableDataset`, a shard each.

    A JSON file that is one array is held whole while it is read.

    Raises:
        DataError: one is of no kind that is read, or empty. What is wrong further on is raised when
            it is reached.
    """
    from datasets import IterableDataset, load_dataset

    for path in paths:
        _check_file(path)
    files = [os.fspath(path) for path in paths]
    if kind_of(paths[0]) == ".parquet":  # which may know names of classes
        with _naming(paths[0]):
            return load_dataset("parquet", data_files=files, split="train", streaming=True)
    return IterableDataset.from_generator(_rows_of, gen_kwargs={"paths": files})


def _rows_of(paths: list[str]) -> Iterator[dict[str, Any]]:
    for path in map(Path, paths):
        for frame in _blocks(path):
            yield from frame.iter_rows(named=True)


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    _check_file(path)
    kind = kind_of(path)
    with _naming(path):
        if kind == ".parquet":
            return pl.read_parquet(path)
        if kind in _SEPARATORS:
            return _read_csv(path, _SEPARATORS[kind])
        with _opened(path) as file:
            marked = file.tell() > 0  # which polars can't read
            if kind == ".json" and _is_array(file):
                return _read_array(file, path)
            frame = _read_lines(io.BytesIO(file.read()) if marked else path)
        with _opened(path) as file:
            _check_texts(frame, file, path)
        return frame


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say of any error which file can't be read, and where, if that can be found out."""
    import polars as pl

    try:
        yield
    except DataError:
        raise
    except (pl.exceptions.PolarsError, RuntimeError, *_DAMAGE) as error:
        raise _unreadable(path, error) from error


def _check_file(path: Path) -> None:
    if kind_of(path) not in SUFFIXES:
        raise DataError(f"{path}: data sets are read from {', '.join(SUFFIXES)} files")
    if not path.stat().st_size:
        raise DataError(f"{path} is empty (0 bytes)")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, packed with gzip or not, behind its byte order mark."""
    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as file:
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)
        yield file


def _blocks(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the rows of a file that is no Parquet file, many at a time."""
    kind = kind_of(path)
    with _naming(path), _opened(path) as file:
        if kind in _SEPARATORS:
            yield from _blocks_of_csv(file, _SEPARATORS[kind])
        elif kind == ".json" and _is_array(file):
            yield _read_array(file, path)
        else:
            yield from _blocks_of_lines(file, path)


def _is_array(file: BinaryIO) -> bool:
    """Tell whether a JSON file is one array, and not an object in each line."""
    start = file.tell()
    first = next((line.lstrip() for line in file if line.strip()), b"")
    file.seek(start)
    return not first.startswith(b"{")


def _blocks_of_csv(file: BinaryIO, separator: str) -> Iterator[pl.DataFrame]:
    """Yield the records of a CSV file; one ends with a line behind which all quotes are closed."""
    records = _records(file)
    header = next((record for record in records if record.strip()), b"")
    for parts in _gathered(records):
        block = header + b"".join(parts)
        yield _read_csv(io.BytesIO(block), separator)


def _records(file: BinaryIO) -> Iterator[bytes]:
    lines: list[bytes] = []
    quoted = False
    for line in file:
        lines.append(line)
        quoted ^= line.count(b'"') % 2 == 1
        if not quoted:
            yield b"".join(lines)
            lines = []
    if lines:
        yield b"".join(lines)


def _gathered(parts: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield parts by so many bytes; of nothing, one time nothing."""
    gathered: list[bytes] = []
    length = 0
    for part in parts:
        if length >= BLOCK:
            yield gathered
            gathered, length = [], 0
        gathered.append(part)
        length += len(part)
    yield gathered


def _read_csv(source: Path | BinaryIO, separator: str) -> pl.DataFrame:
    """Read rows, but for those of nothing, which polars makes of blank lines."""
    import polars as pl

    frame = pl.read_csv(source, separator=separator, infer_schema=False)
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))


def _blocks_of_lines(file: BinaryIO, path: Path) -> Iterator[pl.DataFrame]:
    """Yield the rows of JSON lines; those of a block have one type a column."""
    count = 0
    for lines in _gathered(file):
        if any(line.strip() for line in lines):
            frame = _read_lines(io.BytesIO(b"".join(lines)))
            _check_texts(frame, lines, path, count)
            yield frame
        count += len(lines)


def _read_lines(source: Path | BinaryIO) -> pl.DataFrame:
    import polars as pl

    return pl.read_ndjson(source, infer_schema_length=10_000)


def _read_array(file: BinaryIO, path: Path) -> pl.DataFrame:
    import polars as pl

    data = file.read()
    frame = pl.read_json(io.BytesIO(data))
    suspects = _suspects(frame)
    if suspects is not None:
        rows = ((f"{path}[{number}]", row) for number, row in enumerate(json.loads(data)))
        _check_values(frame, suspects, rows)
    return frame


def _check_texts(frame: pl.DataFrame, lines: Iterable[bytes], path: Path, before: int = 0) -> None:
    """Check that the texts of JSON lines are texts, and whole; see `_check_values`."""
    suspects = _suspects(frame)
    if suspects is not None:
        numbered = ((number, line) for number, line in enumerate(lines, before + 1) if line.strip())
        rows = ((f"{path}:{n}", line) for n, line in numbered)
        _check_values(frame, suspects, rows)


def _suspects(frame: pl.DataFrame) -> pl.DataFrame | None:
    """Return which texts, and lists of texts, may not be what stands in the file; None for none."""
    import polars as pl

    texts = pl.col(pl.String).str.contains(_SUSPECT)
    words = pl.col(pl.List(pl.String)).list.eval(pl.element().str.contains("\x00")).list.any()
    found = frame.select(texts, words).fill_null(value=False)
    return found if any(column.any() for column in found) else None


def _check_values(
    frame: pl.DataFrame, suspects: pl.DataFrame, rows: Iterable[tuple[str, Any]]
) -> None:
    """Look at the values that may not be what stands in the file.

    Of a list among texts polars makes one, and of half of a surrogate pair a NUL.

    Args:
        frame: what was made of the rows.
        suspects: which of its values are to be looked at.
        rows: where each stands, and what stands there, or the bytes of its JSON.

    Raises:
        DataError: one is not what it was made; the message names the first.
    """
    import polars as pl

    for (place, row), suspect in zip(rows, suspects.iter_rows(named=True), strict=False):
        looked_at = [name for name, look in suspect.items() if look]
        found = json.loads(row) if looked_at and isinstance(row, bytes) else row
        for name in looked_at:
            value = found.get(name)
            if not isinstance(value, str) and frame.schema[name] == pl.String:
                raise DataError(
                    f"{place}: {name!r} is {value!r}, and a text in other rows; write texts in all "
                    "of them, or lists in all"
                )
            if re.search("[\ud800-\udfff]", "".join(map(str, value))):
                raise DataError(
                    f"{place}: {name!r} has half of a surrogate pair, as of an emoji that was cut: "
                    f"{value!r}; write the text anew"
                )


def _unreadable(path: Path, error: Exception) -> DataError:
    """Return what is told of a file that can't be read."""
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    place = str(path)
    with contextlib.suppress(*_DAMAGE), _opened(path) as file:
        if kind_of(path) in _LINES:
            for number, line in enumerate(file, 1):
                try:
                    json.loads(line.strip() or b"null")
                except ValueError as first:
                    place, reason = f"{path}:{number}", str(first)
                    break
        elif kind_of(path) in _SEPARATORS and "malformed" in reason:
            odd = next((n for n, line in enumerate(file, 1) if line.count(b'"') % 2), None)
            if odd is not None:
                place = f"{path}:{odd}"
                reason = (
                    "a quotation mark is not closed; a field that holds one is quoted itself, and "
                    'the mark doubled: "a 5"" disk"'
                )
    return DataError(f"{place} can't be read: {reason}")
