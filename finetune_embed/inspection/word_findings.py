"""What is odd about the words of a table: duplicates and unusual characters."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..errors import Text
from .findings import Finding, Severity, Tally, quoted
from .remedies import REMOVE_WORDS, WRITE_SAFETENSORS
from .scan import Scan

__all__ = ["word_findings"]

_BYTES = "\udc80-\udcff"
_SPACES = "\t\n\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CONTROLS = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
_INVISIBLE = "\xad\u200b\u200e\u200f\u2060\ufeff"
_ODD = re.compile(f"[ {_SPACES}{_CONTROLS}{_INVISIBLE}{_BYTES}]")
_DECIMAL = re.compile(r" [-+]?(?:\d+\.\d*|\.\d+|\d+(?:\.\d*)?[eE][-+]?\d+)(?: |$)")


class OddWords(NamedTuple):
    """A kind of words with unusual characters.

    Attributes:
        code: the code of the finding.
        severity: its severity.
        pattern: what such words contain.
        what: what is odd about them.
        remedy: what to do about it.
    """

    code: str
    severity: Severity
    pattern: re.Pattern[str]
    what: str
    remedy: Text


SWALLOWED_NUMBERS = OddWords(
    "swallowed_numbers",
    "warning",
    _DECIMAL,
    "words that contain numbers, from lines with too many numbers",
    "check these lines: a line end is missing, or the vector is too long",
)
SPACES = OddWords(
    "spaces",
    "warning",
    re.compile(" "),
    "words that contain spaces, which word2vec files can't hold and many readers misread",
    ("keep the table in a safetensors file: ", WRITE_SAFETENSORS),
)
OTHERS = (
    OddWords(
        "white_space",
        "warning",
        re.compile(f"[{_SPACES}]"),
        "words that contain white space other than a space, which readers that split at any white "
        "space misread",
        ("keep the table in a safetensors file: ", WRITE_SAFETENSORS),
    ),
    OddWords(
        "control_characters",
        "warning",
        re.compile(f"[{_CONTROLS}]"),
        "words that contain control characters, which texts don't have",
        ("fetch the file again in case it is damaged, or remove them: ", REMOVE_WORDS),
    ),
    OddWords(
        "not_utf8",
        "warning",
        re.compile(f"[{_BYTES}]"),
        "words that are not UTF-8, so no text has them",
        ("convert the file from its encoding to UTF-8, or remove them: ", REMOVE_WORDS),
    ),
    OddWords(
        "invisible_characters",
        "note",
        re.compile(f"[{_INVISIBLE}]"),
        "words that contain invisible characters, such as a zero-width space",
        "leave them: they match only texts with the same characters",
    ),
)


def word_findings(scan: Scan) -> list[Finding]:
    """Return what is odd about words."""
    found = _duplicates(scan)
    empty = Tally()
    for row, word in enumerate(scan.words):
        if not word:
            empty.add(scan.place(row))
    found += empty.finding(
        "warning",
        "empty_words",
        "empty words, which no text has",
        ("remove them: ", REMOVE_WORDS),
    )
    odd = {row: word for row, word in enumerate(scan.words) if _ODD.search(word)}
    spaced = odd
    if scan.dtype == "text":
        swallowed = {row: word for row, word in odd.items() if _DECIMAL.search(word)}
        spaced = {row: word for row, word in odd.items() if row not in swallowed}
        found += _matching(scan, SWALLOWED_NUMBERS, swallowed)
    found += _matching(scan, SPACES, spaced)
    for kind in OTHERS:
        found += _matching(scan, kind, odd)
    return found


def _matching(scan: Scan, kind: OddWords, words: dict[int, str]) -> list[Finding]:
    """Return the finding of the words of a kind, given by their row."""
    tally = Tally()
    for row, word in words.items():
        if kind.pattern.search(word):
            tally.add(f"{quoted(word)} ({scan.place(row)})")
    return tally.finding(kind.severity, kind.code, kind.what, kind.remedy)


def _duplicates(scan: Scan) -> list[Finding]:
    tally = Tally(scan.duplicates)
    words = scan.words
    if len(set(words)) < len(words):
        first: dict[str, int] = {}
        for row, word in enumerate(words):
            if (earlier := first.setdefault(word, row)) != row:
                places = f"{scan.unit} {scan.places[row]:,} after {scan.places[earlier]:,}"
                tally.add(f"{quoted(word)} ({places})")
    if scan.source_format == "safetensors":  # read in place, so the loader does not drop them
        return tally.finding(
            "error",
            "duplicates",
            "rows that repeat an earlier word, so no word can be looked up",
            "write the table again, each word once",
        )
    return tally.finding(
        "warning",
        "duplicates",
        "rows that repeat an earlier word, and are left out",
        ("write the table again without them: ", WRITE_SAFETENSORS),
    )
