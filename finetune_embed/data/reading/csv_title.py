"""Titles above the header of a CSV or TSV file, as spreadsheets have them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from ...errors import DataError

__all__ = ["DELIMITERS", "check_no_title"]

DELIMITERS = (",", ";", "\t", "|")


def check_no_title(text: str, delimiter: str, line: int, path: Path) -> None:
    """Check that the first line is a header, and not a title above one.

    Titles have one field. The header is then the first line with more of them, each with a name,
    and all lines below have as many fields.

    Args:
        text: the first lines of the file.
        delimiter: what is between fields, unless it is found only where the title is left out.
        line: the number of the first line.
        path: the file.

    Raises:
        DataError: it is a title.
    """
    for mark in (delimiter, *DELIMITERS):
        rows: list[tuple[int, list[str]]] = []
        blank = 0  # the first blank line
        reader = csv.reader(io.StringIO(text, ""), delimiter=mark)
        start = line
        try:
            for row in reader:
                if any(row):
                    rows.append((start, row))
                elif not blank:
                    blank = start
                start = line + reader.line_num
        except csv.Error:
            continue
        first = next((at for at, (_, row) in enumerate(rows) if sum(map(bool, row)) > 1), 0)
        if not first:
            continue
        header, names = rows[first]
        is_above = line < blank < header  # what a header never has below it, if it has fields
        if (mark != delimiter or len(rows[0][1]) > 1) and not is_above:
            continue
        below = rows[first + 1 :]
        if all(names) and below and all(len(row) == len(names) for _, row in below):
            title = next(filter(None, rows[0][1]))
            raise DataError(
                f"this line looks like a title, {title[:40]!r}, of the header in line {header:,}",
                where=f"{path}:{line}",
                value=title,
                remedy="remove the lines above the header",
            )
