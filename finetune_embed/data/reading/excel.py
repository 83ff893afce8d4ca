"""A sheet of an Excel workbook, `.xlsx`; the first one unless another is named."""

from __future__ import annotations

import datetime
import difflib
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError, Option, optional_packages
from ...files import refuse_bomb
from .cells import ERROR
from .column_names import refuse_duplicates

if TYPE_CHECKING:
    import polars as pl

__all__ = ["read_excel"]

ROWS = 1 << 20  # of a sheet, the maximum of Excel
CELL = 32  # bytes that a cell takes at least
#: Bytes that XML takes once it is parsed: half an element for each `<` and `/>`, and an attribute.
PARSED = {b"<": 48, b"/>": 48, b"=": 32}
_BLOCK = 1 << 18
SHOWN = 3  # sheets, or errors, in a message
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others can expand without bounds


def read_excel(
    path: Path, sheet: str | None = None
) -> tuple[pl.DataFrame, list[int], tuple[str, ...]]:
    """Read a sheet of a workbook; its first row that is not empty has the names.

    Cells of formulas have the values that were saved with them; errors such as `#REF!` are missing
    values. A column of texts and other values is read as texts.

    Args:
        path: the workbook.
        sheet: the name of the sheet; the first one when left out.

    Returns:
        The examples, the row of each in the sheet, and what to report.

    Raises:
        DataError: the workbook is damaged or has no such sheet, a row has more cells than the
            header, or a column has only formulas without values.
        MissingPackageError: openpyxl is not installed.
    """
    import polars as pl

    with optional_packages("openpyxl", extra="excel"):
        import openpyxl
    try:
        _check_parts(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open(path, "rb") as file:
                book = openpyxl.load_workbook(file, read_only=True, data_only=True)
                sheets = [one.title for one in book.worksheets]
                name = _chosen(sheet, sheets, path)
                errors: Counter[str] = Counter()
                rows = list(_filled(book[name].iter_rows(values_only=True), path, errors))
    except (DataError, MemoryError):
        raise
    except Exception as error:  # openpyxl raises anything for a damaged workbook
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise DataError(f"this workbook cannot be read: {reason}", where=path) from error
    others = [one for one in sheets if one != name]
    which = f"the sheet {name!r}" if sheet else f"the first sheet, {name!r},"
    if not rows or (others and len(rows) == 1):
        _check_formulas(path, name, None)
        raise DataError(
            f"{which} {'has one row' if rows else 'is empty'}"
            f"{'; the others are ' + _named(others) if others else ''}",
            where=path,
            remedy=("choose another: ", Option("sheet", others[0]))
            if others
            else "put the data there",
        )
    (header, names), *rows = rows
    where = f"{path} row {header}"
    columns = ["" if one is None else str(one) for one in names]
    refuse_duplicates(columns, where)
    for number, row in rows:
        if len(row) > len(columns):
            raise DataError(
                f"there are {len(row):,} cells here, and {len(columns):,} in the header",
                where=f"{path} row {number}",
            )
    cells = [[row[at] if at < len(row) else None for _, row in rows] for at in range(len(columns))]
    named = {one: _column(values) for one, values in zip(columns, cells, strict=True) if one}
    for at, column in enumerate(columns):
        if column and rows and all(value is None for value in cells[at]):
            _check_formulas(path, name, at)
    notes = []
    if others and not sheet:
        notes.append(
            f"{path.name} is read from its first sheet, {name!r}; the others are "
            f"{_named(others)} (choose with sheet)"
        )
    if errors:
        shown = ", ".join(f"{n:,} {word!r}" for word, n in errors.most_common(SHOWN))
        notes.append(f"{path.name}: errors of formulas are missing values: {shown}")
    return pl.DataFrame(named), [n for n, _ in rows], tuple(notes)


def _chosen(sheet: str | None, sheets: Sequence[str], path: Path) -> str:
    """Return the name of the sheet to read.

    Raises:
        DataError: the workbook has none, or none of that name.
    """
    if not sheets:
        raise DataError("the workbook has no sheet of cells", where=path)
    if sheet is None:
        return sheets[0]
    if sheet in sheets:
        return sheet
    plain = {one.strip().lower(): one for one in reversed(sheets)}
    close = difflib.get_close_matches(sheet.strip().lower(), plain, 1)
    raise DataError(
        "is not the name of a sheet",
        where=path,
        option="sheet",
        value=sheet,
        remedy=(
            f"choose from {_named(sheets)}, such as ",
            Option("sheet", plain[close[0]] if close else sheets[0]),
        ),
    )


def _named(sheets: Sequence[str]) -> str:
    """Return the names of sheets, as long as there are few."""
    more = f" and {len(sheets) - SHOWN:,} more" if len(sheets) > SHOWN else ""
    return f"{', '.join(repr(one[:40]) for one in sheets[:SHOWN])}{more}"


def _check_formulas(path: Path, sheet: str, column: int | None) -> None:
    """Check that the cells of a column, or of the sheet, are empty and not formulas.

    Raises:
        DataError: they are formulas that were saved without values.
    """
    import openpyxl

    with open(path, "rb") as file:
        book = openpyxl.load_workbook(file, read_only=True)
        for number, row in enumerate(book[sheet].iter_rows(), 1):
            for at, cell in enumerate(row):
                if cell.data_type == "f" and column in (None, at):
                    raise DataError(
                        f"the cells hold formulas without values, the first is {cell.value!r}",
                        where=f"{path} row {number}",
                        remedy="open the workbook in Excel or LibreOffice and save it",
                    )


def _check_parts(path: Path) -> None:
    """Check what the parts of a workbook take before they are parsed.

    Raises:
        DataError: they expand too much.
        ValueError: they are written in a way that Excel does not use.
    """
    size, expanded = path.stat().st_size, 0
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type not in _METHODS for part in parts):
            raise ValueError("it is compressed in a way that Excel does not use")
        refuse_bomb(size, sum(part.file_size for part in parts), path, DataError)
        for part in parts:
            before = b""
            with archive.open(part) as file:
                while block := file.read(_BLOCK):
                    text = block.replace(b"\0", b"")  # of UTF-16
                    if b"<!DOCTYPE" in before + text:
                        raise ValueError(f"{part.filename} declares entities")
                    before = (before + text)[-8:]
                    expanded += len(block)
                    expanded += sum(each * text.count(mark) for mark, each in PARSED.items())
                    refuse_bomb(size, expanded, path, DataError)


def _filled(
    rows: Iterator[Sequence[Any]], path: Path, errors: Counter[str]
) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows with a value, with their numbers, up to the last value; count errors.

    Raises:
        DataError: they have too many cells for the size of the file.
    """
    size, cells = path.stat().st_size, 0
    for number, row in enumerate(rows, 1):
        if number > ROWS:
            raise ValueError(f"it has more than {ROWS:,} rows")
        found = [v for v in row if isinstance(v, str) and v[:1] == "#" and re.match(ERROR, v)]
        errors.update(found)
        values = [None if value == "" or value in found else value for value in row]
        while values and values[-1] is None:
            values.pop()
        if values:
            cells += len(values)
            refuse_bomb(size, CELL * cells, path, DataError)
            yield number, values


def _column(values: list[Any]) -> pl.Series:
    """Return the values of a column, all of one type."""
    import polars as pl

    kinds = {type(value) for value in values} - {type(None)}
    if kinds <= {int, float} and all(value == int(value) for value in values if value is not None):
        return pl.Series(values=[None if v is None else int(v) for v in values], dtype=pl.Int64)
    if kinds <= {int, float}:
        return pl.Series(values=values, dtype=pl.Float64)
    if kinds == {bool}:
        return pl.Series(values=values, dtype=pl.Boolean)
    return pl.Series(values=[None if v is None else _as_text(v) for v in values], dtype=pl.String)


def _as_text(value: Any) -> str:
    """Return a cell as a text; whole numbers are floats in some workbooks."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if isinstance(value, (datetime.date, datetime.time)) else str(value)
