"""Names what a text file is that is no text of vectors, or not yet, from its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence

from ...errors import Either, Option, Text, VectorFileError

__all__ = [
    "column_mistake",
    "fits",
    "header_mistake",
    "number_of_numbers",
    "other_separator",
    "quoted",
    "row_mistake",
    "usual_size",
    "vector_size_remedy",
]

SAMPLE = 100  # lines
_PLAIN = b"0123456789.+-eE\t\r"
_DIGITS = frozenset((b"", *(b"%c" % code for code in b"0123456789+-.")))
_NUMBER = re.compile(rb"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|inf|infinity)", re.IGNORECASE)
_DECIMAL = re.compile(rb"[-+]?(?:\d+\.\d*|\.\d+|\d+(?=e))(?:e[-+]?\d+)?", re.IGNORECASE)
_OTHER_SEPARATOR = re.compile(rb"[^\t,;]*([\t,;])[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")
_QUOTED = re.compile(rb'"([^"]+)"')
_DECIMAL_COMMA = re.compile(rb".* [-+]?\d+,\d+(?: .*)?")
_PAIR = re.compile(rb"\d+:[-+.\deE]+")
_THREE_NUMBERS = re.compile(rb"(\d{1,18}) (\d{1,18}) \d{1,18}")
_OTHER_HEADER = re.compile(rb"#?[ \t]*(\d{1,3}(?:,\d{3})+|\d+)(?:\.0+)?[ \t,;]+(\d{1,9})(?:\.0+)?")
_COMMA = re.compile(rb"[-+]?\d+(?:,\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)
_INTEGER = re.compile(rb"[-+]?\d{1,15}")
_BASE64 = b"B64:"
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
    return not b"".join(numbers).translate(None, _PLAIN) or all(map(_NUMBER.fullmatch, numbers))


def number_of_numbers(line: bytes) -> int:
    """Return how many fields at the end of a line are numbers, without its first field."""
    fields = line.split(b" ")[1:]
    for count, field in enumerate(reversed(fields)):
        if not _NUMBER.fullmatch(field):
            return count
    return len(fields)


def _has_spaced_word(line: bytes, size: int) -> bool:
    """Return whether a line is a word of several fields and a number of numbers."""
    word = line.rsplit(b" ", size)[0]
    last = word.rpartition(b" ")[2]
    return b" " in word and number_of_numbers(line) == size and last[:1] not in _DIGITS


def usual_size(lines: Sequence[bytes]) -> int:
    """Return the most frequent number of numbers at the end of lines, 0 if most have none."""
    sizes = Counter(map(number_of_numbers, lines[:SAMPLE]))
    return max(sizes, key=lambda size: (sizes[size], -size))


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
        if first == 1 and _names_columns(rows[0], size, rows[1:]):
            return _column_names(name, rows[0])
        return _no_words(name, rows, size, first)
    where = f"{name}:{first}"
    for find in (_sparse, _brackets, _several_spaces, _decimal_commas, _delimited, _message):
        if find is _message and is_given and any(row.count(b" ") == size for row in rows):
            continue  # a row with a value that is no number
        if found := find(rows):
            what, remedy = found
            return VectorFileError(what, where=where, remedy=remedy)
    usual = usual_size(rows)
    if is_given:
        return _no_words(name, rows, size, first)
    spaced = [] if usual < 1 else [row for row in rows if _has_spaced_word(row, usual)]
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
        and not any(len(row) < 3 or _NUMBER.fullmatch(row[1]) for row in fields[has_names:])
    ):
        cut = "cut -d ' ' -f 2-"
        command = f"tail -n +2 FILE | {cut}" if has_names else f"{cut} FILE"
        return VectorFileError(
            f"a column of row numbers comes first, as in {quoted(lines[-1])}",
            where=f"{name}:{first}",
            remedy=f"cut it off: {command} > NEW_FILE",
        )
    if not all(_QUOTED.fullmatch(row[0]) for row in fields):
        return None
    is_all = all(_QUOTED.fullmatch(row[1]) for row in fields[1:])
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
    other = _OTHER_HEADER.fullmatch(lines[0])
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


def _names_columns(line: bytes, size: int, rows: Sequence[bytes]) -> bool:
    """Return whether a first line names columns, such as `word 0 1 2`, above rows of numbers."""
    fields = [_QUOTED.sub(rb"\1", field) for field in line.split(b" ")]
    if not rows or not 1 < len(fields) <= size + 1:
        return False
    names = fields[-size:]
    if len(fields) < size:
        return not any(map(_NUMBER.fullmatch, fields[1:]))
    is_typical = len(fields) == size or fields[0].lower() in _WORD_COLUMNS
    if all(map(bytes.isdigit, names)) and max(map(len, names)) < 10:
        start = int(names[0])
        counted = start in (0, 1) and [*map(int, names)] == [*range(start, start + size)]
        decimals = any(map(_DECIMAL.fullmatch, b" ".join(rows).split(b" ")))
        return counted and decimals and (is_typical or size > 2)
    return not any(map(_NUMBER.fullmatch, names)) and (is_typical or size > 1)


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
    if not all(map(_NUMBER.fullmatch, values)):
        return None
    if not _are_integers([row[0] for row in fields], values):
        if not all(_DECIMAL.fullmatch(row[0]) for row in fields):
            return None
        decimals = [value for value in values if _DECIMAL.fullmatch(value)]
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


def _sparse(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    pairs = [row for row in rows if all(map(_PAIR.fullmatch, row.split(b" ")[1:])) and b" " in row]
    if 2 * len(pairs) <= len(rows):
        return None
    return (
        f"these are sparse vectors, pairs of a position and a value, as in {quoted(pairs[0])}",
        "write all values of each row, zeros included",
    )


def _brackets(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    """Name JSON, and lists of numbers with brackets and commas."""
    if sum(b"[" in row and b"," in row for row in rows) * 2 <= len(rows):
        return None
    if rows[0].lstrip()[:1] in (b"{", b"["):
        return (
            f"this is JSON: {quoted(rows[0])}",
            "write each word and its numbers in a line, with spaces between them",
        )
    return (
        f"the numbers are in brackets, as in {quoted(rows[0])}",
        "remove them, and the commas: tr -d '[],' < FILE > NEW_FILE",
    )


def _several_spaces(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    """Name fields with several spaces between them, or lines that start with a space."""
    single = [b" ".join(filter(None, row.split(b" "))) for row in rows]
    if 2 * sum(a != b for a, b in zip(single, rows, strict=True)) <= len(rows):
        return None
    usual = usual_size(single)
    if not usual:
        return None
    remedy = "write single spaces: sed -E 's/^ +//; s/ +/ /g' FILE > NEW_FILE"
    what = f"several spaces, not one, are between or before the fields, as in {quoted(rows[-1])}"
    if _names_columns(single[0], usual, single[1:]):
        remedy = (
            "write single spaces and leave line 1 out: "
            "sed -E '1d; s/^ +//; s/ +/ /g' FILE > NEW_FILE"
        )
        what += ", and line 1 names columns"
    return what, remedy


def _decimal_commas(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    """Name numbers with a comma as decimal mark, with spaces between them."""
    found = [row for row in rows if b"," in row and all(map(_COMMA.fullmatch, row.split(b" ")[1:]))]
    if (
        len(rows) < 2
        or 2 * len(found) <= len(rows)
        or not any(map(_DECIMAL_COMMA.fullmatch, found))
    ):
        return None
    return (
        f"the numbers have commas as decimal marks, as in {quoted(found[0])}",
        r"write points: sed 's/\([0-9]\),\([0-9]\)/\1.\2/g' FILE > NEW_FILE",
    )


def _message(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    """Name one or two short lines of words, such as a server's answer."""
    text = b" ".join(rows)
    fields = text.split()
    numbers = sum(map(bool, map(_NUMBER.fullmatch, fields)))
    if len(rows) > 2 or len(text) > 500 or 2 * numbers >= len(fields) or re.search(rb"[\[{]", text):
        return None
    if any(map(_DECIMAL.fullmatch, fields)):
        return None
    return (
        f"this is not vectors but a message: {quoted(text)}",
        "download the file again; check the address, and that you may read it",
    )


def _delimited(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    """Name CSV: lines of the same number of fields, with a comma, semicolon or tab between them."""
    texts = [row.decode("utf-8", "replace") for row in rows]
    if 2 * sum(map(bool, map(_DECIMAL_COMMA.fullmatch, rows))) > len(rows):
        return None
    for mark in "\t;,":
        try:
            table = [row for row in csv.reader(texts, delimiter=mark) if row]
        except csv.Error:
            continue
        (width, times), *_ = [*Counter(map(len, table)).most_common(1), (0, 0)]
        if width < 2 or 10 * times < 9 * len(table) or (len(rows) == 1 and b" " in rows[0]):
            continue
        kind = "tab-separated text" if mark == "\t" else "CSV"
        what = f"this is {kind}: {mark!r} is between the fields of {quoted(rows[-1])}"
        values = [value.strip() for row in table[1:] or table for value in row[1:]]
        points = [value if mark == "," else value.replace(",", ".") for value in values]
        numbers = [point.encode() for point in points]
        is_decimal = any(map(_DECIMAL.fullmatch, numbers))
        if not all(map(_NUMBER.fullmatch, numbers)) or (width == 2 and not is_decimal):
            return what, "pass it as the data set if it is one, and a file of vectors here"
        remedy = f"replace each {mark!r} with a space"
        if all(_DECIMAL.fullmatch(row[0].encode()) for row in table):
            what += ", and there are no words"
            remedy += ", and put each word before its numbers"
        if points != values:
            remedy += " and each ',' with a point"
        single = [" ".join(row).replace(",", ".").encode() for row in table]
        if _names_columns(single[0], width - 1, single[1:]):
            remedy += ", and remove line 1"
        return what, remedy
    return None


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
