"""The kinds of local data files, and how to open one and find its records."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from ...errors import DataError
from ...files import bounded

__all__ = [
    "ARROW",
    "EXCEL",
    "LINES",
    "READ_ERRORS",
    "SEPARATORS",
    "SUFFIXES",
    "blocks_of",
    "csv_records",
    "is_json_array",
    "kind_of",
    "open_data",
    "open_file",
]

#: What the name of a file promises to be between its fields.
SEPARATORS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
ARROW = (".parquet", ".arrow", ".feather")
EXCEL = ".xlsx"
SUFFIXES = (*SEPARATORS, *LINES, ".json", *ARROW, EXCEL)
#: What reading a damaged file raises.
READ_ERRORS = (OSError, EOFError, ValueError, zlib.error)
_BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 18


def kind_of(path: Path) -> str:
    """Return a file's suffix in lower case, without `.gz`."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def open_file(path: Path) -> io.BufferedReader:
    """Open a file, gzip-compressed or not; reading raises `DataError` if it expands too much."""
    if not path.name.lower().endswith(".gz"):
        return open(path, "rb")
    stream = cast(BinaryIO, gzip.open(path))  # noqa: SIM115  (the reader closes it)
    return bounded(stream, path.stat().st_size, path, DataError)


@contextlib.contextmanager
def open_data(path: Path) -> Iterator[BinaryIO]:
    """Open a file, gzip-compressed or not, after its byte order mark."""
    with open_file(path) as file:
        if file.peek(len(_BOM)).startswith(_BOM):
            file.read(len(_BOM))
        yield file


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed."""
    with open_file(path) as file:
        while block := file.read(_BLOCK):
            yield block


def is_json_array(path: Path) -> bool:
    """Return whether a JSON file is one array, not an object per line."""
    with open_data(path) as file:
        blocks = iter(lambda: file.read(_BLOCK), b"")
        first = next((start for block in blocks if (start := block.lstrip())), b"")
    return not first.startswith(b"{")


def csv_records(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the records of a CSV file; a record ends with a line after which no quote is open."""
    record: list[bytes] = []
    is_quoted = False
    for line in lines:
        record.append(line)
        is_quoted ^= line.count(b'"') % 2 == 1
        if not is_quoted:
            yield b"".join(record)
            record = []
    if record:
        yield b"".join(record)
