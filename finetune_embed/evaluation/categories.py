"""Categorisation: whether clusters of vectors are the categories that people sort words into."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import DataError, optional_packages
from ..table import EmbeddingTable
from .intervals import Figure, Interval, Scored, of_share
from .word_lists import Place, files_of, read_lines, rows_of_words, unit_rows

__all__ = ["Categories", "evaluate_categories", "read_categories"]

STARTS = 10  # of k-means, of which the best counts


@dataclass(frozen=True)
class Categories(Scored):
    """How well clusters of a table's vectors agree with categories of words.

    Attributes:
        purity: the share of words that are in the category most frequent in their cluster; nan
            if fewer than two categories have a word in the table.
        interval: its 95 % interval over other words, with the same clusters (Wilson 1927).
        found: the number of words that the table has.
        words: the number of all words.
        categories: the number of categories, and of clusters.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> categories = {"days": ["monday", "friday"], "food": ["bread", "cheese"]}
        >>> found = fe.evaluate_categories(table, categories)
        >>> found.found, found.categories
        (4, 2)
    """

    purity: float
    interval: Interval
    found: int
    words: int
    categories: int

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The figures that are printed."""
        return (Figure("purity", self.purity, self.interval),)

    @property
    def coverage(self) -> str:
        """How much of the test set they are of."""
        return f"{self.found:,} of {self.words:,} words in {self.categories} categories"


def read_categories(path: Place) -> dict[str, list[str]]:
    """Read words and their categories.

    Args:
        path: a text file in UTF-8 with a word and its category in each line, separated by a tab,
            comma or space (more fields are ignored), or a folder with a file `CATEGORY.txt` of one
            word in each line for each category, such as those of AP and BLESS.

    Raises:
        DataError: a file can't be read, a line has one field, or there are no words.

    Example:
        >>> from pathlib import Path
        >>> _ = Path("words.txt").write_text("monday days")
        >>> fe.read_categories("words.txt")
        {'days': ['monday']}
    """
    found: dict[str, list[str]] = {}
    files = files_of(path)
    for file in files:
        for number, line in enumerate(read_lines(file, "categories"), 1):
            if not line.strip() or line.startswith("#"):
                continue
            if files != [file] or file.parent.samefile(path):
                found.setdefault(file.stem, []).append(line.strip())
                continue
            separator = next((one for one in ("\t", ",") if one in line), None)
            fields = [field.strip() for field in line.split(separator)]
            if len(fields) < 2:
                raise DataError(
                    f"{line[:80]!r} is not a word with its category",
                    where=f"{file}:{number}",
                    value=line,
                    remedy="write both, separated by a tab: sparrow<tab>bird",
                )
            found.setdefault(fields[1], []).append(fields[0])
    if not found:
        raise DataError("there are no words with categories", where=path)
    return {name: list(dict.fromkeys(words)) for name, words in found.items()}


def evaluate_categories(
    table: EmbeddingTable, categories: Mapping[str, Sequence[str]] | Place, *, seed: int = 0
) -> Categories:
    """Cluster the words of categories, and measure the purity of the clusters.

    The vectors, at length 1, are clustered by k-means (scikit-learn, the best of 10 starts) into as
    many clusters as there are categories, as is usual (Baroni et al. 2014).

    Args:
        table: the table. A word it lacks is looked up in lower case, and does not count if it is
            not found.
        categories: the words of each category, or a file or folder; see `read_categories`.
        seed: the seed of k-means.

    Raises:
        DataError: the file can't be read.
        MissingPackageError: scikit-learn is not installed.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> categories = {"days": ["monday", "friday"], "food": ["bread", "cheese"]}
        >>> fe.evaluate_categories(table, categories).purity
        1.0
    """
    with optional_packages("sklearn", extra="evaluation"):
        from sklearn.cluster import KMeans
    given = categories if isinstance(categories, Mapping) else read_categories(categories)
    words = [word for some in given.values() for word in some]
    number = np.repeat(np.arange(len(given)), [len(some) for some in given.values()])
    vectors, known = unit_rows(table, rows_of_words(table, words))
    vectors, number = vectors[known], np.unique(number[known], return_inverse=True)[1]
    found, clusters = int(known.sum()), int(number.max(initial=-1)) + 1
    if clusters < 2:
        return Categories(float("nan"), of_share(0, 0), found, len(words), clusters)
    means = KMeans(clusters, n_init=STARTS, random_state=seed).fit_predict(vectors)
    shared = np.zeros((clusters, clusters), np.int64)
    np.add.at(shared, (means, number), 1)
    purity = int(shared.max(axis=1).sum()) / found
    return Categories(purity, of_share(purity, found), found, len(words), clusters)
