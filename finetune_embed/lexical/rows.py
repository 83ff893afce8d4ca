"""Sparse rows of features, and what chooses and weighs features."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = [
    "Floats",
    "Numbers",
    "SparseRows",
    "idf_of",
    "most_frequent",
    "side_by_side",
]

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
