"""`EmbeddingTable`: words and their vectors in two aligned columns. numpy only."""

from __future__ import annotations

import hashlib
import numbers
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError, missing_extra
from .neighbours import nearest_rows, unit
from .packed_words import PackedWords, Rows, extended, rows_by_word
from .revised_rows import BLOCK, RevisedRows, Vectors, is_read_only

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

__all__ = ["EmbeddingTable", "Origin", "Subwords", "Vectors", "sha256_of_table"]


class Origin(IntEnum):
    """Where a row's values come from; the codes of `EmbeddingTable.origin`."""

    PRETRAINED = 0
    TUNED = 1
    NEW = 2
    COMPOSED = 3


class Subwords(Protocol):
    """What composes a vector for a word that a table lacks, from parts of the word."""

    def compose(self, words: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Return vectors `(n, D)` and which of the `n` words could be composed, bool `(n,)`.

        The row of a word that could not is zero.
        """


class EmbeddingTable:
    """Word vectors: row `i` of `vectors` belongs to the word `index_to_key[i]`.

    Attributes:
        words: the `V` words in row order as they are held: a list, or packed and decoded when asked
            for, as those of a file opened in place are.
        metadata: where the table comes from, as plain strings.
        origin: uint8 array `(V,)` of `Origin` codes, a row each.
        subwords: what composes vectors for words that the table lacks, where the file it comes
            from has subword rows; else None.

    Args:
        index_to_key: `V` distinct words.
        vectors: `(V, D)` numbers; anything but float32 is converted.
        metadata: strings to keep with the table.
        origin: `(V,)` codes of `Origin`; all `PRETRAINED` when left out.

    Raises:
        VocabularyError: the shapes don't agree. A word that occurs twice is found when
            `key_to_index` is first used.
    """

    def __init__(
        self,
        index_to_key: Sequence[str],
        vectors: npt.ArrayLike | RevisedRows,
        metadata: Mapping[str, str] | None = None,
        origin: npt.ArrayLike | None = None,
    ) -> None:
        self.words: list[str] | PackedWords = (
            index_to_key if isinstance(index_to_key, (list, PackedWords)) else list(index_to_key)
        )
        self.subwords: Subwords | None = None
        self._revised: RevisedRows | None = None
        if isinstance(vectors, RevisedRows):
            self._revised = vectors
        else:
            self.vectors = np.asarray(vectors, dtype=np.float32)
        self.metadata: dict[str, str] = dict(metadata or {})
        rows, shape = len(self.words), self.stored.shape
        if len(shape) != 2 or shape[0] != rows:
            raise VocabularyError(
                f"{rows:,} words need vectors of shape ({rows}, D), not {shape}; "
                "call EmbeddingTable(index_to_key, vectors) with one row a word"
            )
        self.origin: npt.NDArray[np.uint8] = (
            np.zeros(rows, np.uint8) if origin is None else np.asarray(origin, np.uint8)
        )
        if self.origin.shape != (rows,):
            raise VocabularyError(f"origin must have the shape ({rows},), not {self.origin.shape}")

    @cached_property
    def vectors(self) -> Vectors:
        """All vectors, float32 `(V, D)`; may be a read-only memory map of a file.

        Those of a table that was tuned from a read-only one are put together, in memory, when this
        is first asked for; `rows` takes some without.
        """
        assert self._revised is not None
        return self._revised.whole()

    @property
    def stored(self) -> Vectors | RevisedRows:
        """The vectors `(V, D)` as they are held: an array, or a base with some rows revised."""
        if self._revised is None or "vectors" in self.__dict__:
            return self.vectors
        return self._revised

    def rows(self, which: slice | Rows) -> Vectors:
        """Return the vectors `(n, D)` of some rows, by a slice or by their numbers from 0 on.

        Nothing else is read or copied. A slice of an array is a view of it.
        """
        return self.stored[which]

    @cached_property
    def index_to_key(self) -> list[str]:
        """The `V` words in row order; those of a file opened in place are decoded on first use."""
        return self.words if isinstance(self.words, list) else self.words[:]

    @cached_property
    def key_to_index(self) -> dict[str, int]:
        """The row of each word, built when first asked for.

        Raises:
            VocabularyError: a word stands in two rows.
        """
        return rows_by_word(self.index_to_key)

    @property
    def vector_size(self) -> int:
        """The number `D` of values in a vector."""
        return int(self.stored.shape[1])

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, key: object) -> bool:
        return self._row_of(key) >= 0

    def __getitem__(self, key: str) -> Vectors:
        """Return the vector `(D,)` of a word, as a view, read-only where it lies in a file.

        Raises:
            KeyError: the table lacks the word.
        """
        row = self._row_of(key)
        if row < 0:
            raise KeyError(key)
        vector: Vectors = self.stored[row]
        return vector

    def _row_of(self, key: Any) -> int:
        packed = self._packed
        return self.key_to_index.get(key, -1) if packed is None else packed.row_of(key)

    @property
    def _packed(self) -> PackedWords | None:
        """The words, if they are packed and nobody has asked for the dictionary of all."""
        words = self.words
        has_dictionary = "key_to_index" in self.__dict__
        return words if isinstance(words, PackedWords) and not has_dictionary else None

    def __repr__(self) -> str:
        return f"EmbeddingTable({len(self):,} words x {self.vector_size})"

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self.metadata.items() if value)
        return f"{self!r}: {told}" if told else repr(self)

    def rows_of(self, keys: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the row of each word as int64 `(len(keys),)`, -1 where the table lacks it.

        Raises:
            VocabularyError: a word stands in two rows.
        """
        packed = self._packed
        if packed is not None:
            return packed.rows_of(list(keys))
        return np.fromiter(map(self.key_to_index.get, keys, repeat(-1)), np.int64)

    def subset(self, keys: Iterable[str]) -> EmbeddingTable:
        """Return a new table of these words in this order, its rows copied.

        Raises:
            VocabularyError: a word is not in the table.
        """
        keys = list(keys)
        rows = self.rows_of(keys)
        missing = [key for key, row in zip(keys, rows, strict=True) if row < 0]
        if missing:
            raise VocabularyError(
                f"{len(missing):,} of {len(keys):,} words are not in the table, {missing[0]!r} "
                "the first; pass subset(k for k in keys if k in table)"
            )
        few = EmbeddingTable(keys, self.rows(rows), self.metadata, self.origin[rows])
        few.subwords = self.subwords
        return few

    def revised(
        self, at: Rows, vectors: Vectors, words: Sequence[str], origin: npt.NDArray[np.uint8]
    ) -> EmbeddingTable:
        """Return a table with some rows replaced and further words behind those it has.

        Of a table whose vectors can't change, such as those of a file opened in place, the new one
        shares all other rows; else they are copied.

        Args:
            at: int64 `(n,)`, the rows to replace, each once.
            vectors: float32 `(n + len(words), D)`, what stands in their places, then the vectors of
                the further words.
            words: words that the table lacks.
            origin: uint8 `(V + len(words),)`, the codes of all rows.
        """
        stored = self.stored
        rows = RevisedRows(stored, at, vectors)
        is_shared = isinstance(stored, RevisedRows) or is_read_only(stored)
        return EmbeddingTable(
            extended(self.words, words), rows if is_shared else rows.whole(), self.metadata, origin
        )

    def most_similar(
        self,
        positive: str | npt.ArrayLike | Sequence[str | Vectors],
        negative: str | Sequence[str | Vectors] = (),
        topn: int = 10,
    ) -> list[tuple[str, float]]:
        """Return the words nearest by cosine to a sum of vectors, as gensim does.

        Args:
            positive: a word, a vector `(D,)`, or a list of either, that adds to the query. A word
                is a vector of length 1, a vector is taken as it is.
            negative: words or vectors that subtract from it.
            topn: how many words to return. Words of the query are left out.

        Returns:
            Pairs of a word and its cosine, best first.

        Raises:
            VocabularyError: the query is empty, a word of it is not in the table, a vector is of
                another shape, or `topn` is below 1.
        """
        if topn < 1:
            raise VocabularyError(f"topn={topn} asks for no words; pass topn=1 or more")
        added, subtracted = _as_items(positive), _as_items(negative)
        if not added and not subtracted:
            raise VocabularyError(
                "the query is empty; pass a word or a vector, such as most_similar('king')"
            )
        query = np.zeros(self.vector_size, np.float32)
        excluded: list[int] = []
        for sign, items in ((1.0, added), (-1.0, subtracted)):
            for item in items:
                if isinstance(item, str):
                    row = self._row_of(item)
                    if row < 0:
                        raise VocabularyError(
                            f"{item!r} is not in the table ({self!r}); ask first: {item!r} in table"
                        )
                    excluded.append(row)
                    item = unit(self.stored[row])
                vector = np.asarray(item, np.float32)
                if vector.shape != query.shape:
                    raise VocabularyError(
                        f"a query vector has the shape {vector.shape}; the table needs "
                        f"{query.shape}"
                    )
                query += sign * vector
        return self.nearest(query[None], topn, [excluded])[0]

    def nearest(
        self, queries: Vectors, topn: int, excluded: Sequence[Sequence[int]] | None = None
    ) -> list[list[tuple[str, float]]]:
        """Return the `topn` words nearest by cosine to each query vector, best first.

        Args:
            queries: `(Q, D)` vectors.
            topn: how many words to return for each.
            excluded: for each query the rows that must not be returned.
        """
        found = nearest_rows(self.stored, queries, topn, excluded)
        return [[(self.words[row], cosine) for row, cosine in rows] for rows in found]

    def to_keyed_vectors(self) -> KeyedVectors:
        """Return a gensim `KeyedVectors` of the same words and vectors (copied).

        Raises:
            MissingPackageError: gensim is not installed.
        """
        try:
            from gensim.models import KeyedVectors
        except ImportError as error:
            raise missing_extra("gensim") from error

        keyed = KeyedVectors(self.vector_size, dtype=np.float32)
        keyed.add_vectors(self.index_to_key, np.array(self.vectors))
        return keyed

    @classmethod
    def from_keyed_vectors(cls, keyed: KeyedVectors) -> EmbeddingTable:
        """Return a table of a gensim `KeyedVectors`' words and vectors (copied)."""
        keys = list(keyed.index_to_key)
        rows = [row for row, key in enumerate(keys) if key is not None]  # gensim 4.4 on duplicates
        return cls([keys[row] for row in rows], keyed.vectors[rows], {"source_format": "gensim"})


def sha256_of_table(table: EmbeddingTable) -> str:
    """Return a hash of a table's words and vectors."""
    digest = hashlib.sha256(repr(table.index_to_key).encode("utf-8", "surrogatepass"))
    for start in range(0, len(table), BLOCK):
        rows = table.rows(slice(start, start + BLOCK))
        digest.update(np.ascontiguousarray(rows, np.float32).data)
    return digest.hexdigest()


def _as_items(query: Any) -> list[Any]:
    """Tell one word or vector from a list of them."""
    if isinstance(query, str):
        return [query]
    if isinstance(query, np.ndarray) and query.ndim == 1 and query.dtype.kind not in "UO":
        return [query]
    items = list(query)
    return [query] if items and isinstance(items[0], numbers.Real) else items
