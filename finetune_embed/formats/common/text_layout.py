"""Finds the layout of a text file of vectors from its first lines."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from ...errors import Option, VectorFileError
from ...files import Source
from .sniff import HEAD, W2V_HEADER
from .text_mistakes import column_mistake, header_mistake, row_mistake, vector_size_remedy
from .text_rows import SAMPLE, fits, number_of_numbers, other_separator, quoted

__all__ = [
    "BOM",
    "DETECT_LINES",
    "MAX_LINE",
    "TextLayout",
    "check_layout",
    "detect_layout",
]

BOM = b"\xef\xbb\xbf"
DETECT_LINES = 1_000
MAX_LINE = 1 << 26  # bytes; no line of vectors is longer
_DECIMAL = re.compile(rb"[-+]?(?:\d+\.\d*|\.\d+|\d+[eE][-+]?\d+)")


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

    A header is a first line of two integers, `V D`. It is followed if most of the first 100 lines
    end in `D` numbers, unless what precedes these numbers in most lines are numbers too. Without
    such a header, the vector size is the most frequent number of fields, minus one, in the first
    1,000 lines.

    Raises:
        VectorFileError: the lines are not vectors, two vector sizes are equally frequent, the
            header contradicts the lines, or another character than a space follows all words.
    """
    if vector_size is not None and not 1 <= vector_size <= MAX_LINE:
        raise VectorFileError(
            f"must be from 1 to {MAX_LINE:,}", option="vector_size", value=vector_size
        )
    head = source.peek(HEAD).removeprefix(BOM)
    return check_layout(head, source.name, vector_size)


def check_layout(head: bytes, name: str, vector_size: int | None = None) -> TextLayout:
    """Find the layout of text that starts with some bytes; see `detect_layout`.

    Args:
        head: the first bytes, without a byte order mark.
        name: the file, for messages.
        vector_size: the number of values in a line; detected if not given.
    """
    lines, may_start, is_whole = _first_lines(head, name)
    header = _header(lines, is_whole)
    if header and not may_start and _is_followed(lines[1:], header[1]):
        raise VectorFileError(
            f"a blank line is above the header {quoted(lines[0])}",
            where=f"{name}:1",
            remedy="remove blank lines: sed '/^[[:space:]]*$/d' FILE > NEW_FILE",
        )
    header = header if may_start else None
    if error := None if header else header_mistake(name, lines):
        raise error
    if error := column_mistake(name, lines[header is not None :], 1 + (header is not None)):
        raise error
    if header and vector_size is None and _is_followed(lines[1:], header[1]):
        return TextLayout(header[1], header[0])
    body = (lines[1:] if header and len(lines) > 1 else lines)[:DETECT_LINES]
    size = _most_frequent_size(body, name) if vector_size is None else vector_size
    error = row_mistake(name, body, size, 1 + (body[0] is not lines[0]), vector_size is not None)
    if header and len(lines) > 1 and size > 1 and header[1] != size:
        error = _contradiction(name, lines, header, size, vector_size is not None, error)
    if error:
        raise error
    if size < 1:
        raise VectorFileError(
            "this is not a text file of vectors: "
            f"{quoted(body[0])} is not a word and numbers separated by spaces",
            where=f"{name}:{1 if body[0] is lines[0] else 2}",
        )
    if header and len(lines) == 1:
        raise VectorFileError(
            f"the header promises {header[0]:,} vectors of {header[1]} numbers, but no line "
            "follows it",
            where=f"{name}:1",
            remedy="fetch the file again",
        )
    if header and header[1] == size:
        return TextLayout(size, header[0])
    words = [line.rsplit(b" ", size)[0] for line in body]
    if vector_size is None and (mark := other_separator(words)):
        raise _separator(name, mark, body[0], size)
    return TextLayout(size, None)


def _first_lines(head: bytes, name: str) -> tuple[list[bytes], bool, bool]:
    """Return the first lines that are not blank, and two facts about them.

    These are whether the first of them is line 1, and whether they are all lines of the file.
    """
    if b"\n" not in head and head.rstrip().count(b"\r") and len(head) < HEAD:
        raise VectorFileError(
            "the lines end in carriage returns, as on old Macs",
            where=name,
            remedy="write newlines: tr '\\r' '\\n' < FILE > NEW_FILE",
        )
    lines = [line.rstrip(b" \r") for line in head.split(b"\n")[: DETECT_LINES + 1]]
    is_whole = len(head) < HEAD - len(BOM)
    if not is_whole and len(lines) <= DETECT_LINES:
        lines = lines[:-1]  # incomplete because the head ends, not the file
    if not any(lines):
        raise VectorFileError(f"no line of text in the first {len(head):,} bytes", where=name)
    is_all = is_whole and len(lines) <= DETECT_LINES
    return [line for line in lines if line], bool(lines[0]), is_all


def _header(lines: list[bytes], is_whole: bool) -> tuple[int, int] | None:
    """Return what a header in the first line promises, `(V, D)`; None if it is no header.

    A line such as ` 3 2` may also be two numbers of the empty word; it is a header if `V` is true.
    """
    match = W2V_HEADER.fullmatch(lines[0] + b"\n")
    if match is None:
        return None
    promised, size = int(match[1]), int(match[2])
    if size == 2 and lines[0].startswith(b" ") and not (is_whole and promised == len(lines) - 1):
        return None
    return promised, size


def _is_followed(body: list[bytes], size: int) -> bool:
    """Return whether most lines are vectors of a size, and not of a larger one."""
    rows = [line for line in body[:SAMPLE] if size and fits(line, size)]
    if not rows or 2 * len(rows) <= len(body[:SAMPLE]):
        return False
    return 2 * sum(_is_longer(line, size) for line in rows) <= len(rows)


def _is_longer(line: bytes, size: int) -> bool:
    """Return whether all fields of a line but the first are numbers, of which there are more."""
    *extra, last = line.rsplit(b" ", size)[0].split(b" ")[1:] or [b""]
    if not last or number_of_numbers(line) <= size + len(extra):
        return False
    has_decimals = any(map(_DECIMAL.match, line.rsplit(b" ", size)[1:]))
    return not has_decimals or all(map(_DECIMAL.match, [*extra, last]))


def _most_frequent_size(body: list[bytes], name: str) -> int:
    sizes = Counter(line.count(b" ") for line in body)
    (size, times), *others = sizes.most_common(2)
    if not others or others[0][1] != times:
        return size
    for tied in (size, others[0][0]):
        if error := row_mistake(name, body, tied, 1, is_given=False):
            raise error
    if not any(map(number_of_numbers, body[:SAMPLE])):
        return 0
    smaller = min(filter(None, (size, others[0][0])))
    raise VectorFileError(
        f"the vector size is in doubt: {times:,} of the first lines have {size} numbers, and "
        f"{times:,} have {others[0][0]}",
        where=name,
        remedy=(
            "if words contain spaces, ",
            vector_size_remedy(smaller),
            "; if not, remove the damaged lines",
        ),
    )


def _contradiction(
    name: str,
    lines: list[bytes],
    header: tuple[int, int],
    size: int,
    is_given: bool,
    found: VectorFileError | None,
) -> VectorFileError:
    """Return the error for a header that promises another vector size than the lines have."""
    if is_given:
        return VectorFileError(
            f"contradicts the header, which promises vectors of {header[1]} numbers",
            where=f"{name}:1",
            option="vector_size",
            value=size,
            remedy=("leave ", Option("vector_size"), " out, or correct the header"),
        )
    if found:
        return found
    if mark := other_separator([line.rsplit(b" ", size)[0] for line in lines[1:]]):
        return _separator(name, mark, lines[1], size)
    lines_have = "line 2 has" if lines[1].count(b" ") == size else "most lines have"
    return VectorFileError(
        f"the header promises vectors of {header[1]} numbers, but {lines_have} {size}",
        where=f"{name}:1",
        value=header[1],
        remedy="correct the header, or remove it to read the file as GloVe text",
    )


def _separator(name: str, mark: str, line: bytes, size: int) -> VectorFileError:
    return VectorFileError(
        f"{mark!r}, not a space, separates the word from its numbers in {quoted(line)} and all "
        "following lines",
        where=f"{name}:1",
        value=mark,
        remedy=(
            "replace it with a space, or, if it is part of the words, ",
            vector_size_remedy(size),
        ),
    )
