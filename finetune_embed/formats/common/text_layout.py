"""Finds the layout of a text file of vectors from its first lines."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from ...errors import Either, Option, VectorFileError
from ...files import Source
from .sniff import HEAD

__all__ = [
    "BOM",
    "DETECT_LINES",
    "MAX_LINE",
    "TextLayout",
    "detect_layout",
    "other_separator",
    "quoted",
]

BOM = b"\xef\xbb\xbf"
DETECT_LINES = 1_000
MAX_LINE = 1 << 26  # bytes; no line of vectors is longer
_OTHER_SEPARATOR = re.compile(rb"[^\t,;]*([\t,;])[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")
_HEADER = re.compile(rb"\d{1,18} \d{1,18}")


@dataclass(frozen=True)
class TextLayout:
    """The layout of a text file of vectors.

    Attributes:
        vector_size: the number of values in a line.
        promised: the number of rows that the header promises; None without a header.
    """

    vector_size: int
    promised: int | None


def detect_layout(source: Source, vector_size: int | None = None) -> TextLayout:
    """Find the vector size of a text file, and whether it has a header, from its first lines.

    The vector size is the most frequent number of fields, minus one, in the first 1,000 lines. A
    header is a first line of two integers; if the vector size is 1, the second one must be 1 too.

    Raises:
        VectorFileError: no line looks like a vector, two vector sizes are equally frequent, the
            header contradicts the lines, or another character than a space follows all words.
    """
    if vector_size is not None and not 1 <= vector_size <= MAX_LINE:
        raise VectorFileError(
            f"must be from 1 to {MAX_LINE:,}", option="vector_size", value=vector_size
        )
    lines, has_header = _first_lines(source)
    body = (lines[1:] if has_header and len(lines) > 1 else lines)[:DETECT_LINES]
    size = _most_frequent_size(source, body) if vector_size is None else vector_size
    if size < 1:
        raise VectorFileError(
            "this is not a text file of vectors: "
            f"{quoted(body[0])} is not a word and numbers separated by spaces",
            where=f"{source.name}:{1 if body[0] is lines[0] else 2}",
        )
    if has_header:
        return TextLayout(size, _promised(source, lines, size, vector_size is not None))
    words = [line.rsplit(b" ", size)[0] for line in body]
    if vector_size is None and (mark := other_separator(words)):
        raise VectorFileError(
            f"{mark!r}, not a space, separates the word from its numbers in {quoted(body[0])} and "
            "all following lines",
            where=f"{source.name}:1",
            value=mark,
            remedy=Either(
                "replace it with a space, or, if it is part of the words, use "
                f"load_glove(path, vector_size={size})",
                "replace it with a space",
            ),
        )
    return TextLayout(size, None)


def _first_lines(source: Source) -> tuple[list[bytes], bool]:
    """Return the first lines that are not blank, and whether line 1 may be a header."""
    head = source.peek(HEAD).removeprefix(BOM)
    lines = [line.rstrip(b" \r") for line in head.split(b"\n")[: DETECT_LINES + 1]]
    if len(head) >= HEAD - len(BOM) and len(lines) <= DETECT_LINES:
        lines = lines[:-1]  # incomplete because the head ends, not the file
    if not any(lines):
        raise VectorFileError(
            f"no line of text in the first {len(head):,} bytes", where=source.name
        )
    return [line for line in lines if line], _HEADER.fullmatch(lines[0]) is not None


def _most_frequent_size(source: Source, body: list[bytes]) -> int:
    sizes = Counter(line.count(b" ") for line in body)
    (size, times), *others = sizes.most_common(2)
    if others and others[0][1] == times:
        smaller = min(size, others[0][0])
        raise VectorFileError(
            f"the vector size is in doubt: {times:,} of the first lines have {size} numbers, and "
            f"{times:,} have {others[0][0]}",
            where=source.name,
            remedy=Either(
                f"if words contain spaces, use load_vectors(path, vector_size={smaller}); if not, "
                "remove the damaged lines",
                "remove the damaged lines",
            ),
        )
    return size


def _promised(source: Source, lines: list[bytes], size: int, is_given: bool) -> int | None:
    """Return the rows that a header promises; None if the line is a word and its number."""
    promised, promised_size = map(int, lines[0].split(b" "))
    if len(lines) == 1:
        raise VectorFileError(
            f"the header promises {promised:,} vectors of {promised_size} numbers, but no line "
            "follows it",
            where=f"{source.name}:1",
            remedy="fetch the file again",
        )
    if promised_size == size:
        return promised
    if size == 1:
        return None
    if is_given:
        raise VectorFileError(
            f"contradicts the header, which promises vectors of {promised_size} numbers",
            where=f"{source.name}:1",
            option="vector_size",
            value=size,
            remedy=("leave ", Option("vector_size"), " out, or correct the header"),
        )
    lines_have = "line 2 has" if lines[1].count(b" ") == size else "most lines have"
    raise VectorFileError(
        f"the header promises vectors of {promised_size} numbers, but {lines_have} {size}",
        where=f"{source.name}:1",
        value=promised_size,
        remedy="correct the header, or remove it to read the file as GloVe text",
    )


def other_separator(words: list[bytes]) -> str:
    """Return the character that precedes a number at the end of each of several words, or "".

    Words look like this if a tab, a comma or a semicolon separates them from their numbers.
    """
    marks = {match and match[1] for match in map(_OTHER_SEPARATOR.fullmatch, words)}
    mark = marks.pop()
    return mark.decode() if mark and not marks and len(words) > 1 else ""


def quoted(text: bytes) -> str:
    """Return bytes of a file as a quoted string, shortened if it is long."""
    return repr((text if len(text) <= 60 else text[:57] + b"...").decode("utf-8", "replace"))
