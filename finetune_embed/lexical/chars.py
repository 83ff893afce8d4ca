"""TF-IDF of the characters of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .counts import Parts
from .rows import Floats, Numbers, SparseRows, idf_of, most_frequent

__all__ = ["SIZE", "CharTfidf", "char_ngrams"]

SIZE = 4  # characters of an n-gram
#: An n-gram that occurs in only one text says nothing about others.
LEAST_TEXTS = 2


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
        ngrams = dict[str, int]()
        of_words = [
            [ngrams.setdefault(ngram, len(ngrams)) for ngram in char_ngrams(word)] for word in words
        ]
        counts = Parts(of_words, len(ngrams)).counts(numbers, lengths)
        kept = most_frequent(np.bincount(counts.columns, minlength=len(ngrams)), LEAST_TEXTS, most)
        counts = counts.only(kept)
        left = [ngram for ngram, is_kept in zip(ngrams, kept.tolist(), strict=True) if is_kept]
        found = cls(left, idf_of(counts.columns, len(left), len(lengths)))
        return found, counts.weighted(found.idf)

    def __call__(self, numbers: Numbers, lengths: Numbers, words: Sequence[str]) -> SparseRows:
        """Return the features of texts, which are given as in `fit_transform`."""
        get = self._columns.get
        of_words = [
            [column for ngram in char_ngrams(word) if (column := get(ngram)) is not None]
            for word in words
        ]
        parts = Parts(of_words, len(self.ngrams))
        return parts.counts(numbers, lengths).weighted(self.idf)
