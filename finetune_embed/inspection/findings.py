"""What the doctor finds: each thing once, with its severity, examples and a cure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from textwrap import fill
from typing import Literal

from ..errors import VectorFileError

__all__ = ["SHOWN", "Finding", "Severity", "Tally", "quoted", "refusal"]

Severity = Literal["note", "warning", "error"]
SHOWN = 5  # examples that are kept of each finding
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
WIDTH = 96  # of a line
LONGEST = 40  # characters of a word that are shown


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about a vector file.

    Attributes:
        severity: `error`, `load_vectors` refuses the file as it is; `warning`, it is read, but
            rows or words are hardly what was meant, or other readers stumble over them; `note`,
            good to know.
        code: a name for programs, such as `duplicates`.
        count: how many words, rows or lines it is true of.
        message: what it is.
        cure: what to do about it, in one clause.
        examples: the first few, with their line or row.
    """

    severity: Severity
    code: str
    count: int
    message: str
    cure: str
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.severity}: {self.message}"
        if self.examples:
            more = ", ..." if self.count > len(self.examples) else ""
            text += f": {self.count:,}, {', '.join(self.examples)}{more}"
        return f"{_wrapped(text, '', '    ')}\n{_wrapped(self.cure, '  ', '  ')}"


def _wrapped(text: str, first: str, others: str) -> str:
    return fill(text, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False)


@dataclass
class Tally:
    """A count, and the first few examples of what was counted."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """Count one more."""
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(example)

    def merge(self, later: Tally) -> None:
        """Count what another has counted further on in the file."""
        self.count += later.count
        self.examples += later.examples[: SHOWN - len(self.examples)]

    def finding(self, severity: Severity, code: str, message: str, cure: str) -> list[Finding]:
        """Return the finding, or none where nothing was counted."""
        if not self.count:
            return []
        return [Finding(severity, code, self.count, message, cure, tuple(self.examples))]


def quoted(word: str) -> str:
    """Return a word as a short quoted string, of bytes where it is not UTF-8."""
    shown = word if len(word) <= LONGEST else word[: LONGEST - 3]
    more = "" if shown is word else "..."
    try:
        shown.encode()
    except UnicodeEncodeError:
        errors = "surrogatepass" if _LONE.search(shown) else "surrogateescape"
        return repr(shown.encode("utf-8", errors)) + more
    return repr(shown) + more


def refusal(code: str, error: VectorFileError, name: str) -> Finding:
    """Return what a loader said about a file as a finding: its message, and its cure."""
    what, _, cure = str(error).removeprefix(name).rpartition("; ")
    what = re.sub(r"^:(\d+): ", r"line \1: ", what).lstrip(": ")
    return Finding("error", code, 1, what or cure, cure if what else "fetch the file again")
