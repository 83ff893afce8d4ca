"""How a text file of vectors is laid out, found out from its first lines."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from ...errors import VectorFileError
from ...files import Source
from .sniff import HEAD

__all__ = [
    "BOM",
    "DETECT_LINES",
    "MAX_LINE",
    "TextLayout",
    "detect_layout",
    "other_separator",
    "shown",
]

BOM = b"\xef\xbb\xbf"
DETECT_LINES = 1_000
MAX_LINE = 1 << 26  # bytes; a longer "line" is no line of vectors
_OTHER_SEPARATOR = re.compile(rb"[^\t,;]*([\t,;])[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")
_HEADER = re.compile(rb"\d{1,18} \d{1,18}")


@dataclass(frozen=True)
class TextLayout:
    """How a text file of vectors is laid out.

    Attributes:
        vector_size: the numbers in a line.
        promised: the rows that the header promises, or None where there is no header.
    """

    vector_size: int
    promised: int | None


def detect_layout(source: Source, vector_size: int | None = None) -> TextLayout:
    """Find the dimension of a text file and whether it has a header, by its first 1,000 lines.

    The dimension is the most frequent number of fields less one. A header is a first line of two
    integers; where the lines hold one number each, only if its second integer is 1.

    Raises:
        VectorFileError: no line looks like a vector, two dimensions are equally frequent, the
            header contradicts the lines, or all words end as if parted by something else.
    """
    if vector_size is not None and not 1 <= vector_size <= MAX_LINE:
        raise VectorFileError(f"vector_size={vector_size}: no line holds so many numbers")
    lines, has_header = _first_lines(source)
    body = (lines[1:] if has_header and len(lines) > 1 else lines)[:DETECT_LINES]
    size = _most_frequent_size(source, body) if vector_size is None else vector_size
    if size < 1:
        raise VectorFileError(
            f"{source.name}:{1 if body[0] is lines[0] else 2}: {shown(body[0])} is not a word and "
            "its numbers between spaces; this is not a text file of vectors"
        )
    if has_header:
        return TextLayout(size, _promised(source, lines, size, vector_size is not None))
    words = [line.rsplit(b" ", size)[0] for line in body]
    if vector_size is None and (mark := other_separator(words)):
        raise VectorFileError(
            f"{source.name}:1: a word and its first number are parted by {mark!r}, not by a space, "
            f"in {shown(body[0])} and all that follow; put a space there, or, if it is part of "
            f"the words, use load_glove(path, vector_size={size})"
        )
    return TextLayout(size, None)


def _first_lines(source: Source) -> tuple[list[bytes], bool]:
    """Return the first lines that are not blank, and whether the first of all may be a header."""
    head = source.peek(HEAD).removeprefix(BOM)
    lines = [line.rstrip(b" \r") for line in head.split(b"\n")[: DETECT_LINES + 1]]
    if len(head) >= HEAD - len(BOM) and len(lines) <= DETECT_LINES:
        lines = lines[:-1]  # cut off by the peek, not by the file
    if not any(lines):
        raise VectorFileError(f"{source.name}: no line of text in the first {len(head):,} bytes")
    return [line for line in lines if line], _HEADER.fullmatch(lines[0]) is not None


def _most_frequent_size(source: Source, body: list[bytes]) -> int:
    sizes = Counter(line.count(b" ") for line in body)
    (size, times), *others = sizes.most_common(2)
    if others and others[0][1] == times:
        raise VectorFileError(
            f"{source.name}: {times:,} of the first lines have {size} numbers and as many have "
            f"{others[0][0]}; say which it is: vector_size={size}"
        )
    return size


def _promised(source: Source, lines: list[bytes], size: int, is_given: bool) -> int | None:
    """Return the rows that a header promises; None if it is rather a word and its number."""
    promised, promised_size = map(int, lines[0].split(b" "))
    if len(lines) == 1:
        raise VectorFileError(
            f"{source.name}:1: the header promises {promised:,} vectors of {promised_size} "
            "numbers, and the file ends there; fetch the file again"
        )
    if promised_size == size:
        return promised
    if size == 1:
        return None
    if is_given:
        against = f"vector_size={size} was asked for; leave that out, or correct the header"
    else:
        has = "line 2 has" if lines[1].count(b" ") == size else "most lines have"
        against = f"{has} {size}; correct the header, or remove it and use load_glove(path)"
    raise VectorFileError(
        f"{source.name}:1: the header promises vectors of {promised_size} numbers, but {against}"
    )


def other_separator(words: list[bytes]) -> str:
    """Return the mark that stands before a number in each of several words, or nothing.

    So it looks where the word is parted from its numbers by a tab, a comma or a semicolon.
    """
    marks = {match and match[1] for match in map(_OTHER_SEPARATOR.fullmatch, words)}
    mark = marks.pop()
    return mark.decode() if mark and not marks and len(words) > 1 else ""


def shown(text: bytes) -> str:
    """Return bytes of a file as a short quoted string."""
    return repr((text if len(text) <= 60 else text[:57] + b"...").decode("utf-8", "replace"))
