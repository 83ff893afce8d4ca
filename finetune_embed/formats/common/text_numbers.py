"""Parses numbers in text that are not plain digits, and finds the ones that are not numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal
from functools import partial

import numpy as np

from ...errors import VectorFileError
from ...files import Source
from ...table import Vectors
from .kernels import TextRows
from .text_blocks import Block
from .text_rows import MISSING, leave_out, quoted

__all__ = ["parse_leftovers", "parse_numbers"]

_TOO_LARGE = Decimal(2**128 - 2**103)  # halfway from the largest float32 to the next power of 2


def parse_leftovers(parsed: TextRows, block: Block, source: Source) -> None:
    """Parse the lines of a block that have numbers of more than plain digits.

    Raises:
        VectorFileError: one is not a number.
    """
    if parsed.leftovers:
        texts = [block.data[start:stop] for _, start, stop in parsed.leftovers]
        rows = [row for row, _, _ in parsed.leftovers]

        def line_of(position: int) -> int:
            return block.line + block.data.count(b"\n", 0, parsed.leftovers[position][1])

        parsed.vectors[rows] = _numbers(texts, source, line_of)


def _numbers(texts: list[bytes], source: Source, line_of: Callable[[int], int]) -> Vectors:
    """Parse the number fields of lines as `(lines, D)`, each correctly rounded to float32."""
    import polars as pl
    from polars.exceptions import PolarsError

    size = texts[0].count(b" ") + 1
    try:
        frame = pl.read_csv(
            b"\n".join([b" ".join([b"0"] * size), *texts]),  # zeros first: never like gzip
            has_header=False,
            separator=" ",
            schema={str(column): pl.Float32 for column in range(size)},
            quote_char=None,
            encoding="utf8-lossy",
        )
        if len(frame) == len(texts) + 1 and not any(frame.null_count().row(0)):
            vectors: Vectors = frame[1:].to_numpy()
            infinite = np.argwhere(np.isinf(vectors)).tolist()
            if all(_is_infinity(texts[row].split(b" ")[at]) for row, at in infinite):
                return vectors
    except PolarsError:
        pass
    parsed = [parse_numbers(text, source, partial(line_of, i)) for i, text in enumerate(texts)]
    return np.array(parsed, np.float32)


def parse_numbers(text: bytes, source: Source, line: Callable[[], int]) -> list[np.float32]:
    """Parse the numbers of one line, slowly; an error names the field.

    Raises:
        VectorFileError: a field is not a number, or is too large for float32.
    """
    numbers = []
    for position, field in enumerate(text.split(b" "), 1):
        try:
            if b"_" in field:
                raise ValueError
            number = _nearest_float32(field)
        except ValueError:
            raise _bad_number(f"{source.name}:{line()}", position, field, "not a number") from None
        if math.isinf(number) and not _is_infinity(field):
            raise _bad_number(f"{source.name}:{line()}", position, field, "too large for float32")
        numbers.append(number)
    return numbers


def _bad_number(where: str, position: int, field: bytes, why: str) -> VectorFileError:
    """Return the error for a number field, with the field's text as its value."""
    text = field.decode("utf-8", "replace")
    is_missing = field in MISSING
    return VectorFileError(
        f"value {position} of the vector is {quoted(field)}, which "
        + ("stands for a missing number" if is_missing else f"is {why}"),
        where=where,
        value=text,
        remedy=leave_out(text) if is_missing else "correct the line or remove it",
    )


def _is_infinity(field: bytes) -> bool:
    """Return whether an infinite number is written as `inf` or `Infinity`, not in digits."""
    return b"n" in field.lower()


def _nearest_float32(field: bytes) -> np.float32:
    """Return the float32 nearest to a decimal.

    A decimal rounded to a double first can round to the wrong float32.
    """
    value = float(field)
    with np.errstate(over="ignore", under="ignore"):
        number = np.float32(value)
        other = np.nextafter(number, np.float32(math.inf if value > number else -math.inf))
    if (
        math.isfinite(value)
        and math.isinf(number)
        and Decimal(field.decode()).copy_abs() < _TOO_LARGE
    ):
        return np.float32(other)  # the largest float32
    if math.isfinite(value) and value - float(number) == float(other) - value:  # halfway
        exact = Decimal(field.decode().strip())
        if exact != Decimal(value):
            return np.float32(math.nextafter(value, math.inf if exact > value else -math.inf))
    return number
