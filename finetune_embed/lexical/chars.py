"""TF-IDF of the characters of words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, pairwise

import numpy as np

from .rows import Counts, Floats, Numbers, SparseRows, counts_of, idf_of, joined, most_frequent

__all__ = ["SIZE", "CharTfidf", "char_ngrams"]

SIZE = 4  # characters of an n-gram
#: An n-gram that occurs in only one text says nothing about others.
LEAST_TEXTS = 2
BLOCK = 1 << 18  # about how many tokens are counted at a time, which bounds the memory


def char_ngrams(word: str) -> list[str]:
    """Return the n-grams of 4 characters of a word between two blanks.

    Those of "word" are " wor", "word" and "ord ". A word of one character has one, which ends with
    two blanks; an empty one has none.
    """
    padded = f" {word} ".ljust(SIZE) if word else ""
    return [padded[start : start + SIZE] for start in range(len(padded) - SIZE + 1)]


class CharTfidf:
    """The n-grams of characters of words, weighted by TF-IDF, in rows of length 1.

    They relate words to their other forms and spellings, and to words that training did not have.
    The weights are those of scikit-learn's `TfidfVectorizer(sublinear_tf=True)`.

    Args:
        ngrams: `G` n-grams, without duplicates.
        idf: float32 `(G,)`, the weight of each.
    """

    def __init__(self, ngrams: Sequence[str], idf: Floats) -> None:
        self.ngrams, self.idf = ngrams, idf
        self._columns = {ngram: column for column, ngram in enumerate(ngrams)}

    @classmethod
    def fit_transform(
        cls, numbers: Numbers, lengths: Numbers, words: Sequence[str], most: int
    ) -> tuple[CharTfidf, SparseRows]:
        """Return what the features of texts are, and those of these texts.

        Args:
            numbers: int64 `(N,)`, which word each token is, one text after the other.
            lengths: int64 `(B,)`, the number of tokens of each text.
            words: the distinct words; an empty one has no n-grams.
            most: the number of n-grams at most; those that fewer texts have are left out.
        """
        ngrams = dict.fromkeys(chain.from_iterable(map(char_ngrams, words)))
        counts = cls(list(ngrams), np.zeros(0, np.float32))._counts(numbers, lengths, words)
        kept = most_frequent(np.bincount(counts.columns, minlength=len(ngrams)), LEAST_TEXTS, most)
        counts = counts.only(kept)
        left = [ngram for ngram, is_kept in zip(ngrams, kept.tolist(), strict=True) if is_kept]
        found = cls(left, idf_of(counts.columns, len(left), len(lengths)))
        return found, counts.weighted(found.idf)

    def __call__(self, numbers: Numbers, lengths: Numbers, words: Sequence[str]) -> SparseRows:
        """Return the features of texts, which are given as in `fit_transform`."""
        return self._counts(numbers, lengths, words).weighted(self.idf)

    def _counts(self, numbers: Numbers, lengths: Numbers, words: Sequence[str]) -> Counts:
        get = self._columns.get
        of_words = [
            [column for ngram in char_ngrams(word) if (column := get(ngram)) is not None]
            for word in words
        ]
        sizes = np.array([len(columns) for columns in of_words], np.int64)
        columns = np.fromiter(chain.from_iterable(of_words), np.int64)
        starts = sizes.cumsum() - sizes

        def block(numbers: Numbers, lengths: Numbers) -> Counts:
            size = sizes[numbers]
            at = np.arange(size.sum()) + (starts[numbers] - size.cumsum() + size).repeat(size)
            text = np.arange(len(lengths)).repeat(lengths).repeat(size)
            return counts_of(text, columns[at], len(lengths), len(self.ngrams))

        if len(numbers) <= BLOCK:
            return block(numbers, lengths)
        ends = np.concatenate([[0], lengths.cumsum()])
        edges = [*np.searchsorted(ends, range(0, len(numbers), BLOCK)).tolist(), len(lengths)]
        return joined([block(numbers[ends[a] : ends[b]], lengths[a:b]) for a, b in pairwise(edges)])
