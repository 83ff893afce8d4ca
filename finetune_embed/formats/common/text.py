"""Reads and writes lines of text: a word and its D numbers, separated by single spaces.

GloVe files have only such lines; word2vec text files start with a header line `V D`. A word may
contain spaces, as in glove.840B, so lines are split from the right, at ASCII spaces only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator
from decimal import Decimal
from functools import partial
from typing import BinaryIO, NamedTuple

import numpy as np

from ...errors import VectorFileError
from ...files import Source
from ...table import EmbeddingTable, Vectors
from .kernels import TextRows, WordSet, format_text, in_order, parse_text
from .table_building import RowBuffer, check_limit, join_words, read_first, wanted_bytes
from .text_layout import BOM, MAX_LINE, TextLayout, quoted

__all__ = ["Block", "blocks", "parse_leftovers", "parse_numbers", "read_text", "write_text"]

BLOCK = 1 << 22
WRITE_NUMBERS = 1 << 18  # numbers in a block that is written
_TOO_LARGE = Decimal(2**128 - 2**103)  # halfway from the largest float32 to the next power of 2
_BLANK = re.compile(rb"^[ \r]*\n", re.MULTILINE)


def read_text(
    source: Source,
    layout: TextLayout,
    source_format: str,
    keys: Collection[str] | None = None,
    limit: int | None = None,
) -> EmbeddingTable:
    """Read the lines of a text file into a table, only the words of `keys` if given.

    With `keys`, lines of other words are skipped and not checked.

    Raises:
        VectorFileError: a line has too few numbers or one that is not a number, or the file has
            more or fewer rows than its header promises.
    """
    check_limit(limit)
    words = wanted_bytes(keys)
    wanted = None if words is None else WordSet(words)
    size = layout.vector_size
    rows = RowBuffer(size, b"\n")
    seen, blank = 0, 0

    def parse(block: Block) -> tuple[Block, TextRows]:
        parsed = parse_text(block.data, size, block.most, None if block.is_last else wanted)
        parse_leftovers(parsed, block, source)
        return block, parsed

    for block, parsed in in_order(parse, blocks(source, layout.promised is not None, limit)):
        if blank and (parsed.lines or parsed.bad >= 0):
            raise _short_line(source, blank, b"", size)
        if parsed.bad >= 0:
            text = block.data.split(b"\n")[parsed.bad]
            raise _short_line(source, block.line + parsed.bad, text, size)
        seen += parsed.lines
        if not blank and parsed.lines < block.most:
            blank = block.line + parsed.lines
        if wanted is None:
            if not len(rows) and limit is None and source.size is not None:
                rows.reserve(round(1.05 * source.size / len(block.data) * len(parsed.vectors)))
            rows.extend(parsed.words, parsed.vectors)
        else:
            rows.extend(*wanted.keep(parsed.words, parsed.vectors, b"\n"))
    if layout.promised is not None and seen != limit and seen != layout.promised:
        raise VectorFileError(
            f"the header promises {layout.promised:,} vectors, but the file has {seen:,}",
            where=f"{source.name}:{seen + 2}",
            value=seen,
            remedy=("fetch the file again, or ", read_first(seen)),
        )
    return rows.table(source, source_format, seen)


class Block(NamedTuple):
    """Complete lines of a file, each with a newline.

    Attributes:
        data: their bytes.
        line: the number of the first line, from 1.
        most: the number of lines to read.
        is_last: whether this is a last line without a newline, which was added.
    """

    data: bytes
    line: int
    most: int
    is_last: bool


def blocks(source: Source, has_header: bool, limit: int | None) -> Iterator[Block]:
    """Yield the lines of a file in blocks, without the header, up to a limit.

    Raises:
        VectorFileError: a line is too long for a line of vectors.
    """
    rest, line, left = b"", 1, limit
    while left is None or left > 0:
        data = source.read(BLOCK)
        if line == 1 and not rest:
            data = data.removeprefix(BOM)
        block = rest + data
        cut = block.rfind(b"\n") + 1 if data else len(block)
        block, rest = block[:cut], block[cut:]
        is_last = not data and not block.endswith(b"\n")
        if not block:
            if not data:
                return
            if len(rest) > MAX_LINE:
                raise VectorFileError(
                    f"this is not a text file of vectors: no line ends within {len(rest):,} bytes",
                    where=source.name,
                )
            continue
        if is_last:
            block += b"\n"
        if line == 1 and has_header:
            block, line = block[block.index(b"\n") + 1 :], 2
            if not block:
                continue
        lines = block.count(b"\n")
        yield Block(block, line, lines if left is None else min(lines, left), is_last)
        line += lines
        if left is not None:
            left -= min(lines - len(_BLANK.findall(block)), left)


def _short_line(source: Source, line: int, text: bytes, vector_size: int) -> VectorFileError:
    text = text.rstrip(b" \r")
    found = text.count(b" ")
    return VectorFileError(
        f"{found:,} of {vector_size:,} numbers in {quoted(text)}",
        where=f"{source.name}:{line}",
        value=found,
        remedy="the file is damaged there or cut short; fetch it again",
    )


def parse_leftovers(parsed: TextRows, block: Block, source: Source) -> None:
    """Parse the lines of a block that have numbers of more than plain digits.

    Raises:
        VectorFileError: one is not a number.
    """
    if parsed.leftovers:
        texts = [block.data[start:stop] for _, start, stop in parsed.leftovers]
        rows = [row for row, _, _ in parsed.leftovers]

        def line_of(position: int) -> int:
            return block.line + block.data.count(b"\n", 0, parsed.leftovers[position][1])

        parsed.vectors[rows] = _numbers(texts, source, line_of)


def _numbers(texts: list[bytes], source: Source, line_of: Callable[[int], int]) -> Vectors:
    """Parse the number fields of lines as `(lines, D)`, each correctly rounded to float32."""
    import polars as pl
    from polars.exceptions import PolarsError

    size = texts[0].count(b" ") + 1
    try:
        frame = pl.read_csv(
            b"\n".join([b" ".join([b"0"] * size), *texts]),  # zeros first: never like gzip
            has_header=False,
            separator=" ",
            schema={str(column): pl.Float32 for column in range(size)},
            quote_char=None,
            encoding="utf8-lossy",
        )
        if len(frame) == len(texts) + 1 and not any(frame.null_count().row(0)):
            vectors: Vectors = frame[1:].to_numpy()
            infinite = np.argwhere(np.isinf(vectors)).tolist()
            if all(_is_infinity(texts[row].split(b" ")[at]) for row, at in infinite):
                return vectors
    except PolarsError:
        pass
    parsed = [parse_numbers(text, source, partial(line_of, i)) for i, text in enumerate(texts)]
    return np.array(parsed, np.float32)


def parse_numbers(text: bytes, source: Source, line: Callable[[], int]) -> list[np.float32]:
    """Parse the numbers of one line, slowly; an error names the field.

    Raises:
        VectorFileError: a field is not a number, or is too large for float32.
    """
    numbers = []
    for position, field in enumerate(text.split(b" "), 1):
        try:
            if b"_" in field:
                raise ValueError
            number = _nearest_float32(field)
        except ValueError:
            raise _bad_number(f"{source.name}:{line()}", position, field, "not a number") from None
        if math.isinf(number) and not _is_infinity(field):
            raise _bad_number(f"{source.name}:{line()}", position, field, "too large for float32")
        numbers.append(number)
    return numbers


def _bad_number(where: str, position: int, field: bytes, why: str) -> VectorFileError:
    """Return the error for a number field, with the field's text as its value."""
    return VectorFileError(
        f"value {position} of the vector is {quoted(field)}, which is {why}",
        where=where,
        value=field.decode("utf-8", "replace"),
        remedy="correct the line or remove it",
    )


def _is_infinity(field: bytes) -> bool:
    """Return whether an infinite number is written as `inf` or `Infinity`, not in digits."""
    return b"n" in field.lower()


def _nearest_float32(field: bytes) -> np.float32:
    """Return the float32 nearest to a decimal.

    A decimal rounded to a double first can round to the wrong float32.
    """
    value = float(field)
    with np.errstate(over="ignore", under="ignore"):
        number = np.float32(value)
        other = np.nextafter(number, np.float32(math.inf if value > number else -math.inf))
    if (
        math.isfinite(value)
        and math.isinf(number)
        and Decimal(field.decode()).copy_abs() < _TOO_LARGE
    ):
        return np.float32(other)  # the largest float32
    if math.isfinite(value) and value - float(number) == float(other) - value:  # halfway
        exact = Decimal(field.decode().strip())
        if exact != Decimal(value):
            return np.float32(math.nextafter(value, math.inf if exact > value else -math.inf))
    return number


def write_text(table: EmbeddingTable, file: BinaryIO) -> None:
    """Write one line per row: the word and the shortest numbers that read back equal."""
    step = max(1, WRITE_NUMBERS // table.vector_size)

    def lines(start: int) -> bytes | bytearray:
        words = join_words(table.words[start : start + step], "\n")
        rows = np.ascontiguousarray(table.rows(slice(start, start + step)), np.float32)
        return format_text(words, rows)

    for text in in_order(lines, range(0, len(table), step)):
        file.write(text)
