"""What a line of a text file of vectors is: a word, and numbers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

__all__ = [
    "DECIMAL",
    "MISSING",
    "NUMBER",
    "QUOTED",
    "SAMPLE",
    "fits",
    "has_spaced_word",
    "leave_out",
    "names_columns",
    "number_of_numbers",
    "other_separator",
    "quoted",
    "usual_size",
]

SAMPLE = 100  # lines
_PLAIN = b"0123456789.+-eE\t\r"
_DIGITS = frozenset((b"", *(b"%c" % code for code in b"0123456789+-.")))
NUMBER = re.compile(rb"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf|infinity)", re.IGNORECASE)
DECIMAL = re.compile(rb"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=e))(?:e[-+]?\d+)?", re.IGNORECASE)
_OTHER_SEPARATOR = re.compile(rb"[^\t,;]*([\t,;])[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")
QUOTED = re.compile(rb'"([^"]+)"')
#: What other programs write for a missing number.
MISSING = frozenset(b"NA N/A #N/A <NA> NULL null None".split())
#: Names that tools write above the column of words.
_WORD_COLUMNS = frozenset(
    b"|word|words|token|tokens|key|index|term|vocab|label|unnamed: 0".split(b"|")
)


def fits(line: bytes, size: int) -> bool:
    """Return whether a line ends in a number of numbers, after at least one other field."""
    fields = line.rsplit(b" ", size)
    numbers = fields[1:]
    if len(numbers) != size or not all(numbers):
        return False
    return not b"".join(numbers).translate(None, _PLAIN) or all(map(NUMBER.fullmatch, numbers))


def number_of_numbers(line: bytes) -> int:
    """Return how many fields at the end of a line are numbers, without its first field."""
    fields = line.split(b" ")[1:]
    for count, field in enumerate(reversed(fields)):
        if not NUMBER.fullmatch(field):
            return count
    return len(fields)


def has_spaced_word(line: bytes, size: int) -> bool:
    """Return whether a line is a word of several fields and a number of numbers."""
    word = line.rsplit(b" ", size)[0]
    last = word.rpartition(b" ")[2]
    return (
        b" " in word
        and number_of_numbers(line) == size
        and last[:1] not in _DIGITS
        and last not in MISSING
    )


def usual_size(lines: Sequence[bytes]) -> int:
    """Return the most frequent number of numbers at the end of lines, 0 if most have none."""
    sizes = Counter(map(number_of_numbers, lines[:SAMPLE]))
    return max(sizes, key=lambda size: (sizes[size], -size))


def names_columns(line: bytes, size: int, rows: Sequence[bytes]) -> bool:
    """Return whether a first line names columns, such as `word 0 1 2`, above rows of numbers."""
    fields = [QUOTED.sub(rb"\1", field) for field in line.split(b" ")]
    if not rows or not 1 < len(fields) <= size + 1 or MISSING.issuperset(fields[1:]):
        return False
    names = fields[-size:]
    if len(fields) < size:
        return not any(map(NUMBER.fullmatch, fields[1:]))
    is_typical = len(fields) == size or fields[0].lower() in _WORD_COLUMNS
    if all(map(bytes.isdigit, names)) and max(map(len, names)) < 10:
        start = int(names[0])
        counted = start in (0, 1) and [*map(int, names)] == [*range(start, start + size)]
        decimals = any(map(DECIMAL.fullmatch, b" ".join(rows).split(b" ")))
        return counted and decimals and (is_typical or size > 2)
    return not any(map(NUMBER.fullmatch, names)) and (is_typical or size > 1)


def other_separator(words: list[bytes]) -> str:
    """Return the character that precedes a number at the end of each of several words, or "".

    Words look like this if a tab, a comma or a semicolon separates them from their numbers.
    """
    marks = {match and match[1] for match in map(_OTHER_SEPARATOR.fullmatch, words)}
    mark = marks.pop()
    return mark.decode() if mark and not marks and len(words) > 1 else ""


def leave_out(mark: str) -> str:
    """Return the remedy for lines with a mark for a missing number; it leaves out a header too."""
    escaped = mark.replace("/", "\\/")
    header = "1{/^[0-9]+ [0-9]+[[:space:]]*$/d;};"
    return f"leave such lines out: sed -E '{header} / {escaped}([[:space:]]|$)/d' FILE > NEW_FILE"


def quoted(text: bytes) -> str:
    """Return bytes of a file as a quoted string, shortened if it is long."""
    return repr((text if len(text) <= 60 else text[:57] + b"...").decode("utf-8", "replace"))
