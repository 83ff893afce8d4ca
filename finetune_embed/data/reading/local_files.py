"""Local files of examples: CSV, TSV, JSON, JSON Lines, Parquet, Arrow and Excel workbooks.

They are read at once or in blocks. Both ways give the same examples, except for the types of JSON
Lines, which are inferred for each block. In CSV and TSV every field is text as written, an empty
field without quotes is a missing value, and lines without any value are skipped.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ...errors import DataError, FinetuneEmbedError, Option
from ...files.parquet import DAMAGE
from .arrow_files import arrow_blocks, features_of, read_arrow
from .cells import Quoted, quoted_words
from .csv_layout import CsvLayout, layout_of
from .excel import read_excel
from .file_kinds import (
    ARROW,
    EXCEL,
    JSON,
    READ_ERRORS,
    SEPARATORS,
    ReadAs,
    blocks_of,
    check_file,
    is_json_array,
    kind_of,
    open_data,
)
from .file_places import records_of, unreadable
from .json_rows import array_frame, lines_frame
from .local_dataset import FilePart, LocalDataset
from .text_encoding import encoding_of

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_files", "stream_files"]

_FOUND = ReadAs()
BLOCK = 1 << 22  # bytes of a file that are read and parsed together


def read_files(paths: list[Path], given: ReadAs = _FOUND) -> LocalDataset:
    """Read the files of one split.

    Args:
        paths: the files.
        given: how they are written.

    Raises:
        DataError: one cannot be read, or they differ in columns.
    """
    import polars as pl

    frames, parts = [], []
    for path in paths:
        check_file(path)
        with _naming(path):
            frame, part = _read(path, given)
        frames.append(frame)
        parts.append(part)
    try:
        columns = pl.concat(frames)
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"the files of a split differ in columns: {error}", where=paths[0].parent
        ) from error
    return LocalDataset(columns, parts, features=_features(paths))


def stream_files(paths: list[Path], given: ReadAs = _FOUND) -> tuple[Any, list[FilePart]]:
    """Return the files of one split as a `datasets.IterableDataset` with one shard per file.

    A JSON file that is one array and a workbook are held in memory while they are read.

    Args:
        paths: the files.
        given: how they are written.

    Returns:
        The stream, and its files.

    Raises:
        DataError: one is of another kind, or empty, or a CSV file is not as its layout says. Other
            errors are raised when they are reached.
    """
    from datasets import DatasetInfo, Features, IterableDataset
    from datasets.iterable_dataset import ExamplesIterable

    parts = []
    for path in paths:
        check_file(path)
        with _naming(path):
            parts.append(_part(path, given))
    features = _features(paths)
    info = DatasetInfo(features=Features(features) if features else None)
    # `from_generator` would make a folder in the cache of the library
    return IterableDataset(ExamplesIterable(_examples_of, {"parts": parts}), info=info), parts


def _examples_of(parts: list[FilePart]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the examples of files with the key that `datasets` wants for each."""
    for part in parts:
        for number, row in enumerate(_rows(part)):
            yield f"{part.path}_{number}", row


def _rows(part: FilePart) -> Iterator[dict[str, Any]]:
    """Yield the examples of a file; of CSV and TSV, a quoted word for no value is `Quoted`."""
    if part.layout is None:
        yield from chain.from_iterable(frame.iter_rows(named=True) for frame in _blocks(part))
        return
    with _naming(part.path):
        for frame, records in _blocks_of_csv(part.path, part.layout):
            quoted = dict(quoted_words(records, part.layout))
            for number, row in enumerate(frame.iter_rows(named=True)):
                for name in [frame.columns[at] for at in quoted.get(number, ())]:
                    row[name] = Quoted(row[name])
                yield row


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turn any error of reading a file into one that names the file, and the line if possible."""
    import polars as pl
    import pyarrow as pa

    known = (pl.exceptions.PolarsError, pa.ArrowException, RuntimeError, *DAMAGE, *READ_ERRORS)
    try:
        yield
    except FinetuneEmbedError:
        raise
    except known as error:
        raise unreadable(path, error) from error
    except BaseException as error:  # a panic of polars is no `Exception`
        if type(error).__name__ != "PanicException":
            raise
        raise unreadable(path, error) from error


def _part(path: Path, given: ReadAs, *, check_all: bool = True) -> FilePart:
    """Return a file and, for text, how it is written; see `layout_of` and `encoding_of`."""
    kind = kind_of(path)
    if given.sheet is not None and kind != EXCEL:
        raise DataError(
            "is the sheet of a workbook, and this is not a workbook",
            where=path,
            option="sheet",
            value=given.sheet,
            remedy=("leave ", Option("sheet"), " out"),
        )
    if kind in JSON:
        encoding, note = encoding_of(lambda: blocks_of(path), given.encoding, path)
        return FilePart(path, encoding=encoding, notes=(note,) if note else ())
    if kind not in SEPARATORS:
        return FilePart(path, sheet=given.sheet)
    layout = layout_of(
        lambda: blocks_of(path),
        path,
        SEPARATORS[kind],
        given.delimiter,
        given.encoding,
        check_all=check_all,
    )
    return FilePart(path, layout=layout, notes=layout.notes)


def _features(paths: list[Path]) -> dict[str, Any]:
    """Return what files written by the library `datasets` say about their columns."""
    if kind_of(paths[0]) not in ARROW:
        return {}
    with _naming(paths[0]):
        return features_of(paths[0])


def _read(path: Path, given: ReadAs) -> tuple[pl.DataFrame, FilePart]:
    import polars as pl

    part, kind = _part(path, given, check_all=False), kind_of(path)
    if kind in ARROW:
        frame = read_arrow(path)
    elif kind == EXCEL:
        frame, rows, notes = read_excel(path, given.sheet)
        part = part._replace(rows=rows, notes=notes)
    elif part.layout is not None:
        try:
            frame = _read_csv(path, part.layout)
        except pl.exceptions.PolarsError:
            part = _part(path, given)  # which finds the line
            raise
        if frame.width and frame[:, -1].null_count():  # of a missing value, or of a short row
            part = _part(path, given)
    else:
        frame = _read_json(part)
    return frame, part._replace(examples=len(frame))


def _read_csv(path: Path, layout: CsvLayout) -> pl.DataFrame:
    if layout.is_plain and not path.name.lower().endswith(".gz"):
        with open(path, "rb") as file:  # polars would take a path for a pattern
            return _parse_csv(file, layout)
    return _parse_csv(b"".join(layout.text(blocks_of(path))), layout)


def _parse_csv(source: BinaryIO | bytes, layout: CsvLayout) -> pl.DataFrame:
    import polars as pl

    quote = '"' if layout.is_quoted else None
    frame = pl.read_csv(source, separator=layout.delimiter, quote_char=quote, infer_schema=False)
    if not all(frame.null_count().row(0)):
        return frame
    return frame.filter(~pl.all_horizontal(pl.all().is_null()))  # polars reads blank lines


def _read_json(part: FilePart) -> pl.DataFrame:
    path, encoding = part.path, part.encoding
    with open_data(path, encoding) as file:
        if kind_of(path) == ".json" and is_json_array(path, encoding):
            return array_frame(file, path)
        return lines_frame(file.read(), path)


def _blocks(part: FilePart) -> Iterator[pl.DataFrame]:
    """Yield the examples of a file in blocks; of other files than CSV and TSV."""
    path, kind = part.path, kind_of(part.path)
    with _naming(path):
        if kind in ARROW:
            yield from arrow_blocks(path)
        elif kind == EXCEL:
            yield read_excel(path, part.sheet)[0]
        else:
            with open_data(path, part.encoding) as file:
                if kind == ".json" and is_json_array(path, part.encoding):
                    yield array_frame(file, path)
                else:
                    yield from _blocks_of_lines(file, path)


def _blocks_of_csv(path: Path, layout: CsvLayout) -> Iterator[tuple[pl.DataFrame, list[bytes]]]:
    """Yield the examples of a file in blocks, with the records that they were read from."""
    records = records_of(path, layout)
    header = next(records, b"")
    for block in _grouped(records):
        yield _parse_csv(header + b"".join(block), layout), block


def _blocks_of_lines(file: BinaryIO, path: Path) -> Iterator[pl.DataFrame]:
    """Yield the examples of JSON Lines; in a block, each column has one type."""
    before = 0
    for lines in _grouped(file):
        if any(line.strip() for line in lines):
            yield lines_frame(b"".join(lines), path, before)
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
