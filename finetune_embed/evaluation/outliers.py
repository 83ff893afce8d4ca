"""Outlier detection: which word does not belong to a group (Camacho-Collados and Navigli 2016)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..table import EmbeddingTable
from .intervals import RESAMPLES, Figure, Interval, Scored, bootstrap
from .word_lists import Place, files_of, read_lines, rows_of_words, unit_rows

__all__ = ["Outliers", "evaluate_outliers", "read_outliers"]

Group = tuple[Sequence[str], Sequence[str]]


@dataclass(frozen=True)
class Outliers(Scored):
    """How well a table tells which word does not belong to a group.

    Attributes:
        accuracy: the share of outliers that are the least compact word of their group; nan without
            any in the table.
        interval: its 95 % interval, by a bootstrap over the groups, whose outliers share words; nan
            with fewer than two groups.
        opp: outlier position percentage: how far down the outlier is among the words of its group,
            from the most to the least compact; the mean, from 0 to 1.
        opp_interval: its interval.
        found: the number of outliers that count: the table has them, and two words of their group.
        outliers: the number of all outliers.
        groups: the number of groups.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> groups = {"days": (["monday", "friday", "sunday"], ["cheese"])}
        >>> found = fe.evaluate_outliers(table, groups)
        >>> found.opp, found.found
        (1.0, 1)
    """

    accuracy: float
    interval: Interval
    opp: float
    opp_interval: Interval
    found: int
    outliers: int
    groups: int

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that are printed."""
        return (
            Figure("accuracy", self.accuracy, self.interval),
            Figure("outlier position", self.opp, self.opp_interval),
        )

    @property
    def coverage(self) -> str:
        """How much of the test set they are of."""
        return f"{self.found:,} of {self.outliers:,} outliers of {self.groups} groups"


def read_outliers(path: Place) -> dict[str, Group]:
    """Read groups of words and their outliers, in the format of the 8-8-8 data set.

    Args:
        path: a text file in UTF-8, or a folder of them, one per group: the words of the group, one
            in each line, an empty line, and the outliers.

    Raises:
        DataError: a file can't be read, or lacks words or outliers.

    Example:
        >>> from pathlib import Path
        >>> Path("groups").mkdir()
        >>> lines = ["monday", "friday", "", "cheese"]
        >>> _ = Path("groups/days.txt").write_text(chr(10).join(lines))
        >>> fe.read_outliers("groups")
        {'days': (['monday', 'friday'], ['cheese'])}
    """
    groups: dict[str, Group] = {}
    for file in files_of(path):
        text = "\n".join(line.strip() for line in read_lines(file, "outliers")).strip()
        words, _, outliers = (part.split("\n") for part in text.partition("\n\n"))
        groups[file.stem] = ([w for w in words if w], [w for w in outliers if w])
        if not all(groups[file.stem]):
            raise DataError(
                "it is not a group of words and its outliers",
                where=file,
                remedy="write the words of the group, one in each line, an empty line, and the "
                "outliers",
            )
    if not groups:
        raise DataError("there are no groups of words", where=path)
    return groups


def evaluate_outliers(table: EmbeddingTable, groups: Mapping[str, Group] | Place) -> Outliers:
    """Find the word of a group that does not belong to it, for each of its outliers.

    Each outlier is put among the words of its group. The words are ranked by compactness, the mean
    cosine to the others; the outlier should be last.

    Args:
        table: the table. A word it lacks is looked up in lower case, and left out if it is not
            found.
        groups: the words and the outliers of each group, or a file or folder; see `read_outliers`.

    Raises:
        DataError: a file can't be read.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> groups = {"days": (["monday", "friday", "sunday"], ["cheese"])}
        >>> fe.evaluate_outliers(table, groups).accuracy
        1.0
    """
    given = groups if isinstance(groups, Mapping) else read_outliers(groups)
    #: of each group: the outliers that count, those detected, and the sum of their positions
    counts = np.array([_positions(table, *group) for group in given.values()]).reshape(-1, 3)
    found = int(counts[:, 0].sum())
    with np.errstate(invalid="ignore"):  # nothing found
        accuracy, opp = counts[:, 1:].sum(axis=0) / counts[:, 0].sum()
    of_accuracy, of_opp = (bootstrap(partial(_resampled, counts, column)) for column in (1, 2))
    total = sum(len(outliers) for _, outliers in given.values())
    return Outliers(float(accuracy), of_accuracy, float(opp), of_opp, found, total, len(given))


def _positions(
    table: EmbeddingTable, words: Sequence[str], outliers: Sequence[str]
) -> tuple[int, int, float]:
    """Return the outliers of a group that count, those that come last, and how far down all come.

    An outlier's place is the number of words of the group that are more compact, relative to the
    number of words.
    """
    (group, in_group), (others, in_others) = (
        unit_rows(table, rows_of_words(table, side)) for side in (words, outliers)
    )
    group, others = group[in_group], others[in_others]
    if len(group) < 2:
        return 0, 0, 0.0
    among = group @ group.T
    np.fill_diagonal(among, 0)
    to_outlier = group @ others.T
    more = among.sum(axis=1)[:, None] + to_outlier > to_outlier.sum(axis=0)
    places = more.mean(axis=0)
    return len(others), int((places == 1).sum()), float(places.sum())


def _resampled(
    counts: npt.NDArray[np.float64], column: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Return the mean over the outliers of groups drawn with replacement."""
    if len(counts) < 2:
        return np.empty(0)
    drawn = counts[rng.integers(0, len(counts), (RESAMPLES, len(counts)))].sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(drawn[:, column] / drawn[:, 0])
