"""TF-IDF of words and pairs of words, over the ids of a vocabulary."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["NgramTfidf", "SparseRows"]

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

#: A pair of words that occurs only once says nothing about other texts.
LEAST_PAIRS = 2


class SparseRows(NamedTuple):
    """A sparse matrix `(B, F)`, row by row, as in the CSR format.

    Attributes:
        columns: int64 `(M,)`, ascending in each row.
        values: float32 `(M,)`.
        starts: int64 `(B + 1,)`, where each row starts.
    """

    columns: Numbers
    values: Floats
    starts: Numbers


class NgramTfidf:
    """Words and pairs of neighbouring words, weighted by TF-IDF, in rows of length 1.

    As in scikit-learn's `TfidfVectorizer(sublinear_tf=True)`: a feature that occurs `n` times in a
    text and in `d` of `B` texts has `(1 + ln n) (1 + ln((1 + B) / (1 + d)))`, divided by the norm
    of the text's row.

    Args:
        size: the number `V` of ids.
        pairs: int64 `(P,)`, `first * V + second` of each pair of ids, ascending.
        idf: float32 `(V + P,)`, the weight of each word and pair.
    """

    def __init__(self, size: int, pairs: Numbers, idf: Floats) -> None:
        self.size, self.pairs, self.idf = size, pairs, idf

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
        found = cls(size, np.zeros(0, np.int64), np.zeros(0, np.float32))
        pairs, counts = np.unique(found._pairs(ids, lengths)[0], return_counts=True)
        counts[(pairs // size < unused) | (pairs % size < unused)] = 0
        least, most = LEAST_PAIRS, max(most, 0)
        if len(counts) > most:  # the most frequent one that is left out says what is too rare
            least = max(least, int(np.partition(counts, -most - 1)[-most - 1]) + 1)
        found.pairs = pairs[counts >= least]
        columns, counts, starts = found._counts(ids, lengths)
        texts = np.bincount(columns, minlength=size + len(found.pairs))
        found.idf = (1 + np.log((1 + len(lengths)) / (1 + texts))).astype(np.float32)
        found.idf[:unused] = 0
        return found, found._rows(columns, counts, starts)

    def __call__(self, ids: Numbers, lengths: Numbers) -> SparseRows:
        """Return the features of texts; ids of `size` or more are unknown words."""
        return self._rows(*self._counts(ids, lengths))

    def _rows(self, columns: Numbers, counts: Numbers, starts: Numbers) -> SparseRows:
        """Return rows of length 1 from how often each column occurs."""
        texts = len(starts) - 1
        values = (1 + np.log(counts)) * self.idf[columns]
        rows = np.repeat(np.arange(texts), np.diff(starts))
        norms = np.sqrt(np.bincount(rows, values**2, texts))
        norms[norms == 0] = 1
        return SparseRows(columns, (values / norms[rows]).astype(np.float32), starts)

    def _pairs(self, ids: Numbers, lengths: Numbers) -> tuple[Numbers, Numbers]:
        """Return the pairs of neighbours and the text that each is in."""
        text = np.repeat(np.arange(len(lengths)), lengths)
        neighbours = text[:-1] == text[1:]
        if len(ids) and ids.max() >= self.size:
            neighbours &= (ids[:-1] < self.size) & (ids[1:] < self.size)
        return (ids[:-1] * self.size + ids[1:])[neighbours], text[:-1][neighbours]

    def _counts(self, ids: Numbers, lengths: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Return the columns of each text, how often each occurs, and where each text starts."""
        features = self.size + len(self.pairs)
        text = np.repeat(np.arange(len(lengths)), lengths)
        known = ids < self.size
        keys = [text[known] * features + ids[known]]
        if len(self.pairs):
            pairs, text = self._pairs(ids, lengths)
            column = np.searchsorted(self.pairs, pairs)
            known = self.pairs[np.minimum(column, len(self.pairs) - 1)] == pairs
            keys.append(text[known] * features + self.size + column[known])
        found, counts = np.unique(np.concatenate(keys), return_counts=True)
        starts = np.searchsorted(found, np.arange(len(lengths) + 1) * features)
        return found % features, counts, starts
