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
from ..table import EmbeddingTable, Rows

__all__ = ["WordPairs", "evaluate_word_pairs", "read_word_pairs"]

Pair = tuple[str, str, float]
_TAG = re.compile("(?!nan|inf)[a-z]{1,5}", re.IGNORECASE)  # a part of speech


@dataclass(frozen=True)
class WordPairs:
    """How well the cosines of a table agree with human scores of word pairs.

    Attributes:
        spearman: the rank correlation of cosines and scores, from -1 to 1; nan if fewer than three
            pairs were found.
        found: the number of pairs that count: both words are in the table and have a cosine.
        pairs: the number of all pairs.
    """

    spearman: float
    found: int
    pairs: int

    def __str__(self) -> str:
        return f"Spearman {self.spearman:.3f} on {self.found:,} of {self.pairs:,} pairs"


def read_word_pairs(path: str | os.PathLike[str]) -> list[Pair]:
    """Read pairs of words with a score, in the formats of SimLex-999, WordSim-353 and MEN.

    Args:
        path: a text file in UTF-8, one pair per line: two words and a number, separated by tabs or,
            in lines without a tab, by commas or spaces. A part of speech may precede the number, as
            in SimLex-999. More fields are ignored, as are lines that start with `#` and a first
            line without a number.

    Raises:
        DataError: the file can't be read, or a line is not two words and a number.
    """
    pairs: list[Pair] = []
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"the word pairs can't be read: {reason}", where=path) from error
    for number, line in enumerate(lines, 1):
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
    table: EmbeddingTable, pairs: Sequence[Pair] | str | os.PathLike[str]
) -> WordPairs:
    """Measure how well cosines agree with human scores of word pairs.

    Args:
        table: the table. A word it lacks is looked up in lower case. Pairs with a word it still
            lacks, or whose vectors have no cosine, do not count.
        pairs: two words and a score each, or a file of them; see `read_word_pairs`.

    Returns:
        Spearman's rank correlation, where equal values share their mean rank, and the number of
        pairs it is based on.

    Raises:
        DataError: the file can't be read, or a pair is not two words and a number.
    """
    import polars as pl

    pairs = read_word_pairs(pairs) if isinstance(pairs, (str, os.PathLike)) else list(pairs)
    try:
        given = [_finite(score) for _, _, score in pairs]
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the word pairs can't be read: {error}",
            remedy="give two words and a finite number for each, such as ('old', 'new', 1.58)",
        ) from error
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    rows = np.stack([_rows_of(table, first), _rows_of(table, second)])
    at = np.flatnonzero((rows >= 0).all(axis=0))
    a, b = (table.rows(side[at]).astype(np.float64) for side in rows)
    with np.errstate(invalid="ignore"):  # infinite vectors
        norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosine = (a * b).sum(axis=1) / np.where(norms == 0, 1, norms)
    known = np.isfinite(cosine)
    if (found := int(known.sum())) < 3:
        return WordPairs(float("nan"), found, len(pairs))
    scores = np.array(given)[at]
    ranked = pl.corr(pl.Series(cosine[known]), pl.Series(scores[known]), method="spearman")
    return WordPairs(float(pl.select(ranked).item()), found, len(pairs))


def _rows_of(table: EmbeddingTable, words: Sequence[str]) -> Rows:
    lower = table.rows_of([word.lower() for word in words])
    rows = table.rows_of(words)
    return np.where(rows >= 0, rows, lower)
