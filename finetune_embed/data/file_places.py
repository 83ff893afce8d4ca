"""Where in a file an example or an error is."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError
from .file_kinds import (
    LINES,
    READ_ERRORS,
    SEPARATORS,
    csv_records,
    is_json_array,
    kind_of,
    open_data,
)

__all__ = ["place_of_example", "unreadable"]


def place_of_example(path: Path, number: int) -> str | None:
    """Return where an example is, counted from 0: `file:line`, or `file[number]` in a JSON array.

    None for a Parquet file, or if the file cannot be read any more.
    """
    kind = kind_of(path)
    if kind == ".parquet":
        return None
    with contextlib.suppress(*READ_ERRORS), open_data(path) as file:
        if kind in SEPARATORS:
            line = _line_of_record(csv_records(file), SEPARATORS[kind].encode(), number)
        elif kind == ".json" and is_json_array(file):
            return f"{path}[{number}]"
        else:
            filled = (at for at, line in enumerate(file, 1) if line.strip())
            line = next((at for count, at in enumerate(filled) if count == number), None)
        return None if line is None else f"{path}:{line}"
    return None


def _line_of_record(records: Iterator[bytes], separator: bytes, number: int) -> int | None:
    """Return the first line of a CSV record; the header and records without a value don't count."""
    line, has_header = 1, False
    for record in records:
        if not has_header:
            has_header = bool(record.strip())
        elif record.strip(b"\r\n").replace(separator, b""):
            if not number:
                return line
            number -= 1
        line += record.count(b"\n")
    return None


def _line_of_unclosed_quote(records: Iterator[bytes], separator: bytes) -> int | None:
    """Return the first line of a CSV file with a quotation mark that does not close, if any."""
    field = rb'(?:"[^"]*(?:""[^"]*)*"|[^"%b]*)' % separator
    fields = re.compile(rb"%b(?:%b%b)*" % (field, separator, field))
    line = 1
    for record in records:
        is_open = record.split(b"\n", 1)[0].count(b'"') % 2
        if is_open and not fields.fullmatch(record.rstrip(b"\r\n")):
            return line
        line += record.count(b"\n")
    return None


def unreadable(path: Path, error: Exception) -> DataError:
    """Return the error about a file that cannot be read, with the line if it can be found."""
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    with contextlib.suppress(*READ_ERRORS), open_data(path) as file:
        if kind_of(path) in LINES:
            for number, line in enumerate(file, 1):
                try:
                    json.loads(line.strip() or b"null")
                except ValueError as first:
                    return DataError(f"cannot be read: {first}", where=f"{path}:{number}")
        elif kind_of(path) in SEPARATORS:
            separator = SEPARATORS[kind_of(path)].encode()
            start = _line_of_unclosed_quote(csv_records(file), separator)
            if start is not None:
                return DataError(
                    "cannot be read: a quotation mark is not closed",
                    where=f"{path}:{start}",
                    remedy=(
                        'quote the field that holds the mark, and double the mark: "a 5"" disk"'
                    ),
                )
    return DataError(f"cannot be read: {reason}", where=path)
