"""The share of its nearest neighbours that a word keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..table import EmbeddingTable, Rows, unit

__all__ = ["neighbour_overlap"]

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
