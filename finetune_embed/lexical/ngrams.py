"""TF-IDF of words and pairs of words, over the ids of a vocabulary."""

from __future__ import annotations

import numpy as np

from .counts import Pairs
from .rows import Floats, Numbers, SparseRows, idf_of, most_frequent

__all__ = ["NgramTfidf"]

#: A pair of words that occurs only once says nothing about other texts.
LEAST_PAIRS = 2


class NgramTfidf:
    """Words and pairs of neighbouring words, weighted by TF-IDF, in rows of length 1.

    The weights are those of scikit-learn's `TfidfVectorizer(sublinear_tf=True)`.

    Args:
        size: the number `V` of ids.
        pairs: int64 `(P,)`, `first * V + second` of each pair of ids, ascending.
        idf: float32 `(V + P,)`, the weight of each word and pair.
    """

    def __init__(self, size: int, pairs: Numbers, idf: Floats) -> None:
        self.size, self.pairs, self.idf = size, pairs, idf
        self.counted = Pairs(size, pairs)

    @classmethod
    def fit_transform(
        cls, ids: Numbers, lengths: Numbers, size: int, unused: int, most: int
    ) -> tuple[NgramTfidf, SparseRows]:
        """Return what the features of texts are, and those of these texts.

        Args:
            ids: int64 `(N,)`, the tokens of all texts, one text after the other.
            lengths: int64 `(B,)`, the number of tokens of each text.
            size: the number of ids.
            unused: ids below this are padding and unknown words, which are no features.
            most: the number of pairs at most; the rarer ones are left out.
        """
        keys, _ = Pairs(size, np.zeros(0, np.int64)).neighbours(ids, lengths)
        pairs, counts = np.unique(keys, return_counts=True)
        counts[(pairs // size < unused) | (pairs % size < unused)] = 0
        pairs = pairs[most_frequent(counts, LEAST_PAIRS, most)]
        found = cls(size, pairs, np.zeros(0, np.float32))
        features = found.counted.counts(ids, lengths)
        found.idf = idf_of(features.columns, size + len(pairs), len(lengths))
        found.idf[:unused] = 0
        return found, features.weighted(found.idf)

    def subset(self, ids: Numbers) -> tuple[NgramTfidf, Numbers]:
        """Return the features of some ids, numbered anew, and which of the features those are.

        Args:
            ids: int64 `(n,)`, ascending.
        """
        new = np.full(self.size, -1)
        new[ids] = np.arange(len(ids))
        first, second = new[self.pairs // self.size], new[self.pairs % self.size]
        (kept,) = ((first >= 0) & (second >= 0)).nonzero()
        features = np.concatenate([ids, self.size + kept])
        pairs = first[kept] * len(ids) + second[kept]
        return NgramTfidf(len(ids), pairs, self.idf[features]), features

    def __call__(self, ids: Numbers, lengths: Numbers) -> SparseRows:
        """Return the features of texts; ids of `size` or more are unknown words."""
        return self.counted.counts(ids, lengths).weighted(self.idf)
