"""Reads and writes lines of text: a word and its D numbers, separated by single spaces.

GloVe files have only such lines; word2vec text files start with a header line `V D`. A word may
contain spaces, as in glove.840B, so lines are split from the right, at ASCII spaces only.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import BinaryIO

import numpy as np

from ...errors import VectorFileError
from ...files import Source
from ...table import EmbeddingTable
from .arguments import check_limit, read_first, wanted_bytes
from .kernels import TextRows, WordSet, format_text, in_order, parse_text
from .saving import join_words
from .table_building import RowBuffer
from .text_blocks import Block, blocks
from .text_end import CUT_SHORT, why_cut_short
from .text_layout import TextLayout
from .text_numbers import parse_leftovers
from .text_rows import fits, quoted

__all__ = ["ends_in_unk", "read_text", "write_text"]

WRITE_NUMBERS = 1 << 18  # numbers in a block that is written


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
    rows = RowBuffer(size, b"\n", source)
    seen, blank, last, cut_short = 0, 0, b"", ""

    def parse(block: Block) -> tuple[Block, TextRows]:
        parsed = parse_text(block.data, size, block.most, None if block.is_last else wanted)
        parse_leftovers(parsed, block, source)
        return block, parsed

    for block, parsed in in_order(parse, blocks(source, layout.promised is not None, limit)):
        if blank and (parsed.lines or parsed.bad >= 0):
            raise _short_line(source, blank, b"", size, seen)
        if parsed.bad >= 0:
            text, *after = block.data.split(b"\n")[parsed.bad :]
            at = block.line + parsed.bad
            raise _short_line(source, at, text, size, seen + parsed.lines, after)
        seen += parsed.lines
        if block.is_last and parsed.lines:
            cut_short = why_cut_short(last, block.data, size)
        last = block.data if parsed.lines else last
        if not blank and parsed.lines < block.most:
            blank = block.line + parsed.lines
        if wanted is None:
            if not len(rows) and limit is None and source.size is not None:
                rows.reserve(round(1.05 * source.size / len(block.data) * len(parsed.vectors)))
            rows.extend(parsed.words, parsed.vectors)
        else:
            rows.extend(*wanted.keep(parsed.words, parsed.vectors, b"\n"))
    true = layout.promised in (None, seen) or (seen - 1 == layout.promised and ends_in_unk(last))
    if not true and seen != limit:
        raise VectorFileError(
            f"the header promises {layout.promised or 0:,} vectors, but the file has {seen:,}",
            where=f"{source.name}:{seen + 2}",
            value=seen,
            remedy=("fetch the file again, or ", read_first(seen)),
        )
    table = rows.table(source_format, seen)
    if cut_short:
        table.metadata[CUT_SHORT] = cut_short
    return table


def ends_in_unk(block: bytes) -> bool:
    """Return whether the last row of a block is that of `<unk>`.

    GloVe's own tool adds this row, which the header that it writes with `-write-header` leaves out.
    """
    return block.rstrip(b"\n\r ").rpartition(b"\n")[2].startswith(b"<unk> ")


def _short_line(
    source: Source,
    line: int,
    text: bytes,
    vector_size: int,
    rows: int,
    after: Sequence[bytes] = (),
) -> VectorFileError:
    """Return the error about a line without all numbers, after so many sound rows."""
    text = text.rstrip(b" \r")
    if not text and after and after[0].startswith(b" ") and fits(after[0].rstrip(), vector_size):
        return VectorFileError(
            f"this line is blank and the next has {vector_size} numbers but no word: the word is a "
            "line end, which no text file of vectors can hold",
            where=f"{source.name}:{line}",
            remedy="remove both lines, and count one row less in the header if there is one",
        )
    found = text.count(b" ")
    is_start = line > 1 and text and not found and after
    join = is_start and fits(after[0].rstrip(b" \r"), vector_size)
    either = "if the word has a line end, join both lines; if not, " if join else ""
    fetch = f"{either}the file is damaged there or cut short; fetch it again"
    return VectorFileError(
        f"{found:,} of {vector_size:,} numbers in {quoted(text)}",
        where=f"{source.name}:{line}",
        value=found,
        remedy=(fetch, ", or ", read_first(rows)) if rows else fetch,
    )


def write_text(table: EmbeddingTable, file: BinaryIO) -> None:
    """Write one line per row: the word and the shortest numbers that read back equal."""
    step = max(1, WRITE_NUMBERS // table.vector_size)

    def lines(start: int) -> bytes | bytearray:
        words = join_words(table.words[start : start + step], "\n")
        rows = np.ascontiguousarray(table.rows(slice(start, start + step)), np.float32)
        return format_text(words, rows)

    for text in in_order(lines, range(0, len(table), step)):
        file.write(text)
