"""The share of their nearest neighbours that words keep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..table import EmbeddingTable, Rows, Vectors, top_rows, unit
from .intervals import Z

__all__ = ["Kept", "kept_neighbours", "neighbour_overlap"]

BLOCK = 512  # words compared at a time


def neighbour_overlap(
    base: EmbeddingTable,
    tuned: EmbeddingTable,
    words: Sequence[str],
    *,
    among: Sequence[str] | None = None,
    topn: int = 10,
) -> float:
    """Return the share of their nearest neighbours that words keep, from 0 to 1.

    Args:
        base: the table before.
        tuned: the table after.
        words: the words whose neighbours are compared; words that a table lacks don't count.
        among: the words that may be neighbours; by default `words`. If few rows of a table moved,
            restrict this to the words of the training data: most others keep all neighbours.
        topn: the number of neighbours of each word, by cosine.

    Returns:
        The mean over the words; nan if no word has a neighbour.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> fe.neighbour_overlap(table, table, ["king", "good"], topn=5)
        1.0
    """
    candidates = list(dict.fromkeys(words if among is None else among))
    rows = [table.rows_of(candidates) for table in (base, tuned)]
    known = np.flatnonzero((rows[0] >= 0) & (rows[1] >= 0))
    numbers = {candidates[at]: number for number, at in enumerate(known.tolist())}
    asked = np.array([numbers[word] for word in words if word in numbers], np.int64)
    topn = min(topn, len(known) - 1)
    if not len(asked) or topn < 1:
        return float("nan")
    before, after = (
        _nearest(table, at[known], asked, topn)
        for table, at in zip((base, tuned), rows, strict=True)
    )
    kept = [len(np.intersect1d(a, b)) for a, b in zip(before, after, strict=True)]
    return float(np.mean(kept)) / topn


def _nearest(table: EmbeddingTable, rows: Rows, asked: Rows, topn: int) -> npt.NDArray[np.int64]:
    """Return the `topn` nearest of `rows` to each of those at `asked`, `(len(asked), topn)`."""
    directions = unit(table.rows(rows))
    found = np.empty((len(asked), topn), np.int64)
    for first in range(0, len(asked), BLOCK):
        at = asked[first : first + BLOCK]
        cosine = directions[at] @ directions.T
        cosine[np.arange(len(at)), at] = -np.inf
        found[first : first + BLOCK] = np.argpartition(-cosine, topn - 1, axis=1)[:, :topn]
    return found


@dataclass(frozen=True)
class Kept:
    """The share of their nearest neighbours that words keep.

    Attributes:
        share: the mean over the words, from 0 to 1; nan without words.
        interval: its 95 % interval; the share itself, twice, if every word was measured.
        words: the number of words it is measured on.
        of: the number of words they were drawn from.
    """

    share: float
    interval: tuple[float, float]
    words: int
    of: int

    def __str__(self) -> str:
        if self.words == self.of:
            return f"{self.share:.1%} ({self.of:,} words)"
        low, high = self.interval
        return f"{self.share:.1%} ({low:.1%} to {high:.1%}; {self.words:,} of {self.of:,} words)"


def kept_neighbours(
    rows: Rows,
    before: Callable[[slice], Vectors],
    after: Callable[[slice], Vectors],
    count: int,
    *,
    k: int,
    sample: int,
    seed: int,
) -> Kept:
    """Return the share of their `k` nearest neighbours among all rows that some rows keep.

    Args:
        rows: the rows to draw from.
        before: returns a slice of all rows before.
        after: the same after.
        count: the number of all rows.
        k: the number of neighbours of each row, by cosine.
        sample: the number of rows to draw, without replacement.
        seed: the seed of the sample.
    """
    drawn = rows
    if len(rows) > sample:
        drawn = np.sort(np.random.default_rng(seed).choice(rows, sample, replace=False))
    k = min(k, count - 1)
    if not len(drawn) or k < 1:
        return Kept(float("nan"), (float("nan"), float("nan")), 0, len(rows))
    own, found = [[row] for row in drawn.tolist()], []
    has_any = np.ones(len(drawn), bool)
    for read in (before, after):
        vectors = np.concatenate([read(slice(row, row + 1)) for [row] in own])
        nearest, _ = top_rows(read, count, vectors, k, own)
        has_any &= (nearest[:, 0] >= 0) & vectors.any(axis=1)  # a zero row has no neighbours
        found.append(nearest)
    each = zip(found[0][has_any], found[1][has_any], strict=True)
    shares = np.array([len(np.intersect1d(a[a >= 0], b[b >= 0])) / k for a, b in each])
    return _mean_share(shares, len(rows) - int((~has_any).sum()))


def _mean_share(shares: npt.NDArray[np.float64], of: int) -> Kept:
    """Return the mean of a sample without replacement, with its normal interval."""
    if not len(shares):
        return Kept(float("nan"), (float("nan"), float("nan")), 0, of)
    mean, margin = float(shares.mean()), 0.0
    if 1 < len(shares) < of:
        of_finite = 1 - len(shares) / of  # what was drawn is known
        margin = Z * float(shares.std(ddof=1)) * (of_finite / len(shares)) ** 0.5
    return Kept(mean, (max(0.0, mean - margin), min(1.0, mean + margin)), len(shares), of)
