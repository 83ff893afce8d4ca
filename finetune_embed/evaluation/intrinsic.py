"""`evaluate`: what vectors are worth by themselves, on test sets of words."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..table import EmbeddingTable
from .analogies import Analogies, evaluate_analogies
from .categories import Categories, evaluate_categories
from .grid import Grid
from .outliers import Outliers, evaluate_outliers
from .plain import finite
from .weat import Weat, evaluate_weat
from .word_lists import Place
from .word_pairs import WordPairs, evaluate_word_pairs

__all__ = ["TESTS", "TableScores", "evaluate", "side_by_side"]

Result = WordPairs | Analogies | Categories | Outliers | Weat
Files = Place | Sequence[Place]
TESTS: dict[str, Callable[[EmbeddingTable, Any], Result]] = {
    "word_pairs": evaluate_word_pairs,
    "analogies": evaluate_analogies,
    "categories": evaluate_categories,
    "outliers": evaluate_outliers,
    "weat": evaluate_weat,
}


@dataclass(frozen=True)
class TableScores:
    """The scores of a table on test sets. Prints as a table.

    Attributes:
        results: the result of each test set, by kind of test and name of its file.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> from pathlib import Path
        >>> _ = Path("family.txt").write_text("man king woman queen")
        >>> scores = fe.evaluate(table, analogies="family.txt")
        >>> print(scores)
        test              score                   found
        family  accuracy  1.000 (0.207 to 1.000)  1 of 1 analogies
    """

    results: Mapping[str, Mapping[str, Result]]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain values, ready for JSON."""
        found: dict[str, Any] = finite(
            {
                kind: {name: asdict(result) for name, result in some.items()}
                for kind, some in self.results.items()
            }
        )
        return found

    def __str__(self) -> str:
        return str(side_by_side({"score": self}))


def evaluate(
    table: EmbeddingTable,
    *,
    word_pairs: Files = (),
    analogies: Files = (),
    categories: Files = (),
    outliers: Files = (),
    weat: Files = (),
) -> TableScores:
    """Measure what vectors are worth by themselves, on test sets of words.

    Each test has a function of its own, which has its settings and takes words instead of files.

    Args:
        table: the table.
        word_pairs: files of word pairs with human scores, such as SimLex-999; one, or several. See
            `evaluate_word_pairs`.
        analogies: files in the format of `questions-words.txt`; see `evaluate_analogies`.
        categories: files or folders of words in categories; see `evaluate_categories`.
        outliers: files or folders of groups and their outliers; see `evaluate_outliers`.
        weat: files of the four sets of a WEAT; see `evaluate_weat`.

    Raises:
        DataError: a file can't be read, or none is given.
        MissingPackageError: categories are given, and scikit-learn is not installed.

    Example:
        >>> table = fe.load_vectors("glove.6B.50d.txt")
        >>> from pathlib import Path
        >>> _ = Path("family.txt").write_text("man king woman queen")
        >>> scores = fe.evaluate(table, analogies="family.txt")
        >>> list(scores.results)
        ['analogies']
    """
    given = dict(zip(TESTS, (word_pairs, analogies, categories, outliers, weat), strict=True))
    results: dict[str, dict[str, Result]] = {}
    for kind, files in given.items():
        for file in [files] if isinstance(files, (str, os.PathLike)) else files:
            results.setdefault(kind, {})[_name(file, results.get(kind, {}))] = TESTS[kind](
                table, file
            )
    if not results:
        raise DataError("there is nothing to evaluate the table on", remedy="pass word_pairs=[...]")
    return TableScores(results)


def _name(file: Place, taken: Mapping[str, Any]) -> str:
    """Return the name of a file without its suffix, or its path if another has that name."""
    name = Path(file).stem
    return os.fspath(file) if name in taken else name


def side_by_side(tables: Mapping[str, TableScores]) -> Grid:
    """Return the scores of tables on the same test sets, side by side, under their names."""
    heads, rows = ["test", "", *tables, "found"], list[list[str]]()
    for kind, some in next(iter(tables.values())).results.items():
        for file in some:
            each = [scores.results[kind][file] for scores in tables.values()]
            found = "; ".join(dict.fromkeys(one.coverage for one in each))
            for at, figure in enumerate(each[0].figures):
                values = [str(one.figures[at]) for one in each]
                rows.append(["" if at else file, figure.name, *values, "" if at else found])
    return Grid(heads, rows, left=range(len(heads)))
