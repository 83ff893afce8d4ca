"""What an inspection finds: each kind once, with its severity, count, examples and remedy."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from textwrap import fill
from typing import Any, Literal

from ..errors import Either, Option, PythonForm, Text, VectorFileError

__all__ = ["PYTHON", "SHOWN", "Finding", "Severity", "Tally", "finding_from", "quoted"]

Severity = Literal["note", "warning", "error"]
PYTHON = PythonForm()
SHOWN = 5  # examples kept of each finding
WIDTH = 96  # of a line
LONGEST = 40  # characters shown of a word
_NOT_FROM_BYTES = re.compile("[\ud800-\udc7f\udd00-\udfff]")


@dataclass(frozen=True)
class Finding:
    """One thing that is odd about a vector file.

    Attributes:
        severity: `error` if `load_vectors` refuses the file; `warning` if it reads the file, but
            rows or words are probably not as intended, or other readers fail; `note` for anything
            else worth knowing.
        code: a name for programs, such as `duplicates`.
        count: the number of words, rows or lines that it is about.
        what: what is odd.
        remedy: what to do about it.
        examples: the first few, with their line or row.
        where: the place in the file, if it is about a single one, such as `file:line`.
    """

    severity: Severity
    code: str
    count: int
    what: Text
    remedy: Text
    examples: tuple[str, ...] = ()
    where: str | None = None

    def message(self, form: PythonForm = PYTHON) -> str:
        """Return what is odd, and where, as text."""
        what = form.render(self.what)
        return what if self.where is None else f"{self.where}: {what}"

    def to_dict(self, form: PythonForm = PYTHON) -> dict[str, Any]:
        """Return the finding as plain values, ready for JSON."""
        return {
            "severity": self.severity,
            "code": self.code,
            "count": self.count,
            "message": self.message(form),
            "remedy": form.render(self.remedy),
            "examples": list(self.examples),
        }

    def render(self, form: PythonForm) -> str:
        """Return the finding as lines of text."""
        text = f"{self.severity}: {self.message(form)}"
        if self.examples:
            more = ", ..." if self.count > len(self.examples) else ""
            text += f": {self.count:,}, {', '.join(self.examples)}{more}"
        remedy = f"  {form.render(self.remedy)}"
        if not _has_command(self.remedy):  # a command is pasted from one line
            remedy = _wrapped(remedy.strip(), "  ", "  ")
        return f"{_wrapped(text, '', '    ')}\n{remedy}"

    def __str__(self) -> str:
        return self.render(PYTHON)


def _has_command(remedy: Text) -> bool:
    """Return whether a remedy has a call for Python and a command in its place."""
    return isinstance(remedy, Either) or (
        isinstance(remedy, tuple) and any(map(_has_command, remedy))
    )


def _wrapped(text: str, first: str, others: str) -> str:
    return fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
        break_long_words=False,
    )


@dataclass
class Tally:
    """A count with the first few examples of what was counted.

    Attributes:
        count: the number of things counted.
        examples: a description of each of the first few.
        first_line: the line of the first; 0 if none was counted, or without lines.
    """

    count: int = 0
    examples: list[str] = field(default_factory=list)
    first_line: int = 0

    def add(self, example: str, line: int = 0) -> None:
        """Count one more."""
        self.first_line = self.first_line or line
        self.count += 1
        if len(self.examples) < SHOWN:
            self.examples.append(example)

    def merge(self, later: Tally) -> None:
        """Add the count of a later part of the file."""
        self.first_line = self.first_line or later.first_line
        self.count += later.count
        self.examples += later.examples[: SHOWN - len(self.examples)]

    def finding(self, severity: Severity, code: str, what: Text, remedy: Text) -> list[Finding]:
        """Return the finding in a list, which is empty if nothing was counted."""
        if not self.count:
            return []
        return [Finding(severity, code, self.count, what, remedy, tuple(self.examples))]


def quoted(word: str) -> str:
    """Return a word as a short quoted string, or as quoted bytes if it is not UTF-8."""
    shown = word if len(word) <= LONGEST else word[: LONGEST - 3]
    more = "" if shown is word else "..."
    try:
        shown.encode()
    except UnicodeEncodeError:
        errors = "surrogatepass" if _NOT_FROM_BYTES.search(shown) else "surrogateescape"
        return repr(shown.encode("utf-8", errors)) + more
    return repr(shown) + more


def finding_from(error: VectorFileError, code: str, file: str) -> Finding:
    """Return the error that a loader raised as a finding.

    Args:
        error: the error.
        code: the code of the finding.
        file: the name of the inspected file; the finding does not repeat it.
    """
    what = error.what
    if error.option is not None:
        parts = what if isinstance(what, tuple) else (what,)
        what = (Option(error.option, error.value), " ", *parts)
    where = None if error.where is None else os.fspath(error.where)
    remedy = "fetch the file again" if error.remedy is None else error.remedy
    return Finding("error", code, 1, what, remedy, where=None if where == file else where)
