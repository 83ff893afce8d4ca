"""What all readers and writers of word-by-word vector files share: rows in, a clean table out."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np

from ..errors import VectorFileError
from ..files import Source
from ..table import EmbeddingTable, Vectors

__all__ = ["RowBuffer", "check_keys", "wanted_bytes"]


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
            "source": source.path.name,
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
    if keys is None:
        return None
    if isinstance(keys, str):
        raise VectorFileError(f"keys={keys!r} is one string; pass a list of words, keys=[{keys!r}]")
    return frozenset(key.encode("utf-8", "surrogateescape") for key in keys)


def check_keys(table: EmbeddingTable, target: str, forbidden: Iterable[str]) -> list[bytes]:
    """Return the words as bytes, or refuse the table if the target can't hold one of them.

    Raises:
        VectorFileError: words contain a forbidden character; the message counts them.
    """
    if not len(table):
        raise VectorFileError(f"the table has no rows; {target} needs at least one")
    for character in forbidden:
        bad = [key for key in table.index_to_key if character in key]
        if bad:
            raise VectorFileError(
                f"{len(bad):,} of {len(table):,} words contain {character!r}, which {target} "
                f"can't hold ({bad[0]!r} is the first); use save_safetensors(table, path), which "
                "holds any word, or drop them: "
                f"table.subset(k for k in table.index_to_key if {character!r} not in k)"
            )
    return [key.encode("utf-8", "surrogateescape") for key in table.index_to_key]
