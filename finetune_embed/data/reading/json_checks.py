"""Checks of JSON: that its examples are what the file holds, and what they take in memory.

polars turns a list or an object among texts into a text, half of a surrogate pair into a NUL, and
takes the last of two values with the same key. It keeps a value for each example and each key that
any of them has, also of nested objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError

if TYPE_CHECKING:
    import polars as pl

__all__ = ["check_cells", "check_nesting", "check_rows", "refuse_constant"]

DEPTH = 32  # of lists and objects in each other
CELLS = 1 << 20  # of a small file
CELLS_OF_A_BYTE = 16
WIDE = 32  # columns, above which it is faster to parse each line than to count each key

#: Texts that may come from a list, an object or half of a surrogate pair.
_SUSPICIOUS = r"^\s*[\[{]|\x00"
#: Where an object, or a list in a list, may begin inside of an example.
_NESTED = re.compile(rb"[\[,:]\s*\{|[\[,]\s*\[")

#: Lines of JSON that hold an example, each with its place.
Lines = Iterable[tuple[str, bytes]]


def refuse_constant(constant: str) -> None:
    """Refuse NaN and Infinity, which Python writes."""
    raise ValueError(f"{constant} is not JSON; write null for a missing value")


def check_cells(cells: int, size: int, path: Path) -> None:
    """Check that the number of examples times that of keys is not too large for a file.

    Args:
        cells: the product.
        size: the bytes of text that hold them.
        path: the file.

    Raises:
        DataError: it is.
    """
    if cells > max(CELLS, CELLS_OF_A_BYTE * size):
        raise DataError(
            f"the examples have so many different keys that {size:,} bytes make {cells:,} values",
            where=path,
            remedy="give all examples the same keys",
        )


def check_nesting(data: bytes, lines: Lines, path: Path) -> None:
    """Check what nested lists and objects take in memory, before they are parsed into columns.

    Args:
        data: the text.
        lines: its lines.
        path: the file.

    Raises:
        DataError: they are too deep, or objects have too many different keys.
        ValueError: a line is not JSON.
    """
    if b"[" not in data and data.count(b"{") <= data.count(b"\n{") + 1:
        return
    keys: set[str] = set()
    objects = data.count(b"\n") + 1
    for place, line in lines:
        if not _NESTED.search(line):
            continue
        depth = 0
        try:
            level = [json.loads(line)]
        except RecursionError:
            level, depth = [], DEPTH + 1
        while level:
            depth += 1
            found = [one for one in level if isinstance(one, dict)]
            objects += len(found)
            keys.update(*found)
            inner = [value for one in found for value in one.values()]
            inner += [value for one in level if isinstance(one, list) for value in one]
            level = [value for value in inner if isinstance(value, (dict, list))]
        if depth > DEPTH:
            raise DataError(
                f"lists and objects are nested more than {DEPTH} deep here, which is not read",
                where=place,
            )
    check_cells(len(keys) * objects, len(data), path)


def check_rows(frame: pl.DataFrame, data: bytes, lines: Callable[[], Lines]) -> None:
    """Check the examples that were read.

    Args:
        frame: the examples.
        data: the text they were read from.
        lines: returns its lines.

    Raises:
        DataError: a value was changed, or a key is there twice; the message names the first.
    """
    keys = [_written(name) for name in frame.columns]
    counted = () if len(keys) > WIDE else zip(keys, frame.null_count().row(0), strict=True)
    if len(keys) > WIDE or any(
        sum(map(data.count, key)) != len(frame) - nulls for key, nulls in counted
    ):
        for place, line in lines():
            if len(keys) > WIDE or any(sum(map(line.count, key)) > 1 for key in keys):
                _check_keys(line, place)
    suspicious = _suspicious(frame)
    if suspicious is not None:
        _check_values(frame, suspicious, lines())


def _written(name: str) -> set[bytes]:
    """Return the ways in which a key is usually written."""
    return {json.dumps(name, ensure_ascii=is_ascii).encode() for is_ascii in (True, False)}


def _check_keys(line: bytes, place: str) -> None:
    """Check that an example has no key twice.

    Raises:
        DataError: it has.
    """
    names = [name for name, _ in json.loads(line, object_pairs_hook=list)]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"the key {twice[:60]!r} is there twice",
            where=place,
            value=twice,
            remedy="give each value a key of its own",
        )


def _suspicious(frame: pl.DataFrame) -> pl.DataFrame | None:
    """Return which texts, and lists of texts, may have been changed; None if none was."""
    import polars as pl

    texts = pl.col(pl.String).str.contains(_SUSPICIOUS)
    words = pl.col(pl.List(pl.String)).list.eval(pl.element().str.contains("\x00")).list.any()
    found = frame.select(texts, words).fill_null(value=False)
    return found if any(column.any() for column in found) else None


def _check_values(frame: pl.DataFrame, suspicious: pl.DataFrame, lines: Lines) -> None:
    """Compare suspicious values with the file.

    Raises:
        DataError: a value was changed; the message names the first.
    """
    import polars as pl

    for (place, line), flags in zip(lines, suspicious.iter_rows(named=True), strict=False):
        names = [name for name, flag in flags.items() if flag]
        values = json.loads(line) if names else {}
        for name in names:
            value: Any = values.get(name)
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
