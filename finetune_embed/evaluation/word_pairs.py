"""Agreement of cosines with human scores of word similarity."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..table import EmbeddingTable
from .intervals import NO_INTERVAL, Figure, Interval, Scored, of_correlation
from .word_lists import read_lines, rows_of_words, unit_rows

__all__ = ["WordPairs", "evaluate_word_pairs", "read_word_pairs"]

Pair = tuple[str, str, float]
_TAG = re.compile("(?!nan|inf)[a-z]{1,5}", re.IGNORECASE)  # a part of speech


@dataclass(frozen=True)
class WordPairs(Scored):
    """How well the cosines of a table agree with human scores of word pairs.

    Attributes:
        spearman: the rank correlation of cosines and scores, from -1 to 1; nan if fewer than three
            pairs were found.
        found: the number of pairs whose words are both in the table and have a cosine.
        pairs: the number of all pairs.
        pearson: the linear correlation of cosines and scores; nan likewise.
        interval: the 95 % interval of `spearman` over other pairs (Bonett and Wright 2000); nan
            where it has none.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> pairs = [("good", "great", 9.0), ("good", "bad", 6.0), ("good", "tuesday", 1.0)]
        >>> found = fe.evaluate_word_pairs(table, pairs)
        >>> found.found, found.pairs
        (3, 3)
    """

    spearman: float
    found: int
    pairs: int
    pearson: float = float("nan")
    interval: Interval = NO_INTERVAL

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that are printed."""
        return (Figure("Spearman", self.spearman, self.interval),)

    @property
    def coverage(self) -> str:
        """How much of the test set they are of."""
        return f"{self.found:,} of {self.pairs:,} pairs"


def read_word_pairs(path: str | os.PathLike[str]) -> list[Pair]:
    """Read pairs of words with a score, in the formats of SimLex-999, WordSim-353 and MEN.

    Args:
        path: a text file in UTF-8, one pair per line: two words and a number, separated by tabs or,
            in lines without a tab, by commas or spaces. A part of speech may precede the number, as
            in SimLex-999. More fields are ignored, as are lines that start with `#` and a first
            line without a number.

    Raises:
        DataError: the file can't be read, or a line is not two words and a number.

    Example:
        >>> import csv
        >>> with open("pairs.tsv", "w") as file:
        ...     _ = csv.writer(file, "excel-tab").writerow(["good", "great", 9.0])
        >>> fe.read_word_pairs("pairs.tsv")
        [('good', 'great', 9.0)]
    """
    pairs: list[Pair] = []
    for number, line in enumerate(read_lines(path, "word pairs"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        separator = next((one for one in ("\t", ",") if one in line), None)
        fields = [field.strip() for field in line.split(separator)]
        try:
            first, second, third = fields[:3]
            at = 3 if _TAG.fullmatch(third) else 2
            score = _finite(fields[at])
        except (IndexError, ValueError) as error:
            if number == 1 and len(fields) >= 3:
                continue  # names of columns
            raise DataError(
                f"{line[:80]!r} is not a pair of words with a score",
                where=f"{os.fspath(path)}:{number}",
                value=line,
                remedy="write two words and a number, separated by tabs: old<tab>new<tab>1.58",
            ) from error
        pairs.append((first, second, score))
    if not pairs:
        raise DataError("the file has no pairs of words", where=path)
    return pairs


def _finite(field: Any) -> float:
    score = float(field)
    if not math.isfinite(score):
        raise ValueError(f"the score {score} is not finite")
    return score


def evaluate_word_pairs(
    table: EmbeddingTable,
    pairs: Sequence[Pair] | str | os.PathLike[str],
    *,
    restrict_vocab: int | None = None,
    case_insensitive: bool | None = None,
    dummy4unknown: bool = False,
) -> WordPairs:
    """Measure how well cosines agree with human scores of word pairs.

    With `restrict_vocab=300_000, case_insensitive=True`, the correlations are those of gensim's
    `KeyedVectors.evaluate_word_pairs`.

    Args:
        table: the table. Pairs with a word it lacks, or whose vectors have no cosine, do not count.
        pairs: two words and a score each, or a file of them; see `read_word_pairs`.
        restrict_vocab: the number of rows that count, from the first; None for all.
        case_insensitive: whether case does not matter; of words that differ in case alone the
            first row counts. When None, a word that the table lacks is looked up in lower case.
        dummy4unknown: whether pairs that would not count have the cosine 0 instead.

    Returns:
        Spearman's rank correlation, where equal values share their mean rank, and the number of
        pairs that were found.

    Raises:
        DataError: the file can't be read, or a pair is not two words and a number.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> pairs = [("good", "great", 9.0), ("good", "bad", 6.0), ("good", "tuesday", 1.0)]
        >>> print(fe.evaluate_word_pairs(table, pairs))
        Spearman 1.000 on 3 of 3 pairs
    """
    import polars as pl

    pairs = read_word_pairs(pairs) if isinstance(pairs, (str, os.PathLike)) else list(pairs)
    try:
        scores = np.array([_finite(score) for _, _, score in pairs])
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the word pairs can't be read: {error}",
            remedy="give two words and a finite number for each, such as ('old', 'new', 1.58)",
        ) from error
    (a, in_a), (b, in_b) = (
        unit_rows(table, rows_of_words(table, side, restrict_vocab, case_insensitive))
        for side in ([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    )
    known = in_a & in_b
    found, cosine = int(known.sum()), (a * b).sum(axis=1)
    if not dummy4unknown:
        cosine, scores = cosine[known], scores[known]
    if len(scores) < 3:
        return WordPairs(float("nan"), found, len(pairs))
    one, other = pl.Series(cosine), pl.Series(scores)
    spearman, pearson = (
        float(pl.select(pl.corr(one, other, method=method)).item())
        for method in ("spearman", "pearson")
    )
    interval = of_correlation(spearman, len(scores))
    return WordPairs(spearman, found, len(pairs), pearson, interval)
