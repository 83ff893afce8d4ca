"""What a word starts from: its row of the table, or a start value where the table lacks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from .errors import VocabularyError
from .table import EmbeddingTable, Vectors

__all__ = ["StartValue", "rows_for", "start_vectors"]

StartValue = Literal["normal", "mean", "zeros"] | Callable[[str], npt.ArrayLike]
_NAMED = ("normal", "mean", "zeros")
SAMPLE = 100_000  # rows that the mean and spread of a table are taken from


def rows_for(
    table: EmbeddingTable, words: Sequence[str], oov: StartValue = "normal", seed: int = 0
) -> tuple[Vectors, npt.NDArray[np.bool_]]:
    """Return a start vector for each word.

    Args:
        table: the pretrained vectors.
        words: `n` words.
        oov: where a word that the table lacks starts; see `start_vectors`.
        seed: of the random start values.

    Returns:
        Vectors `(n, D)`, and which of the words the table has, bool `(n,)`.

    Raises:
        VocabularyError: the table's row of a word has values that are not finite, or `oov` is no
            start value.
    """
    if not callable(oov) and oov not in _NAMED:
        raise VocabularyError(
            f"oov={oov!r} is no start value; use 'normal', 'mean', 'zeros' or a function of the "
            "word"
        )
    rows = table.rows_of(words)
    found = rows >= 0
    vectors = np.empty((len(words), table.vector_size), np.float32)
    vectors[found] = table.vectors[rows[found]]
    bad = np.flatnonzero(found & ~np.isfinite(np.where(found[:, None], vectors, 0)).all(axis=1))
    if len(bad):
        raise VocabularyError(
            f"the vectors of {len(bad):,} words have values that are not finite, {words[bad[0]]!r} "
            "(row {:,}) the first; drop them: table.subset(words)".format(rows[bad[0]])
        )
    lacking = [word for word, has in zip(words, found, strict=True) if not has]
    if lacking:
        vectors[~found] = start_vectors(table, lacking, oov, seed)
    return vectors, found


def start_vectors(
    table: EmbeddingTable, words: Sequence[str], oov: StartValue, seed: int
) -> Vectors:
    """Return start vectors `(n, D)` for words that a table lacks.

    Args:
        table: its rows give the mean and the spread.
        words: the words.
        oov: `normal`, drawn with each column's mean and standard deviation; `mean`, the mean row;
            `zeros`; or a function of the word that returns a vector `(D,)`.
        seed: of the draw.

    Raises:
        VocabularyError: the function returns another shape, or no row of the table is finite.
    """
    size = table.vector_size
    if callable(oov):
        vectors = [np.asarray(oov(word), np.float32) for word in words]
        for word, vector in zip(words, vectors, strict=True):
            if vector.shape != (size,):
                raise VocabularyError(
                    f"oov({word!r}) returned the shape {vector.shape}; the table needs ({size},)"
                )
        return np.stack(vectors)
    if oov == "zeros" or not len(table):
        return np.zeros((len(words), size), np.float32)
    step = max(1, len(table) // SAMPLE)
    sample = np.asarray(table.vectors[::step])
    sample = sample[np.isfinite(sample).all(axis=1)]
    if not len(sample):
        raise VocabularyError(
            f"no row of {table!r} is finite, so it has no mean; use oov='zeros', or another table"
        )
    mean = sample.mean(axis=0, dtype=np.float64)
    if oov == "mean":
        return np.tile(mean.astype(np.float32), (len(words), 1))
    spread = sample.std(axis=0, dtype=np.float64)
    draw = np.random.default_rng(seed).standard_normal((len(words), size))
    drawn: Vectors = (mean + spread * draw).astype(np.float32)
    return drawn
