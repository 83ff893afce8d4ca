"""Cells of text files and workbooks that stand for no value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .csv_layout import CsvLayout

__all__ = ["ERROR", "MISSING", "Quoted", "is_example", "quoted_words", "stands_for_none"]

#: What CSV and TSV files have in cells without a value, as pandas, R and Excel write them.
MISSING = ("NA", "N/A", "n/a", "<NA>", "NaN", "nan", "NULL", "null")
#: Errors of formulas, as spreadsheets show them in any language: `#REF!`, `#BEZUG!`, `#NAME?`.
ERROR = r"^#(?:N/A|NV|[^\s!?a-zäöüß]{2,}[!?])$"
_WORD = re.compile(rb'"(?:%s|#[^\s"]+)"' % b"|".join(re.escape(w.encode()) for w in MISSING))


class Quoted(str):
    """A field that is text because the file quotes it, though it reads as no value."""

    __slots__ = ()


def stands_for_none(value: object) -> bool:
    """Return whether a cell without quotation marks is a word for no value."""
    return isinstance(value, str) and (value in MISSING or bool(re.match(ERROR, value)))


def is_example(record: bytes, layout: CsvLayout) -> bool:
    """Return whether a record has a value; others are skipped."""
    return bool(record.strip(b"\r\n").replace(layout.delimiter.encode(), b""))


def quoted_words(records: Iterable[bytes], layout: CsvLayout) -> Iterator[tuple[int, list[int]]]:
    """Yield the examples that have words for no value in quotation marks, and in which columns."""
    if not layout.is_quoted:
        return
    end = re.escape(layout.delimiter)
    field = re.compile(rf'(?:^|{end})("(?:[^"]|"")*"|[^{end}\r\n]*)')
    examples = (record for record in records if is_example(record, layout))
    for number, record in enumerate(examples):
        if _WORD.search(record):
            fields = field.findall(record.decode().rstrip("\r\n"))
            at = [
                n for n, one in enumerate(fields) if one[:1] == '"' and stands_for_none(one[1:-1])
            ]
            if at:
                yield number, at
