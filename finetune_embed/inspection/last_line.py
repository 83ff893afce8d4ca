"""What is odd about the last line of a text file of vectors, where it has no newline."""

from __future__ import annotations

from ..formats.common.text_end import CUT_SHORT, UNCLOSED, why_cut_short
from .findings import Finding, quoted

__all__ = ["last_line_findings"]


def last_line_findings(before: bytes, line: bytes, size: int) -> list[Finding]:
    """Return what is odd about a last line that does not end with a newline.

    Args:
        before: the lines before it.
        line: the line; a newline was added.
        size: the number of values in a line.
    """
    last = line.rstrip(b"\r\n ").split(b" ")
    if len(last) <= size:
        return []  # a short line, which is a finding itself
    why = why_cut_short(before, line, size)
    if not why:
        return [
            Finding(
                "note",
                "unclosed",
                1,
                UNCLOSED,
                "if the file was cut short there, its last number is wrong; compare the size of "
                "the file with its source",
            )
        ]
    return [
        Finding(
            "warning",
            CUT_SHORT,
            1,
            why,
            "compare the size of the file with its source, and fetch it again",
            (quoted(last[-1].decode("utf-8", "replace")),),
        )
    ]
