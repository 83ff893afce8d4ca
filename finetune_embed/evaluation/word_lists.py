"""Words of test sets: the rows they have in a table, and the files they are read from."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..table import EmbeddingTable, Rows

__all__ = ["Place", "files_of", "read_lines", "rows_of_words", "rows_without_case", "unit_rows"]

Place = str | os.PathLike[str]


def read_lines(path: Place, what: str) -> list[str]:
    """Return the lines of a text file in UTF-8.

    Raises:
        DataError: it can't be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"the {what} can't be read: {reason}", where=path) from error


def files_of(path: Place) -> list[Path]:
    """Return the `.txt` files of a folder, by name; of a file, itself."""
    path = Path(path)
    return sorted(path.glob("*.txt")) if path.is_dir() else [path]


def rows_without_case(table: EmbeddingTable, restrict_vocab: int | None) -> dict[str, int]:
    """Return the first row of each word of a table in upper case.

    Args:
        table: the table.
        restrict_vocab: the number of rows that count, from the first; None for all.
    """
    words = list(table.words[:restrict_vocab])
    return {word.upper(): len(words) - 1 - row for row, word in enumerate(reversed(words))}


def rows_of_words(
    table: EmbeddingTable,
    words: Sequence[str],
    restrict_vocab: int | None = None,
    case_insensitive: bool | None = None,
) -> Rows:
    """Return the row of each word, int64 `(len(words),)`, -1 if the table lacks it.

    Args:
        table: the table.
        words: the words.
        restrict_vocab: the number of rows that count, from the first; None for all.
        case_insensitive: whether case does not matter, and the first of several rows counts, as in
            gensim. When None, a word the table lacks is looked up in lower case.
    """
    if case_insensitive:
        known = rows_without_case(table, restrict_vocab)
        return np.array([known.get(word.upper(), -1) for word in words], np.int64)

    def found(words: Sequence[str]) -> Rows:
        rows = table.rows_of(words)
        return rows if restrict_vocab is None else np.where(rows < restrict_vocab, rows, -1)

    rows = found(words)
    if case_insensitive is None:
        rows = np.where(rows >= 0, rows, found([word.lower() for word in words]))
    return rows


def unit_rows(
    table: EmbeddingTable, rows: Rows
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Return the vectors of rows at length 1, `(n, D)`, and which have one, bool `(n,)`.

    Args:
        table: the table.
        rows: int64 `(n,)`; -1 has no vector, nor have rows of infinite values or NaN. A zero
            vector stays zero.
    """
    vectors = np.zeros((len(rows), table.vector_size))
    vectors[rows >= 0] = table.rows(rows[rows >= 0])
    with np.errstate(invalid="ignore", over="ignore"):  # infinite values
        norms = np.linalg.norm(vectors, axis=1)
    finite = np.isfinite(norms)
    vectors[~finite] = 0
    vectors /= np.where(finite & (norms > 0), norms, 1)[:, None]
    return vectors, finite & (rows >= 0)
