"""What all readers and writers of word-by-word vector files share: rows in, a clean table out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import filterfalse
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import VectorFileError
from ...files import Source
from ...table import EmbeddingTable, PackedWords, Vectors, as_bytes

__all__ = [
    "RowBuffer",
    "check_keys",
    "check_limit",
    "is_utf8",
    "join_words",
    "make_table",
    "pack_words",
    "provenance",
    "wanted_bytes",
    "wanted_keys",
]


def check_limit(limit: int | None) -> None:
    """Refuse a limit that asks for no row."""
    if limit is not None and limit < 1:
        raise VectorFileError(f"limit={limit}: read at least one row, or leave limit out")


def provenance(source: Source, source_format: str) -> dict[str, str]:
    """Return what the metadata of a table tell about the file it was read from."""
    name = source.name
    if source.path is not None:  # the file's own name, and the member's
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
    """Return a table of words and vectors `(V, D)`: the first of duplicated words wins.

    Args:
        words: `V` words, as they stand in the file.
        vectors: a row a word; anything but float32 is converted.
        metadata: those of the file; counts of duplicates and of words not UTF-8 are added.
        keys: keep only these words.
        limit: only the first rows, before duplicates are left out.
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
    """Collects words and vectors block by block, and makes the table of them.

    The array grows as rows come, never by what a header claims.

    Args:
        vector_size: numbers in a row.
        separator: one byte that no word holds.
    """

    def __init__(self, vector_size: int, separator: bytes) -> None:
        self._separator = separator
        self._words: list[bytes] = []
        self._vectors = np.empty((0, vector_size), np.float32)
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def reserve(self, rows: int) -> None:
        """Take address space for so many rows; memory is taken as they come."""
        if not self._rows:
            self._vectors = np.empty((rows, self._vectors.shape[1]), np.float32)

    def extend(self, words: bytes | bytearray, vectors: Vectors) -> None:
        """Add rows: the words' bytes, joined by the separator, and vectors `(n, D)`."""
        if not len(vectors):
            return
        start, stop = self._rows, self._rows + len(vectors)
        if stop > len(self._vectors):
            capacity = max(stop, len(self._vectors) + len(self._vectors) // 4)
            self._vectors.resize((capacity, self._vectors.shape[1]), refcheck=False)
        self._vectors[start:stop] = vectors
        self._words.append(bytes(words))
        self._rows = stop

    def table(self, source: Source, source_format: str, rows_read: int) -> EmbeddingTable:
        """Return the table: the first of duplicated words wins, bytes beyond UTF-8 are kept."""
        if not rows_read:
            raise VectorFileError(f"{source.name} holds no vectors; fetch the file again")
        self._vectors.resize((self._rows, self._vectors.shape[1]), refcheck=False)
        joined = self._separator.join(self._words).decode("utf-8", "surrogateescape")
        self._words.clear()
        words = joined.split(self._separator.decode()) if self._rows else []
        return make_table(words, self._vectors, provenance(source, source_format))


def is_utf8(key: str) -> bool:
    """Return whether a key can be written as UTF-8."""
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True


def wanted_bytes(keys: Collection[str] | None) -> frozenset[bytes] | None:
    """Return the words asked for as the bytes that stand in a file; None stands for all."""
    wanted = wanted_keys(keys)
    if wanted is None:
        return None
    return frozenset(word for key in wanted if (word := as_bytes(key)) is not None)


def wanted_keys(keys: Collection[str] | None) -> frozenset[str] | None:
    """Return the words asked for as a set; None stands for all."""
    if keys is None:
        return None
    if isinstance(keys, str):
        raise VectorFileError(f"keys={keys!r} is one string; pass a list of words, keys=[{keys!r}]")
    try:
        wanted = frozenset(keys)
    except TypeError as error:
        raise VectorFileError(
            f"keys can't be used ({error}); pass a list of words, such as "
            "keys=list(vocabulary.key_to_index)"
        ) from error
    odd = [key for key in wanted if not isinstance(key, str)]
    if odd:
        raise VectorFileError(f"keys has {odd[0]!r}, which is no string; pass a list of words")
    return wanted


def pack_words(table: EmbeddingTable) -> PackedWords:
    """Return the words as the bytes that read back as them.

    Raises:
        VectorFileError: a word has lone surrogates that don't stand for bytes beyond UTF-8.
        VocabularyError: a word stands in two rows.
    """
    table.rows_of(())  # which refuses a word that stands in two rows
    if isinstance(table.words, PackedWords):
        return table.words
    try:
        return PackedWords.encoded(table.words)
    except UnicodeEncodeError:
        words = [as_bytes(key) for key in table.words]
    bad = [key for key, word in zip(table.words, words, strict=True) if word is None]
    if bad:
        raise VectorFileError(
            f"{len(bad):,} of {len(words):,} words have lone surrogates that no bytes in a file "
            f"stand for ({bad[0]!r} is the first); rename them or drop them"
        )
    return PackedWords.of(word for word in words if word is not None)


def check_keys(table: EmbeddingTable, target: str, forbidden: str) -> None:
    """Refuse the table if the target can't hold one of its words.

    Args:
        table: the table.
        target: what is to be written, for messages.
        forbidden: ASCII characters.

    Raises:
        VectorFileError: words contain a forbidden character, with their count, or no bytes stand
            for them; or the table has no rows or no columns.
        VocabularyError: a word stands in two rows.
    """
    if not len(table) or not table.vector_size:
        raise VectorFileError(
            f"the table is {len(table):,} x {table.vector_size}; {target} needs at least one "
            "word and one number"
        )
    table.rows_of(())  # which refuses a word that stands in two rows
    packed = table.words if isinstance(table.words, PackedWords) else None
    text = "".join(table.words) if packed is None else ""
    for character in forbidden:
        found = character in text if packed is None else ord(character) in packed.data
        if found:
            bad = [key for key in table.words if character in key]
            raise VectorFileError(
                f"{len(bad):,} of {len(table):,} words contain {character!r}, which {target} "
                f"can't hold ({bad[0]!r} is the first); use save_safetensors(table, path), which "
                "holds any word, or drop them: "
                f"table.subset(k for k in table.index_to_key if {character!r} not in k)"
            )
    try:
        text.encode()
    except UnicodeEncodeError:
        pack_words(table)


def join_words(keys: list[str], separator: str) -> bytes:
    """Return words that were checked as the bytes that read back as them, joined."""
    return separator.join(keys).encode("utf-8", "surrogateescape")
