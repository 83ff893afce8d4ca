"""Names what a text file is that is no text of vectors, or not yet, from its first lines."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import Either, Option, VectorFileError
from .sniff import W2V_HEADER
from .text_kinds import brackets, decimal_commas, delimited, message, several_spaces, sparse
from .text_rows import (
    DECIMAL,
    NUMBER,
    QUOTED,
    SAMPLE,
    fits,
    has_spaced_word,
    names_columns,
    quoted,
    usual_size,
)

__all__ = [
    "column_mistake",
    "header_mistake",
    "row_mistake",
    "vector_size_remedy",
]

_THREE_NUMBERS = re.compile(rb"(\d{1,18}) (\d{1,18}) \d{1,18}")
_OTHER_HEADER = re.compile(rb"#?[ \t]*(\d{1,3}(?:,\d{3})+|\d+)(?:\.0+)?[ \t,;]+(\d{1,9})(?:\.0+)?")
_INTEGER = re.compile(rb"[-+]?\d{1,15}")
_BASE64 = b"B64:"


def vector_size_remedy(size: int) -> Either:
    """Return the remedy that gives the vector size."""
    return Either(
        f"use load_vectors(path, vector_size={size})", ("pass ", Option("vector_size", size))
    )


def row_mistake(
    name: str, lines: Sequence[bytes], size: int, first: int, is_given: bool
) -> VectorFileError | None:
    """Return the error that names what rows are, if they are not rows of vectors.

    Args:
        name: the file.
        lines: its first lines that are not blank, without a header `V D`.
        size: the number of values in a line that is expected.
        first: the number of the first line.
        is_given: whether the caller gave this size.
    """
    rows = lines[:SAMPLE]
    if size and 2 * sum(fits(line, size) for line in rows) >= len(rows):
        if first == 1 and names_columns(rows[0], size, rows[1:]):
            return _column_names(name, rows[0])
        return _no_words(name, rows, size, first)
    where = f"{name}:{first}"
    for find in (sparse, brackets, several_spaces, decimal_commas, delimited, message):
        if find is message and is_given and any(row.count(b" ") == size for row in rows):
            continue  # a row with a value that is no number
        if found := find(rows):
            what, remedy = found
            return VectorFileError(what, where=where, remedy=remedy)
    usual = usual_size(rows)
    if is_given:
        return _no_words(name, rows, size, first)
    spaced = [] if usual < 1 else [row for row in rows if has_spaced_word(row, usual)]
    if usual < size and 2 * len(spaced) > len(rows):
        field = spaced[0].split(b" ")[-usual - 1]
        return VectorFileError(
            f"most of the first lines are a word and {size} fields, but only the last {usual} are "
            f"numbers, and {quoted(field)} is not",
            where=where,
            value=field.decode("utf-8", "replace"),
            remedy=("if words contain spaces, ", vector_size_remedy(usual)),
        )
    return None


def column_mistake(name: str, lines: Sequence[bytes], first: int) -> VectorFileError | None:
    """Return the error for row numbers before the words, or for words in quotation marks.

    Args:
        name: the file.
        lines: its first lines that are not blank, without a header `V D`.
        first: the number of the first line.
    """
    fields = [line.split(b" ") for line in lines[:SAMPLE]]
    if len(fields) < 3 or min(map(len, fields[1:])) < 2:
        return None
    marks = [row[0].strip(b'"') for row in fields]
    has_names = not marks[0].isdigit()
    ids = marks[has_names:]
    if (
        ids[0] in (b"0", b"1")
        and ids == [b"%d" % (int(ids[0]) + i) for i in range(len(ids))]
        and not any(len(row) < 3 or NUMBER.fullmatch(row[1]) for row in fields[has_names:])
    ):
        cut = "cut -d ' ' -f 2-"
        command = f"tail -n +2 FILE | {cut}" if has_names else f"{cut} FILE"
        return VectorFileError(
            f"a column of row numbers comes first, as in {quoted(lines[-1])}",
            where=f"{name}:{first}",
            remedy=f"cut it off: {command} > NEW_FILE",
        )
    if not all(QUOTED.fullmatch(row[0]) for row in fields):
        return None
    is_all = all(QUOTED.fullmatch(row[1]) for row in fields[1:])
    command = "tr -d '\"' <" if is_all else 'sed -E \'s/^"([^"]*)" /\\1 /\''
    return VectorFileError(
        f"all words are in quotation marks, as in {quoted(lines[-1])}",
        where=f"{name}:{first}",
        remedy=f"remove them: {command} FILE > NEW_FILE",
    )


def header_mistake(name: str, lines: Sequence[bytes]) -> VectorFileError | None:
    """Return the error for a header of three numbers, as of deeplearning4j, or in another form."""
    header = _THREE_NUMBERS.fullmatch(lines[0])
    rows = lines[1 : SAMPLE + 1]
    other = None if W2V_HEADER.fullmatch(lines[0] + b"\n") else _OTHER_HEADER.fullmatch(lines[0])
    if other and rows and 2 < int(other[2]) == usual_size(rows):
        form = f"{int(other[1].replace(b',', b''))} {int(other[2])}"
        return VectorFileError(
            f"{quoted(lines[0])} is a header, but not in the form `V D`",
            where=f"{name}:1",
            value=lines[0].decode("utf-8", "replace"),
            remedy=f"write it as {form!r}",
        )
    if header is None or not rows:
        return None
    size = int(header[2])
    is_encoded = 2 * sum(line.startswith(_BASE64) for line in rows) > len(rows)
    if not is_encoded and (size == 2 or usual_size(rows) != size):
        return None
    decode = ", and decode the words from base64, which follows 'B64:'" if is_encoded else ""
    return VectorFileError(
        f"{quoted(lines[0])} is the header of deeplearning4j, `V D DOCUMENTS`, not `V D`"
        + ("; its words are in base64" if is_encoded else ""),
        where=f"{name}:1",
        remedy=f"remove the third number{decode}",
    )


def _column_names(name: str, line: bytes) -> VectorFileError:
    return VectorFileError(
        f"{quoted(line)} names columns and is not a row of vectors",
        where=f"{name}:1",
        value=line.decode("utf-8", "replace"),
        remedy="remove the line: tail -n +2 FILE > NEW_FILE",
    )


def _no_words(name: str, rows: Sequence[bytes], size: int, first: int) -> VectorFileError | None:
    """Return the error for rows of numbers without words.

    Words may be numbers. Decimals are taken for values if they have as many digits as the values.
    """
    fields = [row.split(b" ") for row in rows]
    if len(rows) < 2 or not all(len(row) in (size, size + 1) and len(row) > 1 for row in fields):
        return None
    values = [value for row in fields for value in row[1:]]
    if not all(map(NUMBER.fullmatch, values)):
        return None
    if not _are_integers([row[0] for row in fields], values):
        if not all(DECIMAL.fullmatch(row[0]) for row in fields):
            return None
        decimals = [value for value in values if DECIMAL.fullmatch(value)]
        if 2 * len(decimals) < len(values):
            return None
        if _middle([len(row[0]) for row in fields]) + 2 < _middle(list(map(len, decimals))):
            return None
    return VectorFileError(
        f"there are no words: all lines start with a number like the others, as {quoted(rows[0])}",
        where=f"{name}:{first}",
        remedy=Either(
            "give the words: load_numpy('vectors.npy', words=...), after "
            "numpy.save('vectors.npy', numpy.loadtxt(path))",
            "put each word before its numbers: paste -d ' ' WORDS FILE > NEW_FILE",
        ),
    )


def _are_integers(words: list[bytes], values: list[bytes]) -> bool:
    """Return whether words are integers like the values: signed or repeated, and in their range.

    Ids, which may be words, are unique and have no sign.
    """
    if not all(map(_INTEGER.fullmatch, [*words, *values])):
        return False
    are_ids = len(set(words)) == len(words) and not any(word[:1] in b"+-" for word in words)
    numbers = [*map(int, values)]
    return not are_ids and all(min(numbers) <= int(word) <= max(numbers) for word in words)


def _middle(numbers: list[int]) -> int:
    return sorted(numbers)[len(numbers) // 2]
