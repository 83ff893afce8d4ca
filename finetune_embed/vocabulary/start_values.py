"""Start values: the vectors from which words start that a table lacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import Either, Option, VocabularyError
from ..table import EmbeddingTable, Subwords, Vectors
from .fallback import SUBWORDS

__all__ = [
    "OOV",
    "Argument",
    "Seed",
    "StartValue",
    "check_composed",
    "check_start",
    "fault_of",
    "rows_not_finite",
    "start_vectors",
    "subwords_of",
]

StartValue = Literal["normal", "mean", "zeros", "subwords"] | Callable[[str], npt.ArrayLike]
_NAMED = ("normal", "mean", "zeros", SUBWORDS)
SAMPLE = 1 << 14  # rows from which the mean and the standard deviation of a table are estimated
BLOCK = 1 << 10  # rows of the sample read at a time
Seed = int | tuple[int, ...]


class Argument(NamedTuple):
    """The argument that holds a value, as messages name it."""

    option: str
    where: str | None = None


OOV = Argument("oov")


def start_vectors(
    table: EmbeddingTable,
    words: Sequence[str],
    start: StartValue,
    seed: Seed,
    argument: Argument = OOV,
) -> Vectors:
    """Return start vectors `(n, D)` for words that a table lacks.

    Args:
        table: the table whose rows give the mean and the standard deviation.
        words: the words.
        start: `normal`, drawn with each column's mean and standard deviation; `mean`, the mean row;
            `zeros`; `subwords`, composed from parts of the word, `normal` if that is impossible; or
            a function of the word that returns a vector `(D,)`.
        seed: the seed of the draw.
        argument: the argument that holds `start`.

    Raises:
        VocabularyError: the function returns a vector of another shape or with values that are not
            finite, no row of the table is finite, or the table has no subword vectors.
    """
    size = table.vector_size
    if callable(start):
        return np.stack([_called(start, word, size, argument) for word in words])
    if start == SUBWORDS:
        parts, could = subwords_of(table, argument, start).compose(words)
        composed = np.array(parts, np.float32)
        check_composed(composed, words, argument)
        rest = np.flatnonzero(~could)
        if len(rest):
            others = [words[at] for at in rest.tolist()]
            composed[rest] = start_vectors(table, others, "normal", seed, argument)
        return composed
    if start == "zeros" or not len(table):
        return np.zeros((len(words), size), np.float32)
    step = max(1, len(table) // SAMPLE)
    mean = _mean(table, step, lambda rows: rows, argument)
    if start == "mean":
        return np.tile(mean.astype(np.float32), (len(words), 1))
    deviation = np.sqrt(_mean(table, step, lambda rows: (rows - mean) ** 2, argument))
    drawn = np.random.default_rng(seed).standard_normal((len(words), size), np.float32)
    drawn *= deviation.astype(np.float32)
    drawn += mean.astype(np.float32)
    return drawn


def _called(
    start: Callable[[str], npt.ArrayLike], word: str, size: int, argument: Argument
) -> Vectors:
    """Return the vector `(D,)` that a function gives a word."""
    vector: Vectors = np.asarray(start(word), np.float32)
    if fault := fault_of(vector, size):
        raise VocabularyError(
            (Option(argument.option), f"({word!r}) returned a vector that {fault}"),
            where=argument.where,
            value=vector,
            remedy=f"return {size:,} finite numbers",
        )
    return vector


def _mean(
    table: EmbeddingTable,
    step: int,
    of: Callable[[Vectors], npt.NDArray[Any]],
    argument: Argument,
) -> npt.NDArray[np.float64]:
    """Return the mean `(D,)` of a function of every `step`-th row, without rows not finite.

    Raises:
        VocabularyError: no row is finite.
    """
    total, count = np.zeros(table.vector_size), 0
    for start in range(0, len(table), step * BLOCK):
        rows = table.rows(slice(start, start + step * BLOCK, step))
        rows = rows[np.isfinite(rows).all(axis=1)]
        # Adds one row after the other, so that blocks give the bits of one sum over all rows.
        total = np.vstack([total, of(rows)]).sum(axis=0, dtype=np.float64)
        count += len(rows)
    if not count:
        raise VocabularyError(
            f"no row of {table!r} is finite, so there is no mean",
            where=argument.where,
            remedy=("pass ", Option(argument.option, "zeros"), ", or use another table"),
        )
    return total / count


def check_start(start: object, argument: Argument = OOV) -> None:
    """Check that a value is a start value.

    Raises:
        VocabularyError: it is neither the name of one nor a function.
    """
    if not callable(start) and start not in _NAMED:
        raise VocabularyError(
            "is not a start value",
            where=argument.where,
            option=argument.option,
            value=start,
            remedy=(
                "choose 'normal', 'mean', 'zeros' or 'subwords'",
                Either(", or pass a function of the word", ""),
            ),
        )


def subwords_of(table: EmbeddingTable, argument: Argument, value: object) -> Subwords:
    """Return what composes vectors for a table, asked for by an argument.

    Raises:
        VocabularyError: the table has no subword vectors.
    """
    if table.subwords is None:
        raise VocabularyError(
            f"needs subword vectors, which {table!r} does not have",
            where=argument.where,
            option=argument.option,
            value=value,
            remedy=(
                "do without 'subwords', or use a fastText binary: ",
                Either("load_vectors('cc.en.300.bin')", Option("vectors", "cc.en.300.bin")),
            ),
        )
    return table.subwords


def check_composed(vectors: Vectors, words: Sequence[str], argument: Argument) -> None:
    """Check that the vectors `(n, D)` composed for `n` words are finite.

    Raises:
        VocabularyError: one has a value that is NaN or infinite.
    """
    bad = rows_not_finite(vectors)
    if len(bad):
        raise VocabularyError(
            f"{len(bad):,} words have subword vectors that are not finite, the first is "
            f"{words[bad[0]]!r}",
            where=argument.where,
            value=words[bad[0]],
            remedy=("do without 'subwords' in ", Option(argument.option)),
        )


def fault_of(vector: Vectors, size: int) -> str:
    """Return what is wrong with a start vector, an empty string if nothing is."""
    if vector.shape != (size,):
        return f"has the shape {vector.shape}, not ({size},)"
    return "" if np.isfinite(vector).all() else "has values that are not finite"


def rows_not_finite(vectors: Vectors) -> npt.NDArray[np.int64]:
    """Return which rows of vectors `(n, D)` have a value that is NaN or infinite."""
    finite = np.isfinite(vectors)
    if finite.all():  # in a fraction of the time
        return np.zeros(0, np.int64)
    return np.flatnonzero(~finite.all(axis=1))
