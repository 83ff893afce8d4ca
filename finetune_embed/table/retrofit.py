"""Move the vectors of related words together, without training (retrofitting)."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

from ..errors import Option, VocabularyError
from .embedding_table import EmbeddingTable
from .lexicon import Lexicon, read_lexicon, related_rows
from .origin import Origin
from .packed_words import Rows

__all__ = ["retrofit"]

TOLERANCE, MAX_ROUNDS = 1e-7, 10_000


def retrofit(
    table: EmbeddingTable, lexicon: Lexicon | str | os.PathLike[str], *, alpha: float = 1.0
) -> EmbeddingTable:
    """Return a table whose related words have moved together (Faruqui et al. 2015, NAACL).

    Each vector `q_i` minimises `alpha |q_i - w_i|^2 + mean_j |q_i - q_j|^2` over the related words
    `j` of word `i`, with the others fixed: `q_i = (alpha w_i + mean_j q_j) / (alpha + 1)`. The
    paper does ten rounds, word after word; this iterates until nothing moves, so the order of words
    does not matter.

    Args:
        table: the vectors `w`, `(V, D)`.
        lexicon: the related words of each word, or a file for `read_lexicon`.
        alpha: the weight of a word's own vector against all of its related words together.

    Returns:
        A new table. Words without a related word in the table keep their bits.

    Raises:
        VocabularyError: no two related words are in the table, related words are not a list, a
            vector of one is not finite, or `alpha` is not above 0 or too small to converge.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.retrofit(table, {"good": ["bad"]})["good"].tolist()
        [0.5, 0.5]
    """
    if not 0 < alpha < float("inf"):
        raise VocabularyError("must be above 0 and finite", option="alpha", value=alpha)
    if isinstance(lexicon, (str, os.PathLike)):
        lexicon = read_lexicon(lexicon)
    first, second = _pairs_in(table, lexicon)
    used, positions = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, other = np.split(positions, 2)
    moving, starts = np.unique(one, return_index=True)
    start = table.rows(used).astype(np.float64)
    if not np.isfinite(start).all():
        row = int(used[np.flatnonzero(~np.isfinite(start).all(axis=1))[0]])
        raise VocabularyError(
            f"the vector of {table.words[row]!r} (row {row}) has values that are not finite",
            value=table.words[row],
            remedy="leave this word out of the lexicon, or correct its vector",
        )
    vectors = _converged(start, moving, starts, other, alpha)
    origin = table.origin.copy()
    origin[used[moving]] = Origin.TUNED
    return table.patched(used[moving], vectors[moving].astype(np.float32), [], origin)


def _pairs_in(table: EmbeddingTable, lexicon: Lexicon) -> tuple[Rows, Rows]:
    """Return the pairs of related words that are in the table, as rows.

    Raises:
        VocabularyError: related words are not a list, or there is no pair.
    """
    for word, others in lexicon.items():
        if isinstance(others, str):
            raise VocabularyError(
                f"the lexicon maps {word!r} to the string {others!r}",
                value=others,
                remedy=f"give a list of words, such as {others.split()!r}",
            )
    words = list(dict.fromkeys(word for entry in lexicon.items() for word in (entry[0], *entry[1])))
    rows = zip(words, table.rows_of(words).tolist(), strict=True)
    first, second = related_rows(lexicon, ((word, row) for word, row in rows if row >= 0))
    if not len(first):
        raise VocabularyError(
            f"no two related words of the lexicon are in the table ({table!r})",
            remedy="use a lexicon of the table's language and case",
        )
    return first, second


def _converged(
    start: npt.NDArray[np.float64], moving: Rows, starts: Rows, other: Rows, alpha: float
) -> npt.NDArray[np.float64]:
    """Iterate the update until no vector moves.

    Args:
        start: the vectors `(U, D)` before.
        moving: the rows of `start` that have related words.
        starts: where the related words of each moving row start in `other`.
        other: the rows of the related words, grouped by moving row.
        alpha: see `retrofit`.

    Raises:
        VocabularyError: vectors still move after `MAX_ROUNDS`.
    """
    counts = np.diff(starts, append=len(other))[:, None]
    vectors, sizes = start.copy(), np.abs(start).max(axis=1)
    least = 1e-3 * np.median(sizes) or 1.0  # a zero row has no size to compare with
    # The distance left is at most the last change over alpha: a round contracts by 1 + alpha.
    tolerance = TOLERANCE * min(1.0, alpha)
    for _ in range(MAX_ROUNDS):
        mean = np.add.reduceat(vectors[other], starts, axis=0) / counts
        moved = (alpha * start[moving] + mean) / (alpha + 1)
        change = np.abs(moved - vectors[moving]).max(axis=1)
        vectors[moving] = moved
        if (change <= tolerance * np.maximum(np.abs(moved).max(axis=1), least)).all():
            return vectors
    raise VocabularyError(
        f"with alpha={alpha:g}, vectors still move after {MAX_ROUNDS:,} rounds",
        value=alpha,
        remedy=("give a word's own vector more weight, such as ", Option("alpha", 0.1)),
    )
