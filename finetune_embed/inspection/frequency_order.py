"""Whether the rows of a table are sorted by the frequency of their words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from .scan import Scan

__all__ = ["FUNCTION_WORDS", "Order", "judge_order"]

#: The most frequent words of some languages.
FUNCTION_WORDS = {
    "English": "the of and to in a is that for on with as was it by",
    "German": "der die und in den von zu das mit sich des auf ist im dem",
    "French": "de la le et les des en du un une est que pour dans qui",
    "Spanish": "de la que el en y los del se las por un con una su",
    "Italian": "di che la il un per non una in con del della le si da",
    "Portuguese": "de que do da em um para com uma os no se na por mais",
    "Dutch": "de van het een en in is dat op te met voor zijn niet aan",
}
MIN_FUNCTION_WORDS = 5
MIN_ROWS = 1_000  # fewer rows are not judged
FRONT, BACK = 0.01, 0.1  # shares of the rows
ALPHABETICAL = 0.9  # share of neighbouring rows
SAMPLE = 100_000  # rows


@dataclass(frozen=True)
class Order:
    """Whether the rows are sorted by frequency, judged from the position of frequent words.

    A file of vectors holds no counts. The rows are sorted (`yes`) if the median row of a language's
    function words is in the first hundredth of the rows. They are not (`no`) if it is after the
    first tenth, or if nine in ten neighbouring rows are in alphabetical order. Otherwise, and for
    tables of fewer than 1,000 rows, the order is `unknown`.

    Attributes:
        sorted_by_frequency: `yes`, `no` or `unknown`.
        because: the reason.
        length_correlation: Spearman's rank correlation of the row number with the number of
            characters of the word. Frequent words are short, so it is above 0 in sorted tables.
        norm_correlation: Spearman's rank correlation of the row number with the length of the row.
    """

    sorted_by_frequency: str
    because: str
    length_correlation: float | None
    norm_correlation: float | None


def judge_order(scan: Scan) -> Order:
    """Return whether rows are sorted by frequency."""
    words = scan.words
    total = len(words)
    if total < MIN_ROWS:
        return Order("unknown", f"{total:,} rows are too few to judge", None, None)
    characters = np.fromiter(map(len, words[:SAMPLE]), np.int64)
    finite = np.isfinite(scan.lengths[:SAMPLE])
    correlations = (_rank_correlation(characters), _rank_correlation(scan.lengths[:SAMPLE][finite]))
    ordered = sum(a <= b for a, b in pairwise(words[:SAMPLE])) / (len(characters) - 1)
    if ordered > ALPHABETICAL:
        because = f"{ordered:.0%} of neighbouring rows are in alphabetical order"
        return Order("no", because, *correlations)
    language, rows = _function_words(words)
    if not rows:
        return Order("unknown", "there are no function words of a known language", *correlations)
    median = int(np.median(rows))
    because = (
        f"{len(rows)} {language} function words, half of them in the first {median + 1:,} rows"
    )
    verdict = "yes" if median <= FRONT * total else "no" if median > BACK * total else "unknown"
    return Order(verdict, because, *correlations)


def _function_words(words: list[str]) -> tuple[str, list[int]]:
    """Return the language whose function words come first, and their rows."""
    wanted = {word for line in FUNCTION_WORDS.values() for word in line.split()}
    row_of: dict[str, int] = {}
    for row, word in enumerate(words):
        if word in wanted:
            row_of.setdefault(word, row)
    found = {
        language: [row_of[word] for word in line.split() if word in row_of]
        for language, line in FUNCTION_WORDS.items()
    }
    enough = [name for name in found if len(found[name]) >= MIN_FUNCTION_WORDS]
    language = min(enough, key=lambda name: float(np.median(found[name])), default="")
    return language, found.get(language, [])


def _rank_correlation(values: npt.NDArray[np.int64] | npt.NDArray[np.float64]) -> float | None:
    """Return Spearman's rank correlation of values and positions; None if all are equal."""
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        return None
    ends = np.cumsum(sizes)
    ranks = (ends - (sizes - 1) / 2)[group]
    return float(np.corrcoef(np.arange(len(values)), ranks)[0, 1])
