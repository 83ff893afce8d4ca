"""Where in a file an example or an error is."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from ...errors import DataError
from .cells import is_example, quoted_words
from .csv_layout import CsvLayout
from .file_kinds import (
    ARROW,
    LINES,
    READ_ERRORS,
    blocks_of,
    csv_records,
    is_json_array,
    kind_of,
    open_data,
)
from .json_checks import refuse_constant
from .text_encoding import UTF8, encoding_of

__all__ = ["lines_of", "place_of_example", "quoted_in", "records_of", "unreadable"]


def lines_of(path: Path, layout: CsvLayout) -> Iterator[bytes]:
    """Yield the lines of a CSV or TSV file from its header on, as UTF-8."""
    rest: list[bytes] = []
    for block in layout.text(blocks_of(path)):
        first, *lines = block.split(b"\n")
        rest.append(first)
        if lines:
            yield b"".join([*rest, b"\n"])
            rest = [lines.pop()]
            yield from (line + b"\n" for line in lines)
    if last := b"".join(rest):
        yield last


def records_of(path: Path, layout: CsvLayout) -> Iterator[bytes]:
    """Yield the records of a CSV or TSV file, the header first."""
    lines = lines_of(path, layout)
    return csv_records(lines) if layout.is_quoted else lines


def quoted_in(path: Path, layout: CsvLayout, column: int) -> list[int]:
    """Return which examples have, in a column, a word for no value in quotation marks."""
    records = records_of(path, layout)
    next(records, None)
    return [number for number, columns in quoted_words(records, layout) if column in columns]


def place_of_example(
    path: Path, number: int, layout: CsvLayout | None = None, encoding: str = UTF8
) -> str | None:
    """Return where an example is, counted from 0: `file:line`, or `file[number]` in a JSON array.

    None for a file without lines, or if the file cannot be read any more.

    Args:
        path: the file.
        number: the number of the example.
        layout: how it is written, for CSV and TSV.
        encoding: the encoding of JSON.
    """
    kind = kind_of(path)
    if kind in ARROW:
        return None
    with contextlib.suppress(*READ_ERRORS):
        if layout is not None:
            line = _line_of_record(path, layout, number)
            return None if line is None else f"{path}:{line}"
        with open_data(path, encoding) as file:
            if kind == ".json" and is_json_array(path, encoding):
                return f"{path}[{number}]"
            filled = (at for at, line in enumerate(file, 1) if line.strip())
            line = next((at for count, at in enumerate(filled) if count == number), None)
            return None if line is None else f"{path}:{line}"
    return None


def _line_of_record(path: Path, layout: CsvLayout, number: int) -> int | None:
    """Return the first line of a record; the header and records without a value don't count."""
    line, records = layout.line, records_of(path, layout)
    line += next(records, b"").count(b"\n")
    for record in records:
        if is_example(record, layout):
            if not number:
                return line
            number -= 1
        line += record.count(b"\n")
    return None


def unreadable(path: Path, error: BaseException) -> DataError:
    """Return the error about a file that cannot be read, with the line if it can be found."""
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    if kind_of(path) in LINES:
        with contextlib.suppress(*READ_ERRORS):
            encoding, _ = encoding_of(lambda: blocks_of(path), None, path)
            with open_data(path, encoding) as file:
                for number, line in enumerate(file, 1):
                    try:
                        json.loads(line.strip() or b"null", parse_constant=refuse_constant)
                    except (ValueError, RecursionError) as first:
                        return DataError(f"cannot be read: {first}", where=f"{path}:{number}")
    return DataError(f"cannot be read: {reason[:200]}", where=path)
