"""Reads a block of lines of vectors: sound lines are parsed, the others are counted."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError
from ..files import Source
from ..formats.common.kernels import TextRows, parse_text
from ..formats.common.text_blocks import Block
from ..formats.common.text_numbers import parse_leftovers, parse_numbers
from ..formats.common.text_rows import MISSING
from .findings import Tally, quoted
from .scan import Lengths, lengths_of

__all__ = ["Lines", "read_lines"]

_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


@dataclass
class Lines:
    """What was read of some lines.

    Attributes:
        words: the words of the sound lines, joined by newlines.
        lengths: float64 `(n,)`, the lengths of their rows.
        places: int64 `(n,)`, their line numbers.
        lines: the number of lines, without blank ones.
        short: lines with too few numbers.
        not_numbers: lines with a value that is not a number.
        has_commas: whether such a value looks like a number with a decimal comma.
        missing: such a value that stands for a missing number, such as `NA`; else empty.
        blank: blank lines before another line.
        blank_at_end: blank lines at the end.
    """

    words: bytes = b""
    lengths: Lengths = field(default_factory=lambda: np.empty(0))
    places: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    lines: int = 0
    short: Tally = field(default_factory=Tally)
    not_numbers: Tally = field(default_factory=Tally)
    has_commas: bool = False
    missing: str = ""
    blank: Tally = field(default_factory=Tally)
    blank_at_end: Tally = field(default_factory=Tally)

    def count(self, later: Lines) -> None:
        """Add the counts of later lines, without their words and lengths."""
        if later.lines:
            self.end_blank_lines()
        self.blank.merge(later.blank)
        self.blank_at_end.merge(later.blank_at_end)
        self.short.merge(later.short)
        self.not_numbers.merge(later.not_numbers)
        self.lines += later.lines
        self.has_commas |= later.has_commas
        self.missing = self.missing or later.missing

    def end_blank_lines(self) -> None:
        """Count the blank lines at the end as blank lines before another line, which follows."""
        self.blank.merge(self.blank_at_end)
        self.blank_at_end = Tally()


def read_lines(block: Block, size: int, source: Source) -> Lines:
    """Read a block of lines of a word and `size` numbers; fast if all lines are sound."""
    if block.is_last and source.damage is not None:  # the damage is within this line
        return Lines()
    if len(block.data) > size:
        rows = parse_text(block.data, size, block.most, None)
        if rows.lines == block.most:
            places = np.arange(block.line, block.line + rows.lines)
            return _parse_numbers(Lines(places=places, lines=rows.lines), rows, block, source)
    lines, block = _split_off_short(block, size)
    if not len(lines.places):
        return lines
    return _parse_numbers(lines, parse_text(block.data, size, block.most, None), block, source)


def _split_off_short(block: Block, size: int) -> tuple[Lines, Block]:
    """Count the blank and short lines of a block; return the counts, and the other lines."""
    lines = Lines()
    kept, places = [], []
    for number, line in enumerate(block.data.split(b"\n")[: block.most], block.line):
        text = line.rstrip(b" \r")
        if not text:
            lines.blank_at_end.add(f"line {number:,}")
            continue
        lines.end_blank_lines()
        lines.lines += 1
        if text.count(b" ") < size:
            shown = quoted(text.decode("utf-8", "surrogateescape"))
            lines.short.add(f"{shown} (line {number:,})", number)
        else:
            kept.append(line + b"\n")
            places.append(number)
    lines.places = np.array(places, np.int64)
    return lines, block._replace(data=b"".join(kept), most=len(kept))


def _parse_numbers(lines: Lines, rows: TextRows, block: Block, source: Source) -> Lines:
    """Add the words and lengths of the lines whose values are all numbers."""
    sound = _fill_in(rows, block, source, lines)
    lines.words, lines.lengths = rows.words, lengths_of(rows.vectors)
    if not sound.all():
        words = rows.words.split(b"\n")
        lines.words = b"\n".join([words[row] for row in np.flatnonzero(sound)])
        lines.lengths, lines.places = lines.lengths[sound], lines.places[sound]
    return lines


def _fill_in(rows: TextRows, block: Block, source: Source, lines: Lines) -> npt.NDArray[np.bool_]:
    """Parse the numbers that are not plain digits; return which rows are sound, bool `(n,)`."""
    sound = np.ones(len(rows.vectors), np.bool_)
    try:
        parse_leftovers(rows, block, source)
    except VectorFileError:
        for row, start, stop in rows.leftovers:
            place = int(lines.places[row])
            try:
                numbers = parse_numbers(block.data[start:stop], source, partial(int, place))
            except VectorFileError as error:
                lines.not_numbers.add(f"{quoted(error.value)} (line {place:,})", place)
                lines.has_commas |= _DECIMAL_COMMA.fullmatch(error.value) is not None
                if error.value.encode() in MISSING:
                    lines.missing = lines.missing or error.value
                sound[row] = False
            else:
                with np.errstate(over="ignore"):
                    rows.vectors[row] = np.array(numbers, np.float64).astype(np.float32)
    return sound
