"""The kinds of local data files, and how to open one and find its records."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

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


def open_file(path: Path) -> BinaryIO:
    """Open a file, gzip-compressed or not."""
    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    file: BinaryIO = opener(path, "rb")
    return file


@contextlib.contextmanager
def open_data(path: Path) -> Iterator[BinaryIO]:
    """Open a file, gzip-compressed or not, after its byte order mark."""
    with open_file(path) as file:
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)
        yield file


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed."""
    with open_file(path) as file:
        while block := file.read(_BLOCK):
            yield block


def is_json_array(file: BinaryIO) -> bool:
    """Return whether a JSON file is one array, not an object per line."""
    start = file.tell()
    first = next((line.lstrip() for line in file if line.strip()), b"")
    file.seek(start)
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
