"""Makes a table of the rows of a file: duplicates, words that are not UTF-8, and provenance."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import filterfalse
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import Source
from ...table import EmbeddingTable, Vectors
from .arguments import check_limit, wanted_keys

__all__ = ["ROW", "RowBuffer", "is_utf8", "make_table", "provenance"]


ROW = 100  # bytes that a row of a table takes besides its vector


def provenance(source: Source, source_format: str) -> dict[str, str]:
    """Return the metadata that identify the file of a table."""
    name = source.name
    if source.path is not None:  # leave the folder out
        name = source.path.name + name[len(str(source.path)) :]
    return {
        "source": name.encode(errors="replace").decode(),
        "source_sha256": source.sha256(),
        "source_format": source_format,
    }


def make_table(
    words: Sequence[str],
    vectors: npt.NDArray[Any],
    metadata: dict[str, str],
    keys: Collection[str] | None = None,
    limit: int | None = None,
) -> EmbeddingTable:
    """Return a table of words and vectors; of duplicate words, the first is kept.

    Args:
        words: the `V` words of a file, duplicates included.
        vectors: numbers `(V, D)`; converted to float32 if necessary.
        metadata: those of the file; the counts of duplicates and of words that are not UTF-8 are
            added.
        keys: keep only these words.
        limit: use only the first rows, duplicates included.
    """
    check_limit(limit)
    wanted = wanted_keys(keys)
    words = words if isinstance(words, list) else list(words)
    if limit is not None:
        words, vectors = words[:limit], vectors[:limit]
    if wanted is not None:
        rows = [row for row, word in enumerate(words) if word in wanted]
        words, vectors = [words[row] for row in rows], vectors[rows]
    index = dict(zip(words, range(len(words)), strict=True))
    duplicates = len(words) - len(index)
    if duplicates:
        first = dict(zip(reversed(words), range(len(words) - 1, -1, -1), strict=True))
        kept = np.sort(np.fromiter(first.values(), np.int64, len(first)))
        words, vectors = [words[row] for row in kept.tolist()], vectors[kept]
        index = dict(zip(words, range(len(words)), strict=True))
        metadata["duplicates"] = str(duplicates)
    if odd := sum(not is_utf8(word) for word in filterfalse(str.isascii, words)):
        metadata["non_utf8"] = str(odd)
    table = EmbeddingTable(words, vectors, metadata)
    table.key_to_index = index
    return table


class RowBuffer:
    """Collects words and vectors block by block, and makes a table of them.

    The array grows with the rows that were read, whatever a header promises.

    Args:
        vector_size: numbers in a row.
        separator: one byte that no word contains.
        source: the file.
    """

    def __init__(self, vector_size: int, separator: bytes, source: Source) -> None:
        self._separator = separator
        self._source = source
        self._words: list[bytes] = []
        self._vectors = np.empty((0, vector_size), np.float32)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def reserve(self, rows: int) -> None:
        """Reserve address space for a number of rows; memory is used when they are added."""
        if not self._rows:
            self._vectors = np.empty((rows, self._vectors.shape[1]), np.float32)

    def extend(self, words: bytes | bytearray, vectors: Vectors) -> None:
        """Add rows: the words' bytes, joined by the separator, and vectors `(n, D)`."""
        if not len(vectors):
            return
        start, stop = self._rows, self._rows + len(vectors)
        self._source.refuse_bomb(stop * (ROW + 4 * vectors.shape[1]))
        if stop > len(self._vectors):
            capacity = max(stop, len(self._vectors) + len(self._vectors) // 4)
            self._vectors.resize((capacity, self._vectors.shape[1]), refcheck=False)
        self._vectors[start:stop] = vectors
        self._words.append(bytes(words))
        self._rows = stop

    def table(self, source_format: str, rows_read: int) -> EmbeddingTable:
        """Return the table. Bytes of words that are not UTF-8 are kept.

        Raises:
            VectorFileError: no row was read.
        """
        if not rows_read:
            raise VectorFileError(
                "the file holds no vectors", where=self._source.name, remedy="fetch it again"
            )
        self._vectors.resize((self._rows, self._vectors.shape[1]), refcheck=False)
        joined = self._separator.join(self._words).decode("utf-8", "surrogateescape")
        self._words.clear()
        words = joined.split(self._separator.decode()) if self._rows else []
        return make_table(words, self._vectors, provenance(self._source, source_format))


def is_utf8(key: str) -> bool:
    """Return whether a key can be written as UTF-8."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
