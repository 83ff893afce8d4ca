"""The words of a table: duplicates, odd characters, and their case."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .findings import Finding, Severity, Tally, quoted
from .scan import Scan

__all__ = ["Case", "case_of", "findings_of_words"]

_BYTES = "\udc80-\udcff"
_SPACES = "\t\n\v\f\r\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_CONTROLS = "\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"
_INVISIBLE = "\xad\u200b\u200e\u200f\u2060\ufeff"
_ODD = re.compile(f"[ {_SPACES}{_CONTROLS}{_INVISIBLE}{_BYTES}]")
_DECIMAL = re.compile(r" [-+]?(?:\d+\.\d*|\.\d+|\d+(?:\.\d*)?[eE][-+]?\d+)(?: |$)")

#: What odd characters make of a word: code, severity, pattern, message, cure.
_KINDS: tuple[tuple[str, Severity, re.Pattern[str], str, str], ...] = (
    (
        "swallowed_numbers",
        "warning",
        _DECIMAL,
        "words with numbers in them, of lines with more numbers than the others",
        "look at these lines: a line end is missing there, or the vector is too long",
    ),
    (
        "spaces",
        "warning",
        re.compile(" "),
        "words with spaces in them",
        "keep the table with save_safetensors(table, path): word2vec files can't hold them, and "
        "readers that split at the left fail",
    ),
    (
        "white_space",
        "warning",
        re.compile(f"[{_SPACES}]"),
        "words with white space other than a space in them, such as a no-break space",
        "keep the table with save_safetensors(table, path): readers that split at any white space "
        "fail",
    ),
    (
        "control_characters",
        "warning",
        re.compile(f"[{_CONTROLS}]"),
        "words with control characters in them",
        "drop them, table.subset(words_to_keep): no text has them, and the file may be damaged",
    ),
    (
        "not_utf8",
        "warning",
        re.compile(f"[{_BYTES}]"),
        "words that are not UTF-8",
        "convert the file to UTF-8 from its own encoding, or drop them, "
        "table.subset(words_to_keep): they are kept byte by byte, but no text has them",
    ),
    (
        "invisible_characters",
        "note",
        re.compile(f"[{_INVISIBLE}]"),
        "words with invisible characters in them, such as a zero-width space",
        "leave them: a text finds them only with the same characters",
    ),
)


def findings_of_words(scan: Scan) -> list[Finding]:
    """Return what is odd about words."""
    found = _duplicates(scan)
    empty = Tally()
    for row, word in enumerate(scan.words):
        if not word:
            empty.add(scan.place(row))
    found += empty.finding("warning", "empty_words", "empty words", "drop them: no text has them")
    odd = [(row, word) for row, word in enumerate(scan.words) if _ODD.search(word)]
    for code, severity, pattern, message, cure in _KINDS:
        tally = Tally()
        if code == "swallowed_numbers" and scan.dtype != "text":
            continue
        for row, word in odd:
            if pattern.search(word) and not (code == "spaces" and _swallowed(scan, word)):
                tally.add(f"{quoted(word)} ({scan.place(row)})")
        found += tally.finding(severity, code, message, cure)
    return found


def _swallowed(scan: Scan, word: str) -> bool:
    """Tell a word that has taken in numbers of a line with too many."""
    return scan.dtype == "text" and _DECIMAL.search(word) is not None


def _duplicates(scan: Scan) -> list[Finding]:
    tally = Tally(scan.duplicates)
    words = scan.words
    if len(set(words)) < len(words):
        first: dict[str, int] = {}
        for row, word in enumerate(words):
            if (before := first.setdefault(word, row)) != row:
                again = f"{scan.unit} {scan.places[row]:,} after {scan.places[before]:,}"
                tally.add(f"{quoted(word)} ({again})")
    if scan.source_format == "safetensors":  # whose words are looked at when one is looked up
        cure = "write the table anew, each word once; as it is, no word of it can be looked up"
        return tally.finding("error", "duplicates", "rows of words that stood there before", cure)
    return tally.finding(
        "warning",
        "duplicates",
        "rows of words that stood there before",
        "write the table anew, without them, if the first of each is right: it is the one taken",
    )


@dataclass(frozen=True)
class Case:
    """How many words are of which case.

    Attributes:
        lower: `word`.
        capitalised: `Word`, and single letters such as `A`.
        upper: `WORD`.
        mixed: `wOrd`, `McDonald`.
        uncased: `42`, `...`, and words of scripts without case.
    """

    lower: int
    capitalised: int
    upper: int
    mixed: int
    uncased: int

    @property
    def profile(self) -> str:
        """`all lower`, `mixed`, or `no case`."""
        if self.capitalised or self.upper or self.mixed:
            return "mixed"
        return "all lower" if self.lower else "no case"

    def __str__(self) -> str:
        counts = {
            "lower case": self.lower,
            "capitalised": self.capitalised,
            "upper case": self.upper,
            "mixed": self.mixed,
            "without case": self.uncased,
        }
        total = max(1, sum(counts.values()))
        shares = [f"{count / total:.1%} {name}" for name, count in counts.items() if count]
        return f"{self.profile}" + (f" ({', '.join(shares)})" if shares else "")


def case_of(words: list[str]) -> Case:
    """Return how many words are of which case."""
    counts = dict.fromkeys(("capitalised", "upper", "mixed", "uncased"), 0)
    others = [word for word in words if not word.islower()]
    for word in others:
        if word.lower() == word.upper():
            counts["uncased"] += 1
        elif word.isupper() and sum(map(str.isalpha, word)) > 1:
            counts["upper"] += 1
        elif word[1:] == word[1:].lower() and word[0].isupper():
            counts["capitalised"] += 1
        else:
            counts["mixed"] += 1
    return Case(lower=len(words) - len(others), **counts)
