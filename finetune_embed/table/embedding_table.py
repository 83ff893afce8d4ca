"""`EmbeddingTable`: words and their vectors, row by row. numpy only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import Option, VocabularyError, optional_packages, printable
from ..files import refuse_changed
from .coding import CodedRows
from .lazy_rows import LazyRows, Vectors
from .neighbours import nearest_rows, unit
from .packed_words import PackedWords, Rows, append_words, rows_by_word
from .patched_rows import PatchedRows, is_read_only
from .pipeline_tokenizer import PipelineTokenizer
from .query import missing_word, query_items, query_vector
from .subwords import Subwords

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

__all__ = ["EmbeddingTable"]


class EmbeddingTable:
    """Word vectors: row `i` of `vectors` belongs to the word `index_to_key[i]`.

    Attributes:
        words: the `V` words in row order: a list, or packed and decoded on access, as those of a
            file opened in place are.
        metadata: where the table comes from, as strings.
        origin: uint8 array `(V,)`, the `Origin` code of each row.
        subwords: composes vectors for words that the table lacks, if its file has subword rows;
            else None.
        tokenizer: what splits texts into the words of the table, if its file says so; else None.

    Args:
        index_to_key: `V` distinct words.
        vectors: `(V, D)` numbers; converted to float32.
        metadata: strings to keep with the table.
        origin: `(V,)` codes of `Origin`; by default all `PRETRAINED`.

    Raises:
        VocabularyError: the shapes don't agree. A word that occurs twice raises when
            `key_to_index` is first used.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> table["bad"]
        array([0., 1.], dtype=float32)
        >>> table.most_similar("good", topn=1)
        [('bad', 0.0)]
        >>> table.vectors.shape, table.key_to_index["bad"]
        ((2, 2), 1)
    """

    def __init__(
        self,
        index_to_key: Sequence[str],
        vectors: npt.ArrayLike | LazyRows,
        metadata: Mapping[str, str] | None = None,
        origin: npt.ArrayLike | None = None,
    ) -> None:
        self.words: list[str] | PackedWords = (
            index_to_key if isinstance(index_to_key, (list, PackedWords)) else list(index_to_key)
        )
        self.subwords: Subwords | None = None
        self.tokenizer: PipelineTokenizer | None = None
        self._lazy: LazyRows | None = None
        self._decoded: Vectors | None = None  # what `vectors` was made to of coded rows
        if isinstance(vectors, LazyRows):
            self._lazy = vectors
        else:
            self.vectors = np.asarray(vectors, dtype=np.float32)
        self.metadata: dict[str, str] = dict(metadata or {})
        rows, shape = len(self.words), self.stored.shape
        if len(shape) != 2 or shape[0] != rows:
            raise VocabularyError(
                f"{rows:,} words need vectors of shape ({rows}, D), not {shape}",
                value=shape,
                remedy="call EmbeddingTable(index_to_key, vectors) with one row per word",
            )
        self.origin: npt.NDArray[np.uint8] = (
            np.zeros(rows, np.uint8) if origin is None else np.asarray(origin, np.uint8)
        )
        if self.origin.shape != (rows,):
            raise VocabularyError(
                (Option("origin"), f" must have the shape ({rows},), not {self.origin.shape}"),
                value=self.origin.shape,
            )

    @cached_property
    def vectors(self) -> Vectors:
        """All vectors, float32 `(V, D)`; may be a read-only memory map of a file.

        For a table tuned from a read-only one, and for one whose file has another type of numbers
        or several shards, the first access builds the array in memory; `rows` returns some rows
        without that.
        """
        assert self._lazy is not None
        array = self._lazy.to_array()
        if isinstance(self._lazy, CodedRows):
            array.flags.writeable = False  # like that of a mapped file, so that `coded` stays true
            self._decoded = array
        return array

    @property
    def stored(self) -> Vectors | LazyRows:
        """The vectors `(V, D)` as held in memory, an array or rows made when they are used."""
        if self._lazy is None or "vectors" in self.__dict__:
            return self.vectors
        return self._lazy

    @property
    def coded(self) -> CodedRows | None:
        """The rows as their file holds them, if it is in shards or of another type than float32."""
        changed = "vectors" in self.__dict__ and (
            self.vectors is not self._decoded or self.vectors.flags.writeable
        )
        return self._lazy if isinstance(self._lazy, CodedRows) and not changed else None

    def rows(self, which: slice | Rows) -> Vectors:
        """Return the vectors `(n, D)` of some rows, given as a slice or as row numbers.

        Only these rows are read. A slice of an array is a view.
        """
        return self.stored[which]

    @cached_property
    def index_to_key(self) -> list[str]:
        """The `V` words in row order; words of a file opened in place are decoded on first use."""
        return self.words if isinstance(self.words, list) else self.words[:]

    @cached_property
    def key_to_index(self) -> dict[str, int]:
        """The row of each word, built on first use.

        Raises:
            VocabularyError: a word occurs in two rows.
        """
        return rows_by_word(self.index_to_key)

    @property
    def vector_size(self) -> int:
        """The number of values in a vector, `D`."""
        return int(self.stored.shape[1])

    def check_unchanged(self) -> None:
        """Check that the file that the vectors are mapped from was not changed in place.

        Writers and hashes call it. A file that was replaced by another one does not matter: the
        table keeps the old one.

        Raises:
            VectorFileError: the size of the file or the time of its last change differs from when
                it was opened.
        """
        if isinstance(self.words, PackedWords):
            refuse_changed(np.frombuffer(self.words.data, np.uint8))
        stored = self.stored
        for array in stored.arrays() if isinstance(stored, LazyRows) else [stored]:
            refuse_changed(array)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, key: object) -> bool:
        return self._row_of(key) >= 0

    def __getitem__(self, key: str) -> Vectors:
        """Return the vector `(D,)` of a word as a view, read-only if it is in a file.

        Raises:
            KeyError: the table lacks the word.
        """
        row = self._row_of(key)
        if row < 0:
            raise KeyError(key)
        vector: Vectors = self.stored[row]
        return vector

    def _row_of(self, key: Any) -> int:
        packed = self._packed_words
        return self.key_to_index.get(key, -1) if packed is None else packed.row_of(key)

    @property
    def _packed_words(self) -> PackedWords | None:
        """The words, if they are packed and `key_to_index` was not built yet."""
        words = self.words
        has_dictionary = "key_to_index" in self.__dict__
        return words if isinstance(words, PackedWords) and not has_dictionary else None

    def __repr__(self) -> str:
        return f"EmbeddingTable({len(self):,} words x {self.vector_size})"

    def __str__(self) -> str:
        details = ", ".join(f"{name} {value}" for name, value in self.metadata.items() if value)
        return f"{self!r}: {details}" if details else repr(self)

    def rows_of(self, keys: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the row of each word as int64 `(len(keys),)`, -1 if the table lacks it.

        Raises:
            VocabularyError: a word occurs in two rows.
        """
        packed = self._packed_words
        if packed is not None:
            return packed.rows_of(list(keys))
        return np.fromiter(map(self.key_to_index.get, keys, repeat(-1)), np.int64)

    def subset(self, keys: Iterable[str]) -> EmbeddingTable:
        """Return a new table of these words, in this order; rows are copied.

        Raises:
            VocabularyError: a word is not in the table.
        """
        keys = list(keys)
        rows = self.rows_of(keys)
        missing = [key for key, row in zip(keys, rows, strict=True) if row < 0]
        if missing:
            raise VocabularyError(
                f"{len(missing):,} of {len(keys):,} words are not in the table; the first is "
                f"'{printable(missing[0])}'",
                value=missing[0],
                remedy="pass only words of the table: table.subset(k for k in keys if k in table)",
            )
        subset = EmbeddingTable(keys, self.rows(rows), self.metadata, self.origin[rows])
        subset.subwords, subset.tokenizer = self.subwords, self.tokenizer
        return subset

    def patched(
        self, rows: Rows, vectors: Vectors, words: Sequence[str], origin: npt.NDArray[np.uint8]
    ) -> EmbeddingTable:
        """Return a table with some rows replaced and new words appended.

        If this table is read-only, such as one opened in place, the new table shares its other
        rows; otherwise they are copied.

        Args:
            rows: int64 `(n,)`, the rows to replace, each once.
            vectors: float32 `(n + len(words), D)`, the replacements, then the vectors of the new
                words.
            words: words that the table lacks.
            origin: uint8 `(V + len(words),)`, the `Origin` codes of all rows of the new table.
        """
        stored = self.stored
        patched = PatchedRows(stored, rows, vectors)
        is_shared = isinstance(stored, LazyRows) or is_read_only(stored)
        new = EmbeddingTable(
            append_words(self.words, words),
            patched if is_shared else patched.to_array(),
            self.metadata,
            origin,
        )
        new.tokenizer = self.tokenizer
        return new

    def most_similar(
        self,
        positive: str | npt.ArrayLike | Sequence[str | Vectors],
        negative: str | Sequence[str | Vectors] = (),
        topn: int = 10,
    ) -> list[tuple[str, float]]:
        """Return the words nearest by cosine to a sum of vectors, as in gensim.

        Args:
            positive: a word, a vector `(D,)`, or a list of them, added to the query. The vectors of
                words are scaled to length 1, given vectors are used unchanged.
            negative: words or vectors subtracted from the query.
            topn: the number of words to return. Words of the query are left out.

        Returns:
            Pairs of a word and its cosine, best first.

        Raises:
            VocabularyError: the query is empty, a word of it is not in the table, a vector has the
                wrong shape, or `topn` is below 1.
        """
        if topn < 1:
            raise VocabularyError("must be 1 or more", option="topn", value=topn)
        added, subtracted = query_items(positive), query_items(negative)
        words = [item for item in (*added, *subtracted) if isinstance(item, str)]
        rows = [self._row_of_query_word(word) for word in words]
        query = query_vector(
            added, subtracted, self.vector_size, lambda word: unit(self.stored[self._row_of(word)])
        )
        return self.nearest(query[None], topn, [rows])[0]

    def _row_of_query_word(self, word: str) -> int:
        row = self._row_of(word)
        if row < 0:
            raise missing_word(word, f"the table ({self!r})", self.words, self.__contains__)
        return row

    def nearest(
        self, queries: Vectors, topn: int, excluded: Sequence[Sequence[int]] | None = None
    ) -> list[list[tuple[str, float]]]:
        """Return the `topn` words nearest to each query vector by cosine, best first.

        Args:
            queries: `(Q, D)` vectors.
            topn: the number of words to return for each query.
            excluded: for each query, the rows to leave out.
        """
        found = nearest_rows(self.stored, queries, topn, excluded)
        return [[(self.words[row], cosine) for row, cosine in rows] for rows in found]

    def to_keyed_vectors(self) -> KeyedVectors:
        """Return a gensim `KeyedVectors` with copies of the words and vectors.

        Raises:
            MissingPackageError: gensim is not installed.
            VectorFileError: the file of the vectors was changed; see `check_unchanged`.
        """
        self.check_unchanged()
        with optional_packages("gensim"):
            from gensim.models import KeyedVectors

        keyed = KeyedVectors(self.vector_size, dtype=np.float32)
        keyed.add_vectors(self.index_to_key, np.array(self.vectors))
        return keyed

    @classmethod
    def from_keyed_vectors(cls, keyed: KeyedVectors) -> EmbeddingTable:
        """Return a table with copies of the words and vectors of a gensim `KeyedVectors`."""
        keys = list(keyed.index_to_key)
        rows = [row for row, key in enumerate(keys) if key is not None]  # duplicates in gensim 4.4
        return cls([keys[row] for row in rows], keyed.vectors[rows], {"source_format": "gensim"})
