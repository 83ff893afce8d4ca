"""The Word Embedding Association Test (Caliskan, Bryson and Narayanan 2017)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..table import EmbeddingTable
from .intervals import NO_INTERVAL, RESAMPLES, Figure, Interval, Scored, bootstrap
from .word_lists import Place, read_lines, rows_of_words, unit_rows

__all__ = ["Weat", "evaluate_weat", "read_weat"]

Numbers = npt.NDArray[np.float64]
SETS = ("targ1", "targ2", "attr1", "attr2")
EXACT = 200_000  # permutations; more are sampled
SAMPLED = 100_000
BLOCK = 10_000  # samples drawn at a time


@dataclass(frozen=True)
class Weat(Scored):
    """How much more two sets of target words differ in their association with two attributes.

    Attributes:
        effect_size: the difference of the mean associations of the targets, divided by the standard
            deviation over all of them (with n - 1); nan if a set has too few words in the table.
        interval: its 95 % interval, by a bootstrap over the words of each target set.
        p_value: the share of ways to divide the targets into sets of these sizes whose difference
            is at least as large: one-sided.
        permutations: the number of ways that were tried.
        exact: whether these are all of them.
        found: the number of words that the table has, of all four sets.
        words: the number of all words.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> sets = {"targ1": ["good", "great"], "targ2": ["bad", "awful"]}
        >>> sets |= {"attr1": ["love", "happy"], "attr2": ["hate", "sad"]}
        >>> found = fe.evaluate_weat(table, sets)
        >>> found.found, found.words
        (8, 8)
    """

    effect_size: float
    interval: Interval
    p_value: float
    permutations: int
    exact: bool
    found: int
    words: int

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that are printed."""
        return (
            Figure("effect size", self.effect_size, self.interval, ".2f"),
            Figure("p", self.p_value, digits=".2g"),
        )

    @property
    def coverage(self) -> str:
        """How much of the test set they are of."""
        return f"{self.found:,} of {self.words:,} words"


def read_weat(path: Place) -> dict[str, list[str]]:
    """Read the four sets of words of a test.

    Args:
        path: a text file in UTF-8: a line for each of `targ1`, `targ2`, `attr1` and `attr2`, with
            that word, a title and the words of the set, separated by tabs; or the same as JSON,
            `{"targ1": {"category": "Flowers", "examples": ["aster", ...]}, ...}` (May et al. 2019).

    Returns:
        The words of each set, under those four names.

    Raises:
        DataError: the file can't be read, or lacks a set.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> words = {"targ1": ["good"], "targ2": ["bad"], "attr1": ["love"], "attr2": ["hate"]}
        >>> sets = {name: {"category": name, "examples": found} for name, found in words.items()}
        >>> _ = Path("sets.json").write_text(json.dumps(sets))
        >>> fe.read_weat("sets.json") == words
        True
    """
    lines = read_lines(path, "sets of words")
    try:
        if lines and lines[0].lstrip().startswith("{"):
            document = json.loads("\n".join(lines))
            sets = {name: [str(word) for word in document[name]["examples"]] for name in SETS}
        else:
            fields = [line.strip().split("\t") for line in lines if line.strip()]
            given = {name: words for name, _, *words in fields}
            sets = {name: given[name] for name in SETS}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DataError(
            "it is not four sets of words",
            where=path,
            remedy="write a line for each of targ1, targ2, attr1 and attr2: "
            "targ1<tab>Flowers<tab>aster<tab>clover",
        ) from error
    return sets


def evaluate_weat(table: EmbeddingTable, sets: Mapping[str, Sequence[str]] | Place) -> Weat:
    """Measure whether two sets of target words differ in their association with two attributes.

    The association of a word is its mean cosine to the words of the first attribute, less that to
    the second.

    Args:
        table: the table. A word it lacks is looked up in lower case, and left out if it is not
            found.
        sets: the words of `targ1`, `targ2`, `attr1` and `attr2`, or a file; see `read_weat`.

    Raises:
        DataError: the file can't be read, or lacks a set.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> sets = {"targ1": ["good", "great"], "targ2": ["bad", "awful"]}
        >>> sets |= {"attr1": ["love", "happy"], "attr2": ["hate", "sad"]}
        >>> found = fe.evaluate_weat(table, sets)
        >>> found.effect_size > 1, found.exact
        (True, True)
    """
    given = sets if isinstance(sets, Mapping) else read_weat(sets)
    if missing := [name for name in SETS if name not in given]:
        raise DataError(
            f"the sets of words lack {missing[0]!r}",
            value=missing[0],
            remedy="pass words for each of targ1, targ2, attr1 and attr2",
        )
    vectors, words = [], sum(len(given[name]) for name in SETS)
    for name in SETS:
        unit, known = unit_rows(table, rows_of_words(table, given[name]))
        vectors.append(unit[known])
    found = sum(map(len, vectors))
    x, y, a, b = vectors
    if not (len(x) and len(y) and len(a) and len(b)) or len(x) + len(y) < 3:
        return Weat(float("nan"), NO_INTERVAL, float("nan"), 0, False, found, words)
    s = np.concatenate([(side @ a.T).mean(axis=1) - (side @ b.T).mean(axis=1) for side in (x, y)])
    p_value, permutations, exact = _permuted(s, len(x))
    first, second = s[: len(x)], s[len(x) :]

    def resampled(rng: np.random.Generator) -> Numbers:
        drawn = [one[rng.integers(0, len(one), (RESAMPLES, len(one)))] for one in (first, second)]
        return _effect(*drawn)

    effect = float(_effect(first[None], second[None])[0])
    return Weat(effect, bootstrap(resampled), p_value, permutations, exact, found, words)


def _effect(first: Numbers, second: Numbers) -> Numbers:
    """Return the effect size of associations `(n, X)` and `(n, Y)`, `(n,)`."""
    spread = np.concatenate([first, second], axis=1).std(axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((first.mean(axis=1) - second.mean(axis=1)) / spread)


def _permuted(s: Numbers, size: int) -> tuple[float, int, bool]:
    """Return the p-value of the first `size` associations, the permutations, and if that is all.

    The difference of the means grows with the sum of the first set alone, whose order is thus that
    of the permutations.
    """
    least = s[:size].sum() - 1e-12 * np.abs(s).sum()  # equal but for rounding
    ways = math.comb(len(s), size)
    if ways <= EXACT:
        rows = np.fromiter(chain.from_iterable(combinations(range(len(s)), size)), np.int64)
        sums = s[rows.reshape(ways, size)].sum(axis=1)
        return float((sums >= least).mean()), ways, True
    rng, reached = np.random.default_rng(0), 1  # the sets as they are, one of the ways
    for _ in range(SAMPLED // BLOCK):
        order = rng.random((BLOCK, len(s))).argsort(axis=1)[:, :size]
        reached += int((s[order].sum(axis=1) >= least).sum())
    return reached / (SAMPLED + 1), SAMPLED, False
