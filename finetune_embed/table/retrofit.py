"""Lexicons, which say what words are related, and vectors retrofitted to them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError
from .embedding_table import EmbeddingTable, Origin

__all__ = ["Lexicon", "pairs_of", "read_lexicon", "retrofit"]

Lexicon = Mapping[str, Sequence[str]]
TOLERANCE, MOST_ROUNDS = 1e-7, 10_000


def read_lexicon(path: str | os.PathLike[str]) -> dict[str, list[str]]:
    """Read a lexicon in the form of Faruqui et al. (2015): a line has a word and related words.

    Args:
        path: a text file in UTF-8, words between blanks. Lines of the same word are joined; a line
            of one word says nothing.

    Raises:
        VocabularyError: the file can't be read, or has no line of two words.
    """
    lexicon: dict[str, list[str]] = {}
    try:
        with open(path, encoding="utf-8-sig") as file:
            for line in file:
                word, *related = line.split() or [""]
                if related:
                    lexicon.setdefault(word, []).extend(related)
    except (OSError, UnicodeDecodeError) as error:
        raise VocabularyError(f"the lexicon {os.fspath(path)!r} can't be read: {error}") from error
    if not lexicon:
        raise VocabularyError(
            f"the lexicon {os.fspath(path)!r} has no line of a word and a related one: "
            "good fine excellent"
        )
    return lexicon


def pairs_of(
    lexicon: Lexicon, rows_of: Iterable[tuple[str, int]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the pairs of related words that both have a row, as rows `(P,)` and `(P,)`.

    Each pair stands once for each line that names it, sorted by the first row; a word is not
    related to itself.

    Args:
        lexicon: the related words of each word.
        rows_of: words and their rows.
    """
    known = dict(rows_of)
    found = [
        (known[word], known[other])
        for word, others in lexicon.items()
        if word in known
        for other in dict.fromkeys(others)
        if other in known and other != word
    ]
    pairs = np.array(sorted(found), np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def retrofit(
    table: EmbeddingTable, lexicon: Lexicon | str | os.PathLike[str], *, alpha: float = 1.0
) -> EmbeddingTable:
    """Return a table whose related words have moved together (Faruqui et al. 2015, NAACL).

    The vectors `q` that make `alpha |q_i - w_i|^2 + mean_j |q_i - q_j|^2`, over the related words
    `j` of each word `i`, stand still: `q_i = (alpha w_i + mean_j q_j) / (alpha + 1)`. The paper
    does ten rounds, word after word; this goes on until nothing moves, so that the order of words
    does not matter. No task is needed, and no training.

    Args:
        table: the vectors `w`, `(V, D)`.
        lexicon: the related words of each word, or a file for `read_lexicon`.
        alpha: the weight of a word's own vector against all of its related words together.

    Returns:
        A new table. Words without a related word in the table keep their bits.

    Raises:
        VocabularyError: no two related words are in the table, `alpha` is not above 0 or so small
            that vectors move on and on, related words are no list, or a vector of one is not
            finite.
    """
    if not 0 < alpha < float("inf"):
        raise VocabularyError(f"alpha={alpha} must be above 0: the weight of a word's own vector")
    if isinstance(lexicon, (str, os.PathLike)):
        lexicon = read_lexicon(lexicon)
    if texts := [word for word, others in lexicon.items() if isinstance(others, str)]:
        raise VocabularyError(
            f"the lexicon has a text for {texts[0]!r}, {lexicon[texts[0]]!r}; give a list of words"
        )
    words = list(dict.fromkeys(word for line in lexicon.items() for word in (line[0], *line[1])))
    rows = table.rows_of(words)
    at = dict(zip(words, rows.tolist(), strict=True))
    first, second = pairs_of(lexicon, ((word, row) for word, row in at.items() if row >= 0))
    if not len(first):
        raise VocabularyError(
            f"no two related words of the lexicon are in the table ({table!r}); are they of one "
            "language and case?"
        )
    used, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, other = np.split(places, 2)
    moving, starts = np.unique(one, return_index=True)
    counts = np.diff(starts, append=len(one))[:, None]
    start = table.rows(used).astype(np.float64)
    if not np.isfinite(start).all():
        bad = table.words[int(used[np.flatnonzero(~np.isfinite(start).all(axis=1))[0]])]
        raise VocabularyError(f"the vector of {bad!r} has values that are not finite")
    vectors, sizes = start.copy(), np.abs(start).max(axis=1)
    least = 1e-3 * np.median(sizes) or 1.0  # a row of zeros has no size to measure by
    # What is left to go is at most the last change over alpha: a round draws together by 1 + alpha.
    still = TOLERANCE * min(1.0, alpha)
    for _ in range(MOST_ROUNDS):
        mean = np.add.reduceat(vectors[other], starts, axis=0) / counts
        moved = (alpha * start[moving] + mean) / (alpha + 1)
        change = np.abs(moved - vectors[moving]).max(axis=1)
        vectors[moving] = moved
        if (change <= still * np.maximum(np.abs(moved).max(axis=1), least)).all():
            break
    else:
        raise VocabularyError(
            f"with alpha={alpha:g} vectors still move after {MOST_ROUNDS:,} rounds; give a word's "
            "own vector more weight: alpha=0.1"
        )
    origin = table.origin.copy()
    origin[used[moving]] = Origin.TUNED
    return table.revised(used[moving], vectors[moving].astype(np.float32), [], origin)
