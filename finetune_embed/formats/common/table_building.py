"""From the rows of a file to a table and back: arguments, words, duplicates and metadata."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import filterfalse
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import Either, Option, VectorFileError
from ...files import Source
from ...table import EmbeddingTable, PackedWords, Vectors, as_bytes

__all__ = [
    "HOLDS_ANY_WORD",
    "RowBuffer",
    "check_keys",
    "check_limit",
    "is_utf8",
    "join_words",
    "make_table",
    "pack_words",
    "provenance",
    "read_first",
    "wanted_bytes",
    "wanted_keys",
]


#: The remedy for words that a format can't hold.
HOLDS_ANY_WORD = Either(
    "use save_safetensors(table, path), which holds any word",
    ("use ", Option("to", "safetensors"), ", which holds any word"),
)


def read_first(rows: int) -> Either:
    """Return the remedy that reads the first rows of a damaged file."""
    return Either(
        ("read its first rows: load_vectors(path, ", Option("limit", rows), ")"),
        f"write its first rows to a file: finetune-embed convert FILE NEW_FILE --limit {rows}",
    )


def check_limit(limit: int | None) -> None:
    """Check a limit on the number of rows.

    Raises:
        VectorFileError: it is below 1.
    """
    if limit is not None and limit < 1:
        raise VectorFileError(
            "must be 1 or more",
            option="limit",
            value=limit,
            remedy=("leave ", Option("limit"), " out to read all rows"),
        )


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
    """

    def __init__(self, vector_size: int, separator: bytes) -> None:
        self._separator = separator
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
        if stop > len(self._vectors):
            capacity = max(stop, len(self._vectors) + len(self._vectors) // 4)
            self._vectors.resize((capacity, self._vectors.shape[1]), refcheck=False)
        self._vectors[start:stop] = vectors
        self._words.append(bytes(words))
        self._rows = stop

    def table(self, source: Source, source_format: str, rows_read: int) -> EmbeddingTable:
        """Return the table. Bytes of words that are not UTF-8 are kept.

        Raises:
            VectorFileError: no row was read.
        """
        if not rows_read:
            raise VectorFileError(
                "the file holds no vectors", where=source.name, remedy="fetch it again"
            )
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
    """Return the words to read, as bytes in a file; None for all words."""
    wanted = wanted_keys(keys)
    if wanted is None:
        return None
    return frozenset(word for key in wanted if (word := as_bytes(key)) is not None)


def wanted_keys(keys: Collection[str] | None) -> frozenset[str] | None:
    """Return the words to read as a set; None for all words.

    Raises:
        VectorFileError: `keys` is a single string, or contains anything but strings.
    """
    if keys is None:
        return None
    if isinstance(keys, str):
        raise VectorFileError(
            "is a single string",
            option="keys",
            value=keys,
            remedy=("pass a list of words: ", Option("keys", [keys])),
        )
    try:
        wanted = frozenset(keys)
    except TypeError as error:
        raise VectorFileError(
            (Option("keys"), f" is not a collection of words ({error})"),
            value=keys,
            remedy="pass a list of words, such as list(vocab.key_to_index)",
        ) from error
    odd = [key for key in wanted if not isinstance(key, str)]
    if odd:
        raise VectorFileError(
            (Option("keys"), f" contains {odd[0]!r}, which is not a string"),
            value=odd[0],
            remedy="pass a list of words",
        )
    return wanted


def pack_words(table: EmbeddingTable) -> PackedWords:
    """Return the words as the bytes that read back as them.

    Raises:
        VectorFileError: a word has lone surrogates that do not represent a byte.
        VocabularyError: a word is in two rows.
    """
    table.rows_of(())  # raises if a word is in two rows
    if isinstance(table.words, PackedWords):
        return table.words
    try:
        return PackedWords.from_strings(table.words)
    except UnicodeEncodeError:
        words = [as_bytes(key) for key in table.words]
    bad = [key for key, word in zip(table.words, words, strict=True) if word is None]
    if bad:
        raise VectorFileError(
            f"{len(bad):,} of {len(words):,} words have lone surrogates that no bytes in a file "
            f"represent ({bad[0]!r} is the first)",
            value=bad[0],
            remedy="rename or remove these words",
        )
    return PackedWords.from_bytes(word for word in words if word is not None)


def check_keys(table: EmbeddingTable, target: str, forbidden: str) -> None:
    """Check that a file can hold all words of a table.

    Args:
        table: the table.
        target: the kind of file, for messages.
        forbidden: ASCII characters that no word may contain.

    Raises:
        VectorFileError: a word contains a forbidden character or can't be encoded, or the table
            has no rows or no columns.
        VocabularyError: a word is in two rows.
    """
    if not len(table) or not table.vector_size:
        raise VectorFileError(
            f"the table is {len(table):,} x {table.vector_size}, but {target} needs at least one "
            "word and one number"
        )
    table.rows_of(())  # raises if a word is in two rows
    packed = table.words if isinstance(table.words, PackedWords) else None
    text = "".join(table.words) if packed is None else ""
    for character in forbidden:
        found = character in text if packed is None else ord(character) in packed.data
        if found:
            bad = [key for key in table.words if character in key]
            raise VectorFileError(
                f"{len(bad):,} of {len(table):,} words contain {character!r}, which {target} "
                f"can't hold ({bad[0]!r} is the first)",
                value=bad[0],
                remedy=(
                    HOLDS_ANY_WORD,
                    Either(
                        ", or remove these words: table.subset(k for k in table.index_to_key if "
                        f"{character!r} not in k)",
                        "",
                    ),
                ),
            )
    try:
        text.encode()
    except UnicodeEncodeError:
        pack_words(table)


def join_words(keys: list[str], separator: str) -> bytes:
    """Return checked words as the bytes that read back as them, joined by a separator."""
    return separator.join(keys).encode("utf-8", "surrogateescape")
