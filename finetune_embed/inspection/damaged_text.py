"""Lines of vectors read past all damage: sound lines are taken, the others are counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from ..errors import VectorFileError
from ..files import Source
from ..formats.common.kernels import TextRows, in_order, parse_text
from ..formats.common.sniff import HEAD, W2V_HEADER
from ..formats.common.text import Block, blocks, fill_in, line_of_numbers
from ..formats.common.text_layout import BOM, DETECT_LINES, detect_layout
from ..table import Vectors
from .findings import Finding, Tally, quoted, refusal

__all__ = ["Lengths", "Lines", "lengths_of", "scan_lines"]

Lengths = npt.NDArray[np.float64]
MIN_SOUND = 0.1  # of the lines; with fewer, the file is no text of vectors


@dataclass
class Lines:
    """What was read of a text file.

    Attributes:
        vector_size: numbers in most lines.
        promised: the rows and the vector size of the header; None where there is none.
        words: of the sound lines.
        lengths: float64 `(V,)`, the Euclidean length of each row.
        places: int64 `(V,)`, the line that each stands in.
        lines: how many there are but for blank ones and the header, also damaged ones.
        findings: what is wrong with the others.
    """

    vector_size: int
    promised: tuple[int, int] | None
    words: list[str] = field(default_factory=list)
    lengths: Lengths = field(default_factory=lambda: np.empty(0))
    places: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    lines: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass
class Part:
    """What was read of a block of lines, or of all of them.

    Attributes:
        words: of the sound lines, joined by newlines.
        lengths: float64 `(n,)`.
        places: int64 `(n,)`, their lines.
        lines: how many there are but for blank ones.
        short: lines with too few numbers.
        not_numbers: lines with something else among the numbers.
        commas: whether some of it looks like decimal commas.
        unclosed: whether the last line has no newline.
        blank: lines without anything that others follow.
        blank_at_end: those that none follow.
    """

    words: bytes
    lengths: Lengths
    places: npt.NDArray[np.int64]
    lines: int
    short: Tally = field(default_factory=Tally)
    not_numbers: Tally = field(default_factory=Tally)
    commas: bool = False
    unclosed: bool = False
    blank: Tally = field(default_factory=Tally)
    blank_at_end: Tally = field(default_factory=Tally)


def lengths_of(vectors: Vectors) -> Lengths:
    """Return the Euclidean length of each row of `(V, D)`; NaN and inf where it has such a value.

    Squares are summed in float64, in which no float32 overflows.
    """
    with np.errstate(all="ignore"):
        squares: Lengths = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
        return np.sqrt(squares)


def scan_lines(source: Source) -> Lines:
    """Read a text file of vectors.

    Raises:
        VectorFileError: it is none: no line, or less than a tenth of them, is a vector.
    """
    found = _layout(source)
    size, findings = found.vector_size, found.findings
    findings += _of_first_lines(source)
    total = Part(b"", np.empty(0), np.empty(0, np.int64), 0)
    words, lengths, places = [], [total.lengths], [total.places]

    def parse(block: Block) -> Part:
        return _parse(block, size, source)

    for part in in_order(parse, _until_damage(source, found)):
        if part.lines:
            total.blank.merge(total.blank_at_end)
            total.blank_at_end = Tally()
        total.blank.merge(part.blank)
        total.blank_at_end.merge(part.blank_at_end)
        total.short.merge(part.short)
        total.not_numbers.merge(part.not_numbers)
        total.lines += part.lines
        total.commas |= part.commas
        total.unclosed |= part.unclosed
        if len(part.lengths):
            words.append(part.words)
            lengths.append(part.lengths)
            places.append(part.places)
    found.lengths, found.places = np.concatenate(lengths), np.concatenate(places)
    found.lines = total.lines
    if len(found.lengths) < max(1, MIN_SOUND * total.lines):
        raise _no_vectors(source, total, len(found.lengths), size)
    found.words = b"\n".join(words).decode("utf-8", "surrogateescape").split("\n")
    findings += _of_lines(total, size)
    return found


def _layout(source: Source) -> Lines:
    """Find the dimension and the header, and keep what is contradictory about them.

    Raises:
        VectorFileError: the first lines are no vectors.
    """
    try:
        layout = detect_layout(source)
    except VectorFileError as error:
        head = source.peek(HEAD).removeprefix(BOM)
        lines = [line.rstrip(b" \r") for line in head.split(b"\n")[: DETECT_LINES + 1]]
        lines = [line for line in lines if line]
        header = W2V_HEADER.match(head)
        sizes = Counter(line.count(b" ") for line in (lines[1:] if header else lines))
        size = max(filter(None, sizes), key=lambda size: (sizes[size], -size), default=0)
        if 2 * sizes[0] > len(lines) or not size:
            raise
        promised = (int(header[1]), int(header[2])) if header and size > 1 else None
        return Lines(size, promised, findings=[refusal("layout", error, source.name)])
    size = layout.vector_size
    return Lines(size, None if layout.promised is None else (layout.promised, size))


def _of_first_lines(source: Source) -> list[Finding]:
    head = source.peek(HEAD)
    bom, crlf = int(head.startswith(BOM)), int(head.partition(b"\n")[0].endswith(b"\r"))
    return Tally(bom).finding(
        "note",
        "bom",
        "the file starts with a byte order mark, which is left out",
        "other readers take it for a part of the first word; remove it for them",
    ) + Tally(crlf).finding(
        "note",
        "crlf",
        "lines end with CR LF, which is taken for a line end",
        "other readers may stumble over it; write the file anew with `convert` for them",
    )


def _until_damage(source: Source, found: Lines) -> Iterator[Block]:
    try:
        yield from blocks(source, found.promised is not None, None)
    except VectorFileError as error:
        found.findings.append(refusal("damaged", error, source.name))


def _parse(block: Block, size: int, source: Source) -> Part:
    """Read the sound lines of a block, at full speed if all are."""
    if block.is_last and source.damage is not None:  # cut off within this line
        return Part(b"", np.empty(0), np.empty(0, np.int64), 0)
    part: Part | None = None
    if len(block.data) > size:
        rows = parse_text(block.data, size, block.most, None)
        if rows.lines == block.most:
            places = np.arange(block.line, block.line + rows.lines)
            part = Part(rows.words, np.empty(0), places, rows.lines)
    if part is None:
        part, block = _sift(block, size)
        if not len(part.places):
            return part
        rows = parse_text(block.data, size, block.most, None)
        part.words = rows.words
    part.unclosed = block.is_last
    sound = _fill_in(rows, block, source, part)
    part.lengths = lengths_of(rows.vectors)
    if not sound.all():
        words = part.words.split(b"\n")
        part.words = b"\n".join([words[row] for row in np.flatnonzero(sound)])
        part.lengths, part.places = part.lengths[sound], part.places[sound]
    return part


def _sift(block: Block, size: int) -> tuple[Part, Block]:
    """Return a block of those lines that have enough fields, and a count of the others."""
    part = Part(b"", np.empty(0), np.empty(0, np.int64), 0)
    good, places = [], []
    for number, line in enumerate(block.data.split(b"\n")[: block.most], block.line):
        text = line.rstrip(b" \r")
        if not text:
            part.blank_at_end.add(f"line {number:,}")
            continue
        part.blank.merge(part.blank_at_end)
        part.blank_at_end = Tally()
        part.lines += 1
        if text.count(b" ") < size:
            part.short.add(f"{_shown(text)} (line {number:,})")
        else:
            good.append(line + b"\n")
            places.append(number)
    part.places = np.array(places, np.int64)
    return part, block._replace(data=b"".join(good), most=len(good))


def _fill_in(rows: TextRows, block: Block, source: Source, part: Part) -> npt.NDArray[np.bool_]:
    """Parse the numbers that are not plain digits; return which rows are sound, bool `(n,)`."""
    sound = np.ones(len(rows.vectors), np.bool_)
    try:
        fill_in(rows, block, source)
    except VectorFileError:
        for row, start, stop in rows.leftovers:
            place = int(part.places[row])
            try:
                numbers = line_of_numbers(block.data[start:stop], source, partial(int, place))
            except VectorFileError as error:
                what = str(error).partition(" is ")[2].partition(", which")[0]
                part.not_numbers.add(f"{what} (line {place:,})")
                part.commas |= re.fullmatch(r"'-?\d+,\d+'", what) is not None
                sound[row] = False
            else:
                with np.errstate(over="ignore"):
                    rows.vectors[row] = np.array(numbers, np.float64).astype(np.float32)
    return sound


def _of_lines(total: Part, size: int) -> list[Finding]:
    """Tell what is wrong with the lines that are not sound."""
    cure = "correct the lines or remove them" + (
        ", decimal commas by points" if total.commas else ""
    )
    return (
        total.short.finding(
            "error",
            "short_lines",
            f"lines with fewer than {size} numbers",
            "the file is damaged there or cut short: fetch it again, or remove the lines",
        )
        + total.not_numbers.finding(
            "error", "not_numbers", "lines with something else among their numbers", cure
        )
        + total.blank.finding(
            "error", "blank_lines", "blank lines that others follow", "remove them"
        )
        + Tally(int(total.unclosed)).finding(
            "note",
            "unclosed",
            "the last line does not end with a newline",
            "if the file was cut short there, its last number is wrong; compare its size",
        )
    )


def _no_vectors(source: Source, total: Part, sound: int, size: int) -> VectorFileError:
    """Return the error of a file that is no text of vectors."""
    first = next(iter(total.short.examples + total.not_numbers.examples), "there is none")
    line = first.rpartition("line ")[2].rstrip(")")
    return VectorFileError(
        f"{source.name}:{line}: {sound:,} of {total.lines:,} lines are a word and {size} numbers "
        f"between spaces, not {first}; this is not a text file of vectors"
    )


def _shown(text: bytes) -> str:
    return quoted(text.decode("utf-8", "surrogateescape"))
