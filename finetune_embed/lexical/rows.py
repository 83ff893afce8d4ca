"""Sparse rows of features, and their weights by TF-IDF."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "Counts",
    "Floats",
    "Numbers",
    "SparseRows",
    "counts_of",
    "idf_of",
    "in_blocks",
    "most_frequent",
    "side_by_side",
]

BLOCK = 1 << 18  # about how many tokens are counted at a time: their numbers fit the cache

Numbers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


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


class Counts(NamedTuple):
    """How often each feature occurs in each text: rows of `SparseRows`, with whole numbers.

    Attributes:
        columns: int64 `(M,)`, ascending in each row.
        counts: int64 `(M,)`, 1 or more.
        starts: int64 `(B + 1,)`, where each row starts.
    """

    columns: Numbers
    counts: Numbers
    starts: Numbers

    def weighted(self, idf: Floats) -> SparseRows:
        """Return rows of length 1, by sublinear TF-IDF.

        As in scikit-learn's `TfidfVectorizer(sublinear_tf=True)`: a feature that occurs `n` times
        in a text has `(1 + ln n) idf`, divided by the norm of the text's row.
        """
        texts = len(self.starts) - 1
        values = (1 + np.log(self.counts)) * idf[self.columns]
        rows = np.repeat(np.arange(texts), np.diff(self.starts))
        norms = np.sqrt(np.bincount(rows, values**2, texts))
        norms[norms == 0] = 1
        return SparseRows(self.columns, (values / norms[rows]).astype(np.float32), self.starts)

    def only(self, kept: npt.NDArray[np.bool_]) -> Counts:
        """Return the features of a mask `(F,)`, numbered anew."""
        found = kept[self.columns]
        starts = np.concatenate([[0], found.cumsum()])[self.starts]
        return Counts((kept.cumsum() - 1)[self.columns[found]], self.counts[found], starts)


def counts_of(texts: Numbers, columns: Numbers, rows: int, features: int) -> Counts:
    """Return how often each feature occurs in each text.

    Args:
        texts: int64 `(N,)`, the text of each occurrence.
        columns: int64 `(N,)`, the feature.
        rows: the number `B` of texts.
        features: the number `F` of features.
    """
    keys = texts * features + columns
    if rows * features < 1 << 32:
        keys = keys.astype(np.uint32)  # sorted in half the time
    found, counts = np.unique(keys, return_counts=True)
    found = found.astype(np.int64)
    starts = np.searchsorted(found, np.arange(rows + 1) * features)
    return Counts(found % max(features, 1), counts, starts)


def in_blocks(count: Callable[[slice, Numbers], Counts], lengths: Numbers) -> Counts:
    """Return the counts of texts, counted in blocks, which also bounds the memory.

    Args:
        count: returns the counts of some texts, from which tokens are theirs, and their lengths.
        lengths: int64 `(B,)`, the number of tokens of each text.
    """
    ends = np.concatenate([[0], lengths.cumsum()])
    if ends[-1] <= BLOCK:
        return count(slice(None), lengths)
    edges = [*np.searchsorted(ends, range(0, int(ends[-1]), BLOCK)).tolist(), len(lengths)]
    return _joined([count(slice(ends[a], ends[b]), lengths[a:b]) for a, b in pairwise(edges)])


def _joined(blocks: Sequence[Counts]) -> Counts:
    """Return the texts of several blocks, one after the other."""
    columns = np.concatenate([block.columns for block in blocks])
    counts = np.concatenate([block.counts for block in blocks])
    sizes = np.concatenate([np.diff(block.starts) for block in blocks])
    return Counts(columns, counts, np.concatenate([[0], sizes.cumsum()]))


def idf_of(columns: Numbers, features: int, texts: int) -> Floats:
    """Return `1 + ln((1 + B) / (1 + d))` of each feature, which `d` of `B` texts have.

    Args:
        columns: int64 `(M,)`, the features of all texts, each once a text.
        features: the number of features.
        texts: the number `B` of texts.
    """
    having = np.bincount(columns, minlength=features)
    return np.asarray(1 + np.log((1 + texts) / (1 + having)), np.float32)


def most_frequent(counts: Numbers, least: int, most: int) -> npt.NDArray[np.bool_]:
    """Return which counts are `least` or more, at most `most` of them: the highest.

    Of equal counts all or none are kept.
    """
    most = max(most, 0)
    if len(counts) > most:  # the highest one that is left out says what is too low
        least = max(least, int(np.partition(counts, -most - 1)[-most - 1]) + 1)
    return np.asarray(counts >= least)


def side_by_side(left: SparseRows, right: SparseRows, width: int) -> SparseRows:
    """Return the columns of both matrices, of which rows of length 1 have that length again.

    Args:
        left: `(B, F)`.
        right: `(B, G)`.
        width: the number `F` of columns of `left`.
    """
    starts = left.starts + right.starts
    columns, values = np.empty(starts[-1], np.int64), np.empty(starts[-1], np.float32)
    for one, before, first in (
        (left, right.starts[:-1], 0),
        (right, left.starts[1:], width),
    ):
        at = np.arange(len(one.columns)) + np.repeat(before, np.diff(one.starts))
        columns[at], values[at] = one.columns + first, one.values * np.float32(0.5**0.5)
    return SparseRows(columns, values, starts)
