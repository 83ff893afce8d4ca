"""Parquet files, read by pyarrow after every size that they claim was checked.

A damaged page makes some readers end the process, and a page of a few bytes can claim gigabytes. So
the footer and the header of each page are read here first.

Specification: https://parquet.apache.org/docs/file-format/ and `parquet.thrift`.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, FinetuneEmbedError, VectorFileError
from .expansion import refuse_bomb
from .thrift import Fields, read_structure

__all__ = ["DAMAGE", "ParquetReader", "expanded_size", "read_parquet"]

ROWS = 1 << 14  # rows read at a time
BATCH = 1 << 24  # bytes of text that are read at a time, or `SHARE` times the file if that is more
SHARE = 4
_VIEW = 16  # bytes of a view of a text
PAGE_HEAD = 1 << 24  # bytes that the header of a page may take, statistics included
_MAGIC = b"PAR1"
_TAIL = 8  # bytes after the footer: its length and the magic number
_CONTAINERS = 1_000_000  # items of a list in the footer, pyarrow's own limit
# Fields of the structures in `parquet.thrift`.
_GROUPS, _CHUNKS, _CHUNK = 4, 1, 3
_ENCODINGS, _VALUES, _DATA_PAGE, _DICTIONARY_PAGE = 2, 5, 9, 11  # of a chunk
_UNPACKED, _PACKED, _VALUE_PAGES = 2, 3, (5, 8)  # of the header of a page
_PAGE_VALUES = 1
_DICTIONARIES = {2, 8}  # encodings that refer to a dictionary
_NARROW = ("FLOAT", "INT32", "BOOLEAN")  # types of numbers of up to four bytes
#: What reading a damaged file raises, besides `pyarrow.ArrowException`.
DAMAGE = (OSError, ValueError, TypeError, KeyError, IndexError, MemoryError, OverflowError)


def read_parquet(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> Any:
    """Return the columns of a Parquet file, all of them by default, as a `pyarrow.Table`.

    The path is never a pattern, and what is damaged never ends the process.

    Raises:
        DataError: the file can't be read, is damaged, lacks a column, or expands too much.
    """
    import pyarrow as pa

    try:
        with open(path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = ParquetReader(pa.py_buffer(data), path, DataError)
        names = reader.schema.names if columns is None else list(columns)
        schema = pa.schema([reader.schema.field(name) for name in names], reader.schema.metadata)
        return pa.Table.from_batches(reader.batches(names), schema)
    except DataError:
        raise
    except (pa.ArrowException, *DAMAGE) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"this Parquet file can't be read: {reason}", where=path, remedy="fetch it again"
        ) from error


class ParquetReader:
    """A Parquet file in memory or in a memory map.

    Args:
        data: the file, a `pyarrow.Buffer`.
        name: its name, for messages.
        error: what is raised if it expands too much.
        size: the bytes that it takes on disk, fewer if it is compressed as a whole; 0 for all.

    Attributes:
        schema: its `pyarrow.Schema`.

    Raises:
        pyarrow.ArrowException, or one of `DAMAGE`: its footer is damaged.
    """

    def __init__(
        self,
        data: Any,
        name: str | os.PathLike[str],
        error: type[FinetuneEmbedError] = VectorFileError,
        size: int = 0,
    ) -> None:
        self._buffer, self._size = data, size or data.size
        self._name, self._error = name, error
        self._data = memoryview(data).cast("B")
        self._groups = _row_groups(self._data)
        self._file = self._open([])
        self.schema = self._file.schema_arrow

    def _open(self, encoded: list[str]) -> Any:
        import pyarrow.parquet as pq

        # pyarrow buffers all of a column first: it ends the process for some damage if it doesn't.
        return pq.ParquetFile(
            self._buffer,
            pre_buffer=True,
            read_dictionary=encoded,
            thrift_container_size_limit=min(len(self._data), _CONTAINERS),
            page_checksum_verification=True,  # of files whose pages have checksums
        )

    def batches(self, names: Sequence[str]) -> Iterator[Any]:
        """Yield `pyarrow.RecordBatch`es of some columns, in the order of `names`.

        Raises:
            FinetuneEmbedError: the data expands too much.
            pyarrow.ArrowException, or one of `DAMAGE`: it is damaged.
        """
        import pyarrow as pa

        wanted = pa.schema([self.schema.field(name) for name in names])
        rows, encoded = self._check_pages(names)
        file = self._open(encoded)
        expanded = 0
        for group in range(len(self._groups)):  # pyarrow can't join nested dictionaries of two
            for batch in file.iter_batches(rows, row_groups=[group], columns=list(names)):
                columns = batch.select(list(names)).columns
                expanded += sum(map(expanded_size, columns))
                self._refuse_bomb(expanded)
                parts = [
                    column if column.type == kind else column.cast(kind)
                    for column, kind in zip(columns, wanted.types, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(parts, schema=wanted)

    def _check_pages(self, names: Sequence[str]) -> tuple[int, list[str]]:
        """Check the headers of all pages of some columns.

        Many rows can have the same text from a page or a dictionary, which holds it once.

        Returns:
            The number of rows to read at a time, so that they take at most as many bytes as `BATCH`
            says if each has a text as long as a page, and the columns of nested texts, where a row
            can have many, to be read as dictionaries.
        """
        schema, most = self._file.schema, max(BATCH, SHARE * len(self._data))
        claimed, rows, nested = 0, ROWS, []
        for at in range(len(schema)):
            column = schema.column(at)
            if not any(f"{column.path}.".startswith(f"{name}.") for name in names):
                continue
            is_text = column.physical_type == "BYTE_ARRAY"
            width = max(column.length or 0, 4 if column.physical_type in _NARROW else 8)
            is_encoded = False
            for chunks in self._groups:
                chunk = chunks[at].structure(_CHUNK)
                is_encoded |= not _DICTIONARIES.isdisjoint(chunk.numbers(_ENCODINGS))
                size, largest = self._size_of(chunk)
                claimed += max(size, width * chunk.count(_VALUES))
                self._refuse_bomb(claimed)
                if is_text:
                    rows = min(rows, max(1, most // max(largest, 1)))
            if is_text and is_encoded and column.max_repetition_level:
                nested.append(column.path)
        return rows, nested

    def _size_of(self, chunk: Fields) -> tuple[int, int]:
        """Return the size of all decompressed pages of a column chunk, and of the largest one."""
        at = chunk.count(_DATA_PAGE)
        if _DICTIONARY_PAGE in chunk:
            at = min(at, chunk.count(_DICTIONARY_PAGE) or at)
        values = total = largest = 0
        while values < chunk.count(_VALUES):
            page, length = read_structure(self._data[at : at + PAGE_HEAD])
            at += length + page.count(_PACKED)
            if at > len(self._data):
                raise ValueError(f"a page ends at byte {at:,} of {len(self._data):,}")
            total += page.count(_UNPACKED)
            largest = max(largest, page.count(_UNPACKED))
            self._refuse_bomb(total)
            for kind in _VALUE_PAGES:
                if kind in page:
                    values += page.structure(kind).count(_PAGE_VALUES)
        if values != chunk.count(_VALUES):
            raise ValueError(f"pages of {values:,} values claim {chunk.count(_VALUES):,}")
        return total, largest

    def _refuse_bomb(self, expanded: int) -> None:
        refuse_bomb(self._size, expanded, self._name, self._error)


def _row_groups(data: memoryview) -> list[list[Fields]]:
    """Return the column chunks of each group of rows, read from the footer.

    Raises:
        ValueError: it is damaged.
    """
    if len(data) < 2 * _TAIL or data[:4] != _MAGIC or data[-4:] != _MAGIC:
        raise ValueError("it does not start and end with PAR1")
    length = int.from_bytes(data[-_TAIL:-4], "little")
    if length > len(data) - _TAIL:
        raise ValueError(f"its footer claims {length:,} bytes of {len(data):,}")
    footer, _ = read_structure(data[len(data) - _TAIL - length : len(data) - _TAIL])
    groups = [group.structures(_CHUNKS) for group in footer.structures(_GROUPS)]
    widths = {len(chunks) for chunks in groups}
    if len(widths) > 1:
        raise ValueError("its groups of rows differ in columns")
    return groups


def expanded_size(column: Any) -> int:
    """Return the bytes that a column takes, dictionaries and views resolved; one a row at least."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        if pa.types.is_primitive(kind.value_type):
            return int(column.nbytes)
        lengths = pa.array(_lengths(column.dictionary)).take(column.indices)
        return max(int(pc.sum(lengths).as_py() or 0), len(column))
    if "view" in str(kind) and not pa.types.is_nested(kind):
        return max(int(_lengths(column).sum()), len(column))
    if pa.types.is_struct(kind):
        return sum(map(expanded_size, column.flatten()))
    if pa.types.is_map(kind):
        return expanded_size(column.keys) + expanded_size(column.items)
    if pa.types.is_nested(kind) and hasattr(kind, "value_type"):
        return expanded_size(column.flatten())
    return max(int(column.nbytes), len(column))


def _lengths(texts: Any) -> npt.NDArray[np.int64]:
    """Return the length of each text or null in bytes."""
    import pyarrow.compute as pc

    if "view" in str(texts.type):
        views = np.frombuffer(texts.buffers()[1], "<i4").reshape(-1, _VIEW // 4)
        return views[texts.offset : texts.offset + len(texts), 0].astype(np.int64)
    lengths = pc.fill_null(pc.binary_length(texts), 0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64)
