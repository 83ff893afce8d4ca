"""`EmbeddingTable`: words and their vectors in two aligned columns. numpy only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from .errors import VocabularyError

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

__all__ = ["EmbeddingTable", "Origin", "PackedWords", "Subwords", "Vectors"]

Vectors = npt.NDArray[np.float32]

#: Rows compared at a time in a search, so that a memory-mapped table is never copied whole.
SEARCH_BLOCK = 65_536


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


class PackedWords(Sequence[str]):
    """Words as the bytes of all of them and where each begins, decoded when asked for.

    Bytes that are not UTF-8 become lone surrogates (PEP 383).

    Args:
        data: the bytes of all words, one after the other.
        offsets: int64 `(V + 1,)`; word `i` is `data[offsets[i]:offsets[i + 1]]`.
    """

    def __init__(self, data: memoryview | bytes, offsets: npt.NDArray[np.int64]) -> None:
        self._data, self._offsets = data, offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            start, stop, step = row.indices(len(self))
            return self._decode(start, stop)[::step] if step > 0 else list(self)[row]
        at = range(len(self))[row]
        return self._decode(at, at + 1)[0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._decode(0, len(self)))

    def _decode(self, start: int, stop: int) -> list[str]:
        """Return some words, together faster than one by one."""
        if stop <= start:
            return []
        at = self._offsets[start : stop + 1]
        data = bytes(self._data[int(at[0]) : int(at[-1])])
        begins = (at - at[0]).tolist()
        if data.isascii():
            text = data.decode("ascii")
            return [text[begin:end] for begin, end in pairwise(begins)]
        return [
            data[begin:end].decode("utf-8", "surrogateescape") for begin, end in pairwise(begins)
        ]


class EmbeddingTable:
    """Word vectors: row `i` of `vectors` belongs to the word `index_to_key[i]`.

    Attributes:
        vectors: float32 array `(V, D)`; may be a read-only memory map of a file.
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
        vectors: npt.ArrayLike,
        metadata: Mapping[str, str] | None = None,
        origin: npt.ArrayLike | None = None,
    ) -> None:
        self._words: list[str] | PackedWords = (
            index_to_key if isinstance(index_to_key, (list, PackedWords)) else list(index_to_key)
        )
        self.subwords: Subwords | None = None
        self.vectors: Vectors = np.asarray(vectors, dtype=np.float32)
        self.metadata: dict[str, str] = dict(metadata or {})
        rows = len(self._words)
        if self.vectors.ndim != 2 or len(self.vectors) != rows:
            raise VocabularyError(
                f"{rows:,} words need vectors of shape ({rows}, D), not {self.vectors.shape}; "
                "call EmbeddingTable(index_to_key, vectors) with one row a word"
            )
        self.origin: npt.NDArray[np.uint8] = (
            np.zeros(rows, np.uint8) if origin is None else np.asarray(origin, np.uint8)
        )
        if self.origin.shape != (rows,):
            raise VocabularyError(f"origin must have the shape ({rows},), not {self.origin.shape}")

    @cached_property
    def index_to_key(self) -> list[str]:
        """The `V` words in row order; those of a file opened in place are decoded on first use."""
        return self._words if isinstance(self._words, list) else list(self._words)

    @cached_property
    def key_to_index(self) -> dict[str, int]:
        """The row of each word, built when first asked for.

        Raises:
            VocabularyError: a word stands in two rows.
        """
        index = {key: row for row, key in enumerate(self.index_to_key)}
        if len(index) != len(self.index_to_key):
            twice, row = next(
                (key, row) for row, key in enumerate(self.index_to_key) if index[key] != row
            )
            raise VocabularyError(
                f"the word {twice!r} stands in the rows {row} and {index[twice]}; "
                "a table needs distinct words"
            )
        return index

    @property
    def vector_size(self) -> int:
        """The number `D` of values in a vector."""
        return int(self.vectors.shape[1])

    def __len__(self) -> int:
        return len(self._words)

    def __contains__(self, key: object) -> bool:
        return key in self.key_to_index

    def __getitem__(self, key: str) -> Vectors:
        """Return the vector `(D,)` of a word, as a view.

        Raises:
            KeyError: the table lacks the word.
        """
        vector: Vectors = self.vectors[self.key_to_index[key]]
        return vector

    def __repr__(self) -> str:
        return f"EmbeddingTable({len(self):,} words x {self.vector_size})"

    def __str__(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in self.metadata.items() if value)
        return f"{self!r}: {told}" if told else repr(self)

    def rows_of(self, keys: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the row of each word as int64 `(len(keys),)`, -1 where the table lacks it."""
        find = self.key_to_index.get
        return np.fromiter((find(key, -1) for key in keys), np.int64)

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
        few = EmbeddingTable(keys, self.vectors[rows], self.metadata, self.origin[rows])
        few.subwords = self.subwords
        return few

    def most_similar(
        self,
        positive: str | npt.ArrayLike | Sequence[str | Vectors],
        negative: str | Sequence[str | Vectors] = (),
        topn: int = 10,
    ) -> list[tuple[str, float]]:
        """Return the words nearest by cosine to the sum of unit vectors, as gensim does.

        Args:
            positive: a word, a vector `(D,)`, or a list of either, that adds to the query.
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
                    if item not in self:
                        raise VocabularyError(
                            f"{item!r} is not in the table ({self!r}); ask first: {item!r} in table"
                        )
                    excluded.append(self.key_to_index[item])
                    item = self[item]
                vector = np.asarray(item, np.float32)
                if vector.shape != query.shape:
                    raise VocabularyError(
                        f"a query vector has the shape {vector.shape}; the table needs "
                        f"{query.shape}"
                    )
                query += sign * _unit(vector)
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
        cosine = np.empty((len(queries), len(self)), np.float32)
        unit = _unit(np.asarray(queries, np.float32))
        with np.errstate(invalid="ignore"):  # infinite rows have no cosine
            for start in range(0, len(self), SEARCH_BLOCK):
                block = self.vectors[start : start + SEARCH_BLOCK]
                norms = np.linalg.norm(block, axis=1)
                cosine[:, start : start + SEARCH_BLOCK] = unit @ block.T / np.where(norms, norms, 1)
        cosine[np.isnan(cosine)] = -np.inf
        found = []
        for scores, rows in zip(cosine, excluded or [()] * len(queries), strict=True):
            scores[list(rows)] = -np.inf
            best = np.argpartition(-scores, min(topn, len(self) - 1))[:topn]
            best = best[np.lexsort((best, -scores[best]))]
            best = best[scores[best] > -np.inf]
            found.append([(self.index_to_key[row], float(scores[row])) for row in best])
        return found

    def to_keyed_vectors(self) -> KeyedVectors:
        """Return a gensim `KeyedVectors` of the same words and vectors (copied)."""
        from gensim.models import KeyedVectors

        keyed = KeyedVectors(self.vector_size, dtype=np.float32)
        keyed.add_vectors(self.index_to_key, np.array(self.vectors))
        return keyed

    @classmethod
    def from_keyed_vectors(cls, keyed: KeyedVectors) -> EmbeddingTable:
        """Return a table of a gensim `KeyedVectors`' words and vectors (copied)."""
        keys = list(keyed.index_to_key)
        rows = [row for row, key in enumerate(keys) if key is not None]  # gensim 4.4 on duplicates
        return cls([keys[row] for row in rows], keyed.vectors[rows], {"source_format": "gensim"})


def _as_items(query: Any) -> list[Any]:
    """Tell one word or vector from a list of them."""
    if isinstance(query, str):
        return [query]
    if isinstance(query, np.ndarray) and query.ndim == 1:
        return [query]
    items = list(query)
    return [query] if items and isinstance(items[0], (int, float)) else items


def _unit(vectors: Vectors) -> Vectors:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # of infinite numbers
        return np.asarray(vectors / np.where(norms, norms, 1), np.float32)
