"""Checks every record of a CSV or TSV file: its number of fields and its quotation marks."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ...errors import DataError

__all__ = ["Scan"]

Array = npt.NDArray[np.int64]
NEWLINE, RETURN, QUOTE = b'\n\r"'
KEPT = 1 << 20  # bytes of a record of several lines that are looked at
SUSPECTS = 20  # records of several lines that are looked at


class Scan:
    """One pass over the text of a file, as if fields could be quoted and as if they could not.

    Args:
        delimiter: what is between fields.
        columns: the number of fields of the header.
        line: the line of the header.
        path: the file.

    Attributes:
        cut: the last line, if it has too few fields and the file ends without a newline.
    """

    def __init__(self, delimiter: str, columns: int, line: int, path: Path) -> None:
        self._delimiter, self._columns, self._path = ord(delimiter), columns, path
        self.cut: int | None = None
        self._header = self._line = line  # the line of the next block
        self._opened = 0  # the line of the quotation mark that is open, 0 if none is
        # Of the record that is not complete: its lines, those with the right number of fields,
        # its delimiters outside quotation marks, and its text.
        self._lines = self._fitting = self._delimiters = 0
        self._text = b""
        #: The first line, or record, with another number of fields, and that number.
        self._misfit_line: tuple[int, int] | None = None
        self._misfit_record: tuple[int, int] | None = None
        #: The first quotation mark that is where none can be.
        self._misplaced: tuple[int, str] | None = None
        self._quotes_fields = False
        #: Records of several lines, each with as many fields as the header: line, lines, text.
        self._suspects: list[tuple[int, int, bytes]] = []

    def add(self, block: bytes, is_cut: bool = False) -> None:
        """Check a block of whole lines.

        Args:
            block: the lines, the last one with a newline.
            is_cut: whether this newline is not in the file.

        Raises:
            DataError: it holds a NUL.
        """
        if b"\0" in block:
            line = self._line + block.count(b"\n", 0, block.index(b"\0"))
            raise DataError(
                "this line holds a NUL, so the file is damaged or not text",
                where=f"{self._path}:{line}",
            )
        raw = np.frombuffer(block, np.uint8)
        has_quotes = bool(self._opened) or b'"' in block
        is_mark = (raw == NEWLINE) | (raw == self._delimiter)
        if has_quotes:
            is_mark |= raw == QUOTE
        marks = np.flatnonzero(is_mark)
        kind = raw[marks]
        ends = np.flatnonzero(kind == NEWLINE)  # of lines, among the marks
        is_delimiter = kind == self._delimiter
        if has_quotes:
            fields = 1 + np.diff(np.cumsum(is_delimiter)[ends], prepend=0)  # of lines
        else:  # all marks before the end of a line are delimiters
            fields = np.diff(ends, prepend=-1)
        fits = (fields == self._columns) | self._are_empty(raw, marks[ends], fields - 1)
        if is_cut and fields[-1] < self._columns and not fits[-1]:
            self.cut, fits[-1] = self._line + len(ends) - 1, True
        if not fits.all():
            first = int(np.argmin(fits))
            misfit = self._line + first, int(fields[first])
            self._misfit_line = self._misfit_line or misfit
            if not has_quotes:
                self._misfit_record = self._misfit_record or misfit
        if has_quotes:
            self._add_records(block, marks, kind, ends, is_delimiter, fits)
        self._line += len(ends)

    def _are_empty(
        self, raw: npt.NDArray[np.uint8], ends: Array, delimiters: Array
    ) -> npt.NDArray[np.bool_]:
        """Return which lines have nothing but delimiters."""
        size = np.diff(ends, prepend=-1) - 1
        size -= (size > 0) & (raw[ends - 1] == RETURN)
        are_empty: npt.NDArray[np.bool_] = size == delimiters
        return are_empty

    def _add_records(
        self,
        block: bytes,
        marks: Array,
        kind: npt.NDArray[np.uint8],
        ends: Array,
        is_delimiter: npt.NDArray[np.bool_],
        fits: npt.NDArray[np.bool_],
    ) -> None:
        """Check the records of a block with quotation marks, or that begins inside of them."""
        raw = np.frombuffer(block, np.uint8)
        is_quote = kind == QUOTE
        is_inside = ((np.cumsum(is_quote) + bool(self._opened)) & 1).astype(bool)
        self._check_quotes(raw, marks[is_quote], marks[ends], bool(is_inside[-1]))
        delimiters = np.cumsum(is_delimiter & ~is_inside)
        fitting = np.cumsum(fits)
        last = np.flatnonzero(~is_inside[ends])  # the last line of each record
        size = np.diff(last, prepend=-1 - self._lines)
        fields = 1 + np.diff(delimiters[ends[last]], prepend=-self._delimiters)
        bad = (fields != self._columns) & ~((size == 1) & fits[last])
        if self._misfit_record is None and bad.any():
            at = int(np.argmax(bad))
            self._misfit_record = self._line + int(last[at] - size[at]) + 1, int(fields[at])
        whole = np.diff(fitting[last], prepend=-self._fitting) == size
        for at in np.flatnonzero(whole & (size > 1))[: SUSPECTS - len(self._suspects)].tolist():
            start = 0 if at == 0 else int(marks[ends[last[at - 1]]]) + 1
            text = (self._text if at == 0 else b"") + block[start : int(marks[ends[last[at]]])]
            line = self._line + int(last[at] - size[at]) + 1
            self._suspects.append((line, int(size[at]), text))
        if len(last):
            self._lines = self._fitting = self._delimiters = 0
            self._text = b""
        done = int(last[-1]) if len(last) else -1
        rest = 0 if done < 0 else int(marks[ends[done]]) + 1
        self._lines += len(ends) - 1 - done
        self._fitting += int(fitting[-1] - (fitting[done] if done >= 0 else 0))
        self._delimiters += int(delimiters[-1] - (delimiters[ends[done]] if done >= 0 else 0))
        self._text = (self._text + block[rest:])[:KEPT]

    def _check_quotes(
        self, raw: npt.NDArray[np.uint8], quotes: Array, ends: Array, ends_open: bool
    ) -> None:
        """Note the first quotation mark that is neither at an end of a field nor doubled.

        Every other mark opens. The block ends with a newline, which is also what is before it.
        """
        opening, closing = quotes[bool(self._opened) :: 2], quotes[not self._opened :: 2]
        before, after = raw[opening - 1], raw[closing + 1]
        begins = (before == self._delimiter) | (before == NEWLINE)
        self._quotes_fields |= bool(begins.any())
        starts = opening[before != QUOTE]  # of quoted fields; other marks are doubled

        def line_of(position: int) -> int:
            return self._line + int(np.searchsorted(ends, position))

        def opened_before(position: int) -> int:
            at = int(np.searchsorted(starts, position)) - 1
            return self._opened if at < 0 else line_of(int(starts[at]))

        if self._misplaced is None:
            is_end = (after == self._delimiter) | (after == NEWLINE) | (after == RETURN)
            wrong_start = opening[~(begins | (before == QUOTE))]
            wrong_end = closing[~(is_end | (after == QUOTE))]
            wrong = [int(found[0]) for found in (wrong_start, wrong_end) if len(found)]
            first = min(wrong, default=-1)
            if first >= 0 and first in wrong_start[:1]:
                what = "a quotation mark is inside a field that does not begin with one"
                self._misplaced = line_of(first), what
            elif first >= 0:
                line = line_of(first)
                opened = opened_before(first)
                what = "the quotation mark that opens here is followed by text where it closes"
                what += "" if line == opened else f" in line {line:,}"
                self._misplaced = opened, what
        self._opened = opened_before(len(raw)) if ends_open else 0

    def is_quoted(self, sample: str) -> bool:
        """Return whether fields may be quoted, at the end of the file.

        Args:
            sample: the first lines, which show what values each column has.

        Raises:
            DataError: a record has another number of fields than the header, or a quotation mark is
                out of place or swallows rows; whichever comes first.
        """
        misplaced = self._misplaced
        if misplaced is None and self._opened:
            misplaced = self._opened, "the quotation mark that opens here is not closed"
        if self._misfit_line is None:  # the lines fit together without quoting
            swallows = misplaced is not None or bool(self._suspects)
            if self._delimiter == ord("\t") and swallows:
                return False
            if misplaced is not None and not self._quotes_fields:
                return False
        swallowing = next((one for one in self._suspects if self._swallows(one, sample)), None)
        if swallowing is not None and (misplaced is None or swallowing[0] < misplaced[0]):
            line, lines, _ = swallowing
            last = line + lines - 1
            what = "the quotation mark that opens here swallows rows: it closes in line "
            misplaced = line, f"{what}{last:,}"
        misfit = self._misfit_record
        if misplaced is not None and (misfit is None or misplaced[0] <= misfit[0]):
            raise DataError(
                misplaced[1],
                where=f"{self._path}:{misplaced[0]}",
                remedy='quote the whole field, and double the marks in it: "a 5"" disk"',
            )
        if misfit is not None:
            line, fields = misfit
            quote = f'quote a field that holds the delimiter: "a{chr(self._delimiter)} b"'
            raise DataError(
                f"the number of fields is {fields:,} here, and {self._columns:,} in the header",
                where=f"{self._path}:{line}",
                remedy=quote if fields > self._columns else None,
            )
        return True

    def _swallows(self, suspect: tuple[int, int, bytes], sample: str) -> bool:
        """Return whether the lines of a record look like rows.

        Whatever column is quoted, the lines then have values in another one that rows have. Where
        every field of the record is quoted, a writer has done that.
        """
        line, size, record = suspect
        field, between = rb'"(?:[^"]|"")*+"', re.escape(bytes([self._delimiter]))
        if re.fullmatch(rb"%b(?:%b%b)*\r?\n?" % (field, between, field), record):
            return False
        start = line - self._header
        outside = sample.split("\n")[1:]
        outside = outside[: max(0, start - 1)] + outside[max(0, start - 1 + size) :]
        delimiter = chr(self._delimiter)
        rows = list(
            csv.reader(
                (one.replace("\r", "") for one in outside if not one.count('"') % 2),
                delimiter=delimiter,
            )
        )
        known = [
            {row[at] for row in rows if len(row) == self._columns} for at in range(self._columns)
        ]
        lines = [one.rstrip("\r") for one in record.decode("utf-8", "replace").split("\n")]
        fields = [one.split(delimiter) for one in lines]
        quoted = _where_it_opens(fields[0])
        found: list[set[str]] = [set() for _ in range(self._columns)]
        for number, values in enumerate(fields):
            for column, value in enumerate(values):
                is_own = number == 0 and column < quoted
                is_own |= number == len(fields) - 1 and column > quoted
                if column != quoted and value.strip('"'):
                    (known if is_own else found)[column].add(value)
        return any(values and values <= known[column] for column, values in enumerate(found))


def _where_it_opens(fields: list[str]) -> int:
    """Return the number of the field of a line in which the mark opens that stays open."""
    opened, is_open = 0, False
    for number, field in enumerate(fields):
        if field.count('"') % 2:
            is_open = not is_open
            opened = number if is_open else opened
    return opened
