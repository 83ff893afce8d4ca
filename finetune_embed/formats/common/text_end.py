"""The last line of a text file of vectors, where it has no newline: it may be cut short."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["CUT_SHORT", "UNCLOSED", "why_cut_short"]

CUT_SHORT = "cut_short"  # the metadata that say why a file was probably cut short
UNCLOSED = "the last line does not end with a newline"
SAMPLE = 1 << 16  # bytes before the line
RARE = 0.02  # share of numbers with as few digits, below which a number is probably cut short


def why_cut_short(before: bytes, line: bytes, size: int) -> str:
    """Return why a last line was probably cut short within its last number; empty if nothing says.

    Args:
        before: the lines before it.
        line: a word and all numbers; a newline was added.
        size: the number of values in a line.
    """
    lines = [one.rstrip(b"\r") for one in before[-SAMPLE:].split(b"\n")[1:-1]]
    sign = _sign_of_cut(lines, line[:-1], size)
    if not sign:
        return ""
    return f"{UNCLOSED}, and {sign}, so it was probably cut short within its last number"


def _sign_of_cut(lines: Sequence[bytes], line: bytes, size: int) -> str:
    """Return what shows that the last number of a line is cut short; empty if nothing does."""
    if len(lines) > 1 and all(one.endswith(b" ") for one in lines) and not line.endswith(b" "):
        return "has no space at its end, unlike the others"
    rows = [*lines, line]
    numbers = [_digits(one) for row in rows for one in row.rstrip().split(b" ")[-size:]]
    digits, decimals = numbers.pop()
    has_few = [a <= digits and b <= decimals for a, b in numbers]
    own = has_few[len(has_few) - size + 1 :]
    share = (sum(has_few) + 1) / (len(has_few) + 1)
    if share > RARE or 2 * sum(own) > len(own) or decimals >= max(b for _, b in numbers):
        return ""
    return f"its last number has fewer digits than {1 - share:.1%} of those before it"


def _digits(number: bytes) -> tuple[int, int]:
    """Return the number of digits of a decimal without leading zeros, and of those after the point.

    A number with an exponent, or `nan`, counts as one of many digits.
    """
    whole, point, decimals = number.lstrip(b"-+").partition(b".")
    if not (whole + decimals).isdigit():
        return 99, 99
    return len((whole + decimals).lstrip(b"0")), len(decimals) if point else 0
