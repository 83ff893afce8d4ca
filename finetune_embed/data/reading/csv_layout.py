"""How a CSV or TSV file is written: its encoding, delimiter and quotation marks, found and checked.

Where nothing else is said, the delimiter is the one of comma, semicolon, tab and `|` that gives
the lines as many fields as the header; a first line such as `sep=;` states it. A field may be
quoted as in RFC 4180. If the lines only fit together without quoting, as in many TSV files,
quotation marks are part of the text. Otherwise every record is checked: one with another number
of fields, or a quotation mark that is out of place or swallows rows, is an error.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import DataError, Option
from .column_names import refuse_duplicates
from .csv_scan import Scan
from .csv_title import DELIMITERS, check_no_title
from .text_encoding import decoded, encoding_of

__all__ = ["CsvLayout", "as_delimiter", "layout_of"]

NAMED = {"comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "pipe": "|"}
_SHOWN = {"\t": "tab", ",": "comma", ";": "semicolon"}
_SEP_LINE = re.compile(rb'"?sep=([^\r\n])"?\r?\n', re.IGNORECASE)
COLUMNS = 1 << 14  # of a file, the maximum of Excel
SAMPLE = 1 << 16  # bytes from which the delimiter is found
BLOCK = 1 << 18  # bytes that are checked together, which stay in the cache of the processor


@dataclass(frozen=True)
class CsvLayout:
    """How a CSV or TSV file is written.

    Attributes:
        delimiter: what is between the fields.
        encoding: the encoding, as Python names it.
        is_quoted: whether fields may be quoted.
        has_cr: whether lines end with a carriage return alone, as on old Macs.
        has_crs: whether lines end with several carriage returns, as where Python's csv wrote to a
            text file on Windows; all are left out.
        start: where the header is in the text as UTF-8, in bytes.
        line: the line of the header, counted from 1.
        notes: what to report about the file.
    """

    delimiter: str
    encoding: str
    is_quoted: bool = True
    has_cr: bool = False
    has_crs: bool = False
    start: int = 0
    line: int = 1
    notes: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the bytes of the file are those of its text from the header on."""
        return self.encoding == "utf-8" and not (self.has_cr or self.has_crs or self.start)

    def text(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the text from the header on as UTF-8, with a newline at the end of each line."""
        left = self.start
        for block in decoded(blocks, self.encoding):
            block = self._with_newlines(block)
            yield block[left:]
            left = max(0, left - len(block))

    def _with_newlines(self, block: bytes) -> bytes:
        """Return text with a newline at the end of each line."""
        if self.has_cr or self.has_crs:
            return block.replace(b"\r", b"\n" if self.has_cr else b"")
        return block


def as_delimiter(given: str, path: Path) -> str:
    """Return a delimiter from its name or itself.

    Raises:
        DataError: it is not one ASCII character that can be a delimiter.
    """
    delimiter = NAMED.get(given.lower(), given)
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        raise DataError(
            "is not one ASCII character, such as ; or tab",
            where=path,
            option="delimiter",
            value=given,
            remedy=("pass ", Option("delimiter", ";"), ", or leave it out"),
        )
    return delimiter


def layout_of(
    blocks: Callable[[], Iterable[bytes]],
    path: Path,
    default: str,
    delimiter: str | None = None,
    encoding: str | None = None,
    *,
    check_all: bool = True,
) -> CsvLayout:
    """Return how a file is written, after a pass over all of it.

    Args:
        blocks: returns the bytes of the file.
        path: the file.
        default: the delimiter that the name of the file promises.
        delimiter: the delimiter; found when left out.
        encoding: the encoding; found when left out.
        check_all: whether every record is checked; otherwise only where there is a quotation mark,
            which takes half the time.

    Raises:
        DataError: the file has no header, or a record is not what the layout says.
    """
    wanted = None if delimiter is None else as_delimiter(delimiter, path)
    found, note = encoding_of(blocks, encoding, path)
    layout = CsvLayout(default, found, notes=(note,) if note else ())
    first = next((block for block in layout.text(blocks()) if block), b"")
    has_cr = b"\r" in first and b"\n" not in first
    layout = replace(layout, has_cr=has_cr, has_crs=first.split(b"\n")[0][-2:] == b"\r\r")
    head = layout._with_newlines(first)
    stated = _SEP_LINE.match(head)
    skipped = stated.end() if stated else 0
    skipped += len(head[skipped:]) - len(head[skipped:].lstrip(b"\r\n"))
    layout = replace(layout, start=skipped, line=1 + head[:skipped].count(b"\n"))
    sample = head[skipped : skipped + SAMPLE]
    if len(sample) == SAMPLE or len(first) > BLOCK // 2:  # its last record may not be whole
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    text = sample.decode("utf-8", "replace")
    if not text.strip():
        raise DataError("there is no header line, only blank ones", where=path)
    if stated and wanted is None:
        wanted = stated.group(1).decode()
    if wanted is None:
        wanted = _delimiter(text, default)
    if wanted != default:
        shown = _SHOWN.get(wanted, repr(wanted))
        layout = replace(
            layout, notes=(*layout.notes, f"{path.name} has the delimiter {shown} between fields")
        )
    layout = replace(layout, delimiter=wanted)
    names = _names(text, layout, path)
    if sum(map(bool, names)) == 1:
        check_no_title(text, wanted, layout.line, path)
    suspicious = (b'"' in block or b"\0" in block for block in layout.text(blocks()))
    if not check_all and not any(suspicious):
        return layout
    scan = Scan(wanted, len(names), layout.line, path)
    for block, is_cut in _whole_lines(layout.text(blocks())):
        scan.add(block, is_cut)
    if not scan.is_quoted(text):
        note = f"{path.name} is read without quoting: quotation marks are part of its texts"
        layout = replace(layout, is_quoted=False, notes=(*layout.notes, note))
    if scan.cut is not None:
        note = f"{path.name} ends within line {scan.cut:,}, which has too few fields"
        layout = replace(layout, notes=(*layout.notes, note))
    return layout


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield text in blocks of whole lines, and whether the last newline was added."""
    rest: list[bytes] = []
    for block in blocks:
        for start in range(0, len(block), BLOCK):
            part = block[start : start + BLOCK]
            end = part.rfind(b"\n") + 1
            if end:
                yield b"".join([*rest, part[:end]]), False
                rest = []
            if end < len(part):
                rest.append(part[end:])
    if rest:
        yield b"".join([*rest, b"\n"]), True


def _delimiter(text: str, default: str) -> str:
    """Return the delimiter that gives most lines as many fields as the header."""
    best, best_fit = default, (0.0, False, 0)
    for delimiter in DELIMITERS:
        for quote in ('"', None):
            try:
                rows = csv.reader(io.StringIO(text, ""), delimiter=delimiter, quotechar=quote)
                sizes = [len(row) for row in rows if any(row)]
            except csv.Error:
                continue
            if sizes and sizes[0] > 1:
                share = sizes.count(sizes[0]) / len(sizes)
                fit = (share, delimiter == default, sizes[0])
                if share >= 0.5 and fit > best_fit:
                    best, best_fit = delimiter, fit
    return best


def _names(text: str, layout: CsvLayout, path: Path) -> list[str]:
    """Return the names in the header.

    Raises:
        DataError: two are the same, there are too many, or none has a name.
    """
    quote = '"' if layout.is_quoted else None
    rows = csv.reader(io.StringIO(text, ""), delimiter=layout.delimiter, quotechar=quote)
    where = f"{path}:{layout.line}"
    try:
        names = next(rows)
    except csv.Error as error:
        raise DataError(f"the header cannot be read: {error}", where=where) from error
    refuse_duplicates(names, where)
    if len(names) > COLUMNS:
        raise DataError(
            f"the header has {len(names):,} fields, and {COLUMNS:,} are read at most",
            where=where,
        )
    if not any(name.strip() for name in names):
        raise DataError("the header has no names", where=where, remedy="name the columns there")
    return names
