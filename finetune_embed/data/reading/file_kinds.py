"""The kinds of local data files, and how to open one and find its records."""

from __future__ import annotations

import contextlib
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from ...errors import DataError
from ...files import Foreign, bounded, foreign_kind
from ...files.foreign import ANSWER
from ...files.streams import kind_of as compression_of
from .text_encoding import UTF8, decoded

__all__ = [
    "ARROW",
    "EXCEL",
    "JSON",
    "LINES",
    "READ_ERRORS",
    "SEPARATORS",
    "SUFFIXES",
    "ReadAs",
    "blocks_of",
    "check_file",
    "csv_records",
    "is_json_array",
    "kind_of",
    "open_data",
    "open_file",
]

#: What the name of a file promises to be between its fields.
SEPARATORS = {".csv": ",", ".tsv": "\t"}
LINES = (".jsonl", ".ndjson")
JSON = (*LINES, ".json")
ARROW = (".parquet", ".arrow", ".feather")
EXCEL = ".xlsx"
SUFFIXES = (*SEPARATORS, *JSON, *ARROW, EXCEL)
#: What reading a damaged file raises.
READ_ERRORS = (OSError, EOFError, ValueError, zlib.error)
#: What a file can be instead of text, by its compression or its first bytes, with the remedy.
_PACKED = {
    "gzip": Foreign("a gzip file", "let its name end in .gz"),
    "bzip2": Foreign("a bzip2 file", "unpack it first: bzip2 -d FILE"),
    "xz": Foreign("an xz file", "unpack it first: xz -d FILE"),
    "zstandard": Foreign("a zstandard file", "unpack it first: zstd -d FILE"),
    "zip": Foreign("a zip archive", "unpack it first, or call it .xlsx if it is a workbook"),
    "tar": Foreign("a tar archive", "unpack it first: tar -xf FILE"),
}
_TABLES = {
    b"PAR1": Foreign("a Parquet file", "let its name end in .parquet"),
    b"ARROW1": Foreign("an Arrow file", "let its name end in .arrow"),
}
_BLOCK = 1 << 18


class ReadAs(NamedTuple):
    """What the caller says about how files are written; the rest is found.

    Attributes:
        delimiter: what is between the fields of CSV and TSV files.
        encoding: the encoding of CSV, TSV and JSON files.
        sheet: the name of the sheet of a workbook.
    """

    delimiter: str | None = None
    encoding: str | None = None
    sheet: str | None = None


def kind_of(path: Path) -> str:
    """Return a file's suffix in lower case, without `.gz`."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def open_file(path: Path) -> io.BufferedReader:
    """Open a file, gzip-compressed or not; reading raises `DataError` if it expands too much."""
    if not path.name.lower().endswith(".gz"):
        return open(path, "rb")
    stream = cast(BinaryIO, gzip.open(path))  # noqa: SIM115  (the reader closes it)
    return bounded(stream, path.stat().st_size, path, DataError)


def check_file(path: Path) -> None:
    """Check what a file is by its name and first bytes.

    Raises:
        DataError: it is empty, or of a kind that is not read here.
    """
    kind = kind_of(path)
    if kind not in SUFFIXES:
        raise DataError(f"data sets are read from {', '.join(SUFFIXES)} files", where=path)
    if not path.stat().st_size:
        raise DataError("the file is empty (0 bytes)", where=path)
    head = b""
    with contextlib.suppress(*READ_ERRORS), open_file(path) as file:
        head = file.read(ANSWER)
    # one example of JSON may have the keys of a server's answer
    found = foreign_kind(head, is_whole=kind in SEPARATORS and len(head) < ANSWER)
    if found is None and kind not in (*ARROW, EXCEL):
        found = _PACKED.get(compression_of(head)) or next(
            (table for magic, table in _TABLES.items() if head.startswith(magic)), None
        )
    if found is not None:
        is_plain = isinstance(found.remedy, str)  # the others are for vectors
        raise DataError(
            f"this is {found.title}, not {kind[1:]}",
            where=path,
            remedy=found.remedy if is_plain else "save the examples as CSV or Parquet",
        )


@contextlib.contextmanager
def open_data(path: Path, encoding: str = UTF8) -> Iterator[BinaryIO]:
    """Open a file, gzip-compressed or not, as UTF-8 after its byte order mark."""
    if encoding != UTF8:
        yield io.BufferedReader(_Blocks(decoded(blocks_of(path), encoding)))
        return
    with open_file(path) as file:
        yield file


class _Blocks(io.RawIOBase):
    """Reads blocks of bytes as a file."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks, self._rest = blocks, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = block
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def blocks_of(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, decompressed."""
    with open_file(path) as file:
        while block := file.read(_BLOCK):
            yield block


def is_json_array(path: Path, encoding: str = UTF8) -> bool:
    """Return whether a JSON file is one array, not an object per line."""
    with open_data(path, encoding) as file:
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
