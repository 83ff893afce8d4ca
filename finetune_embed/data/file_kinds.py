"""The kinds of local data files, and how to open one and find its records."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

__all__ = [
    "LINES",
    "READ_ERRORS",
    "SEPARATORS",
    "SUFFIXES",
    "csv_records",
    "is_json_array",
    "kind_of",
    "open_data",
]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
SEPARATORS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
#: What reading a damaged file raises.
READ_ERRORS = (OSError, EOFError, ValueError, zlib.error)
_BOM = b"\xef\xbb\xbf"


def kind_of(path: Path) -> str:
    """Return a file's suffix in lower case, without `.gz`."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


@contextlib.contextmanager
def open_data(path: Path) -> Iterator[BinaryIO]:
    """Open a file, gzip-compressed or not, after its byte order mark."""
    opener: Any = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as file:
        if file.read(len(_BOM)) != _BOM:
            file.seek(0)
        yield file


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
