"""Names what lines are that are not rows of vectors, by what most of them look like.

Each function returns what they are and a remedy, or None.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence

from ...errors import Text
from .text_rows import DECIMAL, NUMBER, names_columns, quoted, usual_size

__all__ = [
    "brackets",
    "decimal_commas",
    "delimited",
    "message",
    "several_spaces",
    "sparse",
]

_DECIMAL_COMMA = re.compile(rb".* [-+]?\d+,\d+(?: .*)?")
_OPENING = re.compile(rb"\s*[{\[][\s{\[]*")  # the first line of JSON with indents
_PAIR = re.compile(rb"\d+:[-+.\deE]+")
_COMMA = re.compile(rb"[-+]?\d+(?:,\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)


def sparse(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    """Name pairs of a position and a value."""
    pairs = [row for row in rows if all(map(_PAIR.fullmatch, row.split(b" ")[1:])) and b" " in row]
    if 2 * len(pairs) <= len(rows):
        return None
    return (
        f"these are sparse vectors, pairs of a position and a value, as in {quoted(pairs[0])}",
        "write all values of each row, zeros included",
    )


def brackets(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    """Name JSON, and lists of numbers with brackets and commas."""
    is_spread = bool(_OPENING.fullmatch(rows[0])) and b",".join(rows[1:]).count(b",") > 2
    if not is_spread and sum(b"[" in row and b"," in row for row in rows) * 2 <= len(rows):
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


def several_spaces(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    """Name fields with several spaces between them, or lines that start with a space."""
    single = [b" ".join(filter(None, row.split(b" "))) for row in rows]
    if 2 * sum(a != b for a, b in zip(single, rows, strict=True)) <= len(rows):
        return None
    usual = usual_size(single)
    if not usual:
        return None
    remedy = "write single spaces: sed -E 's/^ +//; s/ +/ /g' FILE > NEW_FILE"
    what = f"several spaces, not one, are between or before the fields, as in {quoted(rows[-1])}"
    if names_columns(single[0], usual, single[1:]):
        remedy = (
            "write single spaces and leave line 1 out: "
            "sed -E '1d; s/^ +//; s/ +/ /g' FILE > NEW_FILE"
        )
        what += ", and line 1 names columns"
    return what, remedy


def decimal_commas(rows: Sequence[bytes]) -> tuple[str, Text] | None:
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


def message(rows: Sequence[bytes]) -> tuple[str, Text] | None:
    """Name one or two short lines of words, such as a server's answer."""
    text = b" ".join(rows)
    fields = text.split()
    numbers = sum(map(bool, map(NUMBER.fullmatch, fields)))
    if len(rows) > 2 or len(text) > 500 or 2 * numbers >= len(fields) or re.search(rb"[\[{]", text):
        return None
    if any(map(DECIMAL.fullmatch, fields)):
        return None
    return (
        f"this is not vectors but a message: {quoted(text)}",
        "download the file again; check the address, and that you may read it",
    )


def delimited(rows: Sequence[bytes]) -> tuple[str, Text] | None:
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
        is_decimal = any(map(DECIMAL.fullmatch, numbers))
        if not all(map(NUMBER.fullmatch, numbers)) or (width == 2 and not is_decimal):
            return what, "pass it as the data set if it is one, and a file of vectors here"
        remedy = f"replace each {mark!r} with a space"
        if all(DECIMAL.fullmatch(row[0].encode()) for row in table):
            what += ", and there are no words"
            remedy += ", and put each word before its numbers"
        if points != values:
            remedy += " and each ',' with a point"
        single = [" ".join(row).replace(",", ".").encode() for row in table]
        if names_columns(single[0], width - 1, single[1:]):
            remedy += ", and remove line 1"
        return what, remedy
    return None
