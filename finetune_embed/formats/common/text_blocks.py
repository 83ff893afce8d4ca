"""Reads the lines of a text file in blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ...errors import VectorFileError
from ...files import Source
from .text_layout import BOM, MAX_LINE

__all__ = ["Block", "blocks"]

BLOCK = 1 << 22
_BLANK = re.compile(rb"^[ \r]*\n", re.MULTILINE)


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
