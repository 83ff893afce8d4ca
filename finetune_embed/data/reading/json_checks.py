"""Checks that texts read from JSON are what the file holds.

polars turns a list or an object among texts into a text, and half of a surrogate pair into a NUL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["check_array", "check_lines"]

#: Texts that may come from a list, an object or half of a surrogate pair.
_SUSPICIOUS = r"^\s*[\[{]|\x00"


def check_lines(frame: pl.DataFrame, lines: Iterable[bytes], path: Path, before: int = 0) -> None:
    """Check the examples of a JSON Lines file.

    Args:
        frame: the examples that were read.
        lines: the lines they were read from; blank ones hold none.
        path: the file.
        before: the number of lines of the file before these.

    Raises:
        DataError: a value was changed; the message names the first.
    """
    suspicious = _suspicious(frame)
    if suspicious is not None:
        numbered = ((number, line) for number, line in enumerate(lines, before + 1) if line.strip())
        _check(frame, suspicious, ((f"{path}:{number}", line) for number, line in numbered))


def check_array(frame: pl.DataFrame, data: bytes, path: Path) -> None:
    """Check the examples of a JSON file that is one array; see `check_lines`."""
    suspicious = _suspicious(frame)
    if suspicious is not None:
        examples = enumerate(json.loads(data))
        _check(frame, suspicious, ((f"{path}[{number}]", example) for number, example in examples))


def _suspicious(frame: pl.DataFrame) -> pl.DataFrame | None:
    """Return which texts, and lists of texts, may have been changed; None if none was."""
    import polars as pl

    texts = pl.col(pl.String).str.contains(_SUSPICIOUS)
    words = pl.col(pl.List(pl.String)).list.eval(pl.element().str.contains("\x00")).list.any()
    found = frame.select(texts, words).fill_null(value=False)
    return found if any(column.any() for column in found) else None


def _check(
    frame: pl.DataFrame, suspicious: pl.DataFrame, examples: Iterable[tuple[str, Any]]
) -> None:
    """Compare suspicious values with the file.

    Args:
        frame: the examples that were read.
        suspicious: which of their values to compare.
        examples: where each example is in the file, and its value or its JSON as bytes.

    Raises:
        DataError: a value was changed; the message names the first.
    """
    import polars as pl

    for (place, example), flags in zip(examples, suspicious.iter_rows(named=True), strict=False):
        names = [name for name, flag in flags.items() if flag]
        values = json.loads(example) if names and isinstance(example, bytes) else example
        for name in names:
            value = values.get(name)
            if not isinstance(value, str) and frame.schema[name] == pl.String:
                raise DataError(
                    f"{name!r} is {value!r}, but a text in other examples",
                    where=place,
                    value=value,
                    remedy="write texts in all of them, or lists in all",
                )
            if re.search("[\ud800-\udfff]", "".join(map(str, value))):
                raise DataError(
                    f"{name!r} has half of a surrogate pair, as of an emoji that was cut in two: "
                    f"{value!r}",
                    where=place,
                    value=value,
                    remedy="write the text again",
                )
