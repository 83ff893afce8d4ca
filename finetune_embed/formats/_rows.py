"""What all readers and writers of word-by-word vector files share: rows in, a clean table out."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from ..errors import VectorFileError
from ..files import Source
from ..table import EmbeddingTable, Vectors

__all__ = [
    "UNREAD",
    "RowBuffer",
    "check_keys",
    "check_limit",
    "encode_words",
    "refuse_unread",
    "wanted_bytes",
    "wanted_keys",
]

#: Formats by the first bytes of a file that are known and not read, with what to do about them.
UNREAD = (
    (b"\xba\x16\x4f\x2f", "a fastText binary model; load the .vec file that came with it"),
    (b"PK\x03\x04", "a zip archive; unpack it and load the file inside"),
    (b"BZh", "compressed by bzip2; decompress it first: bunzip2"),
    (b"\xfd7zXZ\x00", "compressed by xz; decompress it first: unxz"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd; decompress it first: unzstd"),
    (b"\x93NUMPY", "a numpy array without words; pass EmbeddingTable(words, numpy.load(path))"),
    (b"\x80\x04\x95", "a Python pickle; if you trust it, open it with gensim's KeyedVectors.load"),
    (b"\x80\x05\x95", "a Python pickle; if you trust it, open it with gensim's KeyedVectors.load"),
)


def refuse_unread(source: Source) -> None:
    """Refuse a file of a format that is known and not read, with what to do about it."""
    head = source.peek(8)
    for magic, what in UNREAD:
        if head.startswith(magic):
            raise VectorFileError(f"{source.path} is {what}")


def check_limit(limit: int | None) -> None:
    """Refuse a limit that asks for no row."""
    if limit is not None and limit < 1:
        raise VectorFileError(f"limit={limit}: read at least one row, or leave limit out")


class RowBuffer:
    """Collects words and vectors block by block, and makes the table of them.

    The array grows as rows come, never by what a header claims.
    """

    def __init__(self, vector_size: int) -> None:
        self._keys: list[bytes] = []
        self._vectors = np.empty((0, vector_size), np.float32)

    def __len__(self) -> int:
        return len(self._keys)

    def extend(self, keys: list[bytes], vectors: Vectors) -> None:
        """Add rows: `keys` are the words' bytes, `vectors` is `(len(keys), D)`."""
        start, stop = len(self._keys), len(self._keys) + len(keys)
        if stop > len(self._vectors):
            capacity = max(stop, len(self._vectors) + len(self._vectors) // 4)
            self._vectors.resize((capacity, self._vectors.shape[1]), refcheck=False)
        self._vectors[start:stop] = vectors
        self._keys += keys

    def table(self, source: Source, source_format: str, rows_read: int) -> EmbeddingTable:
        """Return the table: the first of duplicated words wins, bytes beyond UTF-8 are kept."""
        if not rows_read:
            raise VectorFileError(f"{source.path} holds no vectors; fetch the file again")
        self._vectors.resize((len(self._keys), self._vectors.shape[1]), refcheck=False)
        vectors, raw = self._vectors, self._keys
        first = dict(zip(reversed(raw), range(len(raw) - 1, -1, -1), strict=True))
        duplicates = len(raw) - len(first)
        if duplicates:
            rows = np.sort(np.fromiter(first.values(), np.int64, len(first)))
            vectors, raw = vectors[rows], [raw[row] for row in rows]
        keys, undecodable = _decode(raw)
        metadata = {
            "source": source.path.name.encode(errors="replace").decode(),
            "source_sha256": source.sha256(),
            "source_format": source_format,
        }
        if duplicates:
            metadata["duplicates"] = str(duplicates)
        if undecodable:
            metadata["non_utf8"] = str(undecodable)
        return EmbeddingTable(keys, vectors, metadata)


def _decode(raw: list[bytes]) -> tuple[list[str], int]:
    """Decode words as UTF-8; bytes that are not UTF-8 become lone surrogates (PEP 383)."""
    try:
        return [key.decode() for key in raw], 0
    except UnicodeDecodeError:
        keys = [key.decode("utf-8", "surrogateescape") for key in raw]
        return keys, sum(not _is_utf8(key) for key in keys)


def _is_utf8(key: str) -> bool:
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
    return frozenset(word for key in wanted if (word := _as_bytes(key)) is not None)


def wanted_keys(keys: Collection[str] | None) -> frozenset[str] | None:
    """Return the words asked for as a set; None stands for all."""
    if keys is None:
        return None
    if isinstance(keys, str):
        raise VectorFileError(f"keys={keys!r} is one string; pass a list of words, keys=[{keys!r}]")
    return frozenset(keys)


def _as_bytes(key: str) -> bytes | None:
    """Return the bytes that read back as this word; None where there are none."""
    try:
        word = key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None
    return word if word.decode("utf-8", "surrogateescape") == key else None


def encode_words(table: EmbeddingTable) -> list[bytes]:
    """Return the words as the bytes that read back as them.

    Raises:
        VectorFileError: a word has lone surrogates that don't stand for bytes beyond UTF-8.
        VocabularyError: a word stands in two rows.
    """
    keys = list(table.key_to_index)
    try:
        return [key.encode() for key in keys]
    except UnicodeEncodeError:
        words = [_as_bytes(key) for key in keys]
    bad = [key for key, word in zip(keys, words, strict=True) if word is None]
    if bad:
        raise VectorFileError(
            f"{len(bad):,} of {len(keys):,} words have lone surrogates that no bytes in a file "
            f"stand for ({bad[0]!r} is the first); rename them or drop them"
        )
    return [word for word in words if word is not None]


def check_keys(table: EmbeddingTable, target: str, forbidden: Iterable[str]) -> list[bytes]:
    """Return the words as bytes, or refuse the table if the target can't hold one of them.

    Raises:
        VectorFileError: words contain a forbidden character, with their count; or the table has
            no rows or no columns.
        VocabularyError: a word stands in two rows.
    """
    if not table.vectors.size:
        raise VectorFileError(
            f"the table is {len(table):,} x {table.vector_size}; {target} needs at least one "
            "word and one number"
        )
    for character in forbidden:
        bad = [key for key in table.index_to_key if character in key]
        if bad:
            raise VectorFileError(
                f"{len(bad):,} of {len(table):,} words contain {character!r}, which {target} "
                f"can't hold ({bad[0]!r} is the first); use save_safetensors(table, path), which "
                "holds any word, or drop them: "
                f"table.subset(k for k in table.index_to_key if {character!r} not in k)"
            )
    return encode_words(table)
