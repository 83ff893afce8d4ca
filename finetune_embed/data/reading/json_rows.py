"""The examples of JSON Lines, and of a JSON file that is one array."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .json_checks import check_cells, check_nesting, check_rows, refuse_constant

if TYPE_CHECKING:
    import polars as pl

__all__ = ["array_frame", "lines_frame"]

_MARK = re.compile(r"\s*([^\s])\s*")


def lines_frame(data: bytes, path: Path, before: int = 0) -> pl.DataFrame:
    """Return the examples of JSON Lines.

    Args:
        data: the lines, as UTF-8; blank ones hold none.
        path: the file.
        before: the number of lines of the file before these.

    Raises:
        DataError: a value was changed, an example has a key twice, or it takes too much memory.
    """
    return _frame(data, path, lambda number: f"{path}:{before + number + 1}")


def array_frame(file: BinaryIO, path: Path) -> pl.DataFrame:
    """Return the examples of a file that is one array; see `lines_frame`.

    Raises:
        ValueError: it is not a whole array.
    """
    text = file.read().decode()
    lines = b"\n".join(one.replace("\n", " ").encode() for one in _items(text))
    return _frame(lines, path, lambda number: f"{path}[{number}]")


def _frame(data: bytes, path: Path, place: Callable[[int], str]) -> pl.DataFrame:
    import polars as pl

    def lines() -> Iterator[tuple[str, bytes]]:
        for number, line in enumerate(io.BytesIO(data)):
            if line.strip():
                yield place(number), line

    check_nesting(data, lines(), path)
    schema = pl.scan_ndjson(data, infer_schema_length=None).collect_schema()
    check_cells(len(schema) * (1 + data.count(b"\n")), len(data), path)
    frame = pl.read_ndjson(data, schema=schema)
    check_rows(frame, data, lines)
    return frame


def _items(text: str) -> Iterator[str]:
    """Yield the items of a JSON array as they are written.

    Raises:
        ValueError: it is not an array of objects.
    """
    decoder = json.JSONDecoder(parse_constant=refuse_constant)

    def after(mark: str, at: int) -> int:
        found = _MARK.match(text, at)
        if found is None or found.group(1) not in mark:
            raise ValueError(f"there is no {' or '.join(mark)} at character {at:,}")
        return found.end()

    at = after("[", 0)
    is_last = text[at : at + 1] == "]"
    at += is_last
    while not is_last:
        start = at
        item, end = decoder.raw_decode(text, start)
        if not isinstance(item, dict):
            raise ValueError(f"an item is not an object: {text[start:end][:40]!r}")
        yield text[start:end]
        at = after(",]", end)
        is_last = text[end:at].strip() == "]"
    if text[at:].strip():
        raise ValueError(f"there is more after the array, at character {at:,}")
