"""Headers above the rows of a word2vec binary that are not the line `V D`."""

from __future__ import annotations

import re

from ...errors import VectorFileError
from .binary_words import character, is_odd, is_plausible, word_start
from .text_rows import quoted

__all__ = ["other_header"]

MOST_LINES = 3  # that can be above the rows
LONGEST_LINE = 200  # bytes
LONGEST_WORD = 256  # bytes
ROWS = 3  # that are looked at
#: Integers, some with commas between groups of three digits, and those without.
_GROUPED = re.compile(rb"(?<![\d.,])(\d{1,3}(?:,\d{3})+|\d{1,12})(?:\.0+)?(?![\d.])")
_PLAIN = re.compile(rb"(?<![\d.])(\d{1,12})(?:\.0+)?(?![\d.])")


def other_header(head: bytes, name: str) -> VectorFileError | None:
    """Return the error for rows of a word2vec binary under another header than a line `V D`.

    Args:
        head: the first bytes of a file.
        name: the file, for the message.
    """
    start = 0
    for lines in range(1, MOST_LINES + 1):
        end = head.find(b"\n", start, start + LONGEST_LINE)
        if end < 0:
            return None
        start = end + 1
        for form in (_GROUPED, _PLAIN):
            numbers = [int(one.replace(b",", b"")) for one in form.findall(head[:end])]
            for size in numbers if len(numbers) > 1 else ():
                if _are_rows(head, start, size):
                    count = next((one for one in numbers if one != size), size)
                    return _error(name, head[:end], lines, count, size)
    return None


def _error(name: str, header: bytes, lines: int, rows: int, size: int) -> VectorFileError:
    return VectorFileError(
        f"rows of a word2vec binary with {size} numbers follow {quoted(header)}, which is not a "
        "header line `V D`",
        where=f"{name}:1",
        value=header.decode("utf-8", "replace"),
        remedy=f"replace it: (echo {rows} {size}; tail -n +{lines + 1} FILE) > NEW_FILE",
    )


def _are_rows(head: bytes, start: int, size: int) -> bool:
    """Return whether rows of words and a number of float32 numbers start at a byte."""
    width, values, rows = 4 * size, b"", 0
    while size and rows < ROWS and start < len(head):
        start = word_start(head, start)
        space = head.find(b" ", start, start + LONGEST_WORD)
        row = head[space + 1 : space + 1 + width]
        word = head[start:space]
        if space < 0 or is_odd(word) or not character(word, 0):
            return False
        if len(row) < width:
            break
        if not is_plausible(row):
            return False
        values, rows, start = values + row, rows + 1, space + 1 + width
    return rows > 0 and any(code < 9 for code in values)  # text has no such bytes
