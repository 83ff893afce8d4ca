"""Helpers of the tests of this folder."""

from __future__ import annotations

from finetune_embed.inspection import Finding, inspect

SOUND = b"".join(b"w%d 1 2\n" % i for i in range(9))


def findings(path) -> dict[str, Finding]:
    """Return the findings of a file by code; each code stands once."""
    report = inspect(path)
    found = {finding.code: finding for finding in report.findings}
    assert len(found) == len(report.findings)
    return found


def lines(words: list[str]) -> bytes:
    return "".join(f"{word} 1 {i % 7 + 1}\n" for i, word in enumerate(words)).encode()
