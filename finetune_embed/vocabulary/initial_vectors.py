"""What a word starts from: its row of the table, or a start value where the table lacks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError
from ..table import EmbeddingTable, Subwords, Vectors
from .fallback import SUBWORDS, Found, follow, steps_of
from .tokenizer import well_formed

__all__ = [
    "Special",
    "StartValue",
    "check_finite",
    "find",
    "rows_for",
    "rows_found",
    "special_vector",
    "start_vectors",
]

StartValue = Literal["normal", "mean", "zeros", "subwords"] | Callable[[str], npt.ArrayLike]
_NAMED = ("normal", "mean", "zeros", SUBWORDS)
SAMPLE = 1 << 14  # rows that the mean and spread of a table are taken from
BLOCK = 1 << 10  # rows of them looked at together
Floats = npt.NDArray[np.float64]
Seed = int | tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Special:
    """A token that stands for itself: a mark such as `<mask>`, or `<unk>`.

    Attributes:
        token: the token. In a text it stays one token, whatever stands around it and however the
            tokenizer would cut it.
        start: where its row starts: a vector `(D,)`; `zeros`, `mean`, `normal`, `subwords` or a
            function of the token, as for words that a table lacks. None is the table's own row of
            that name, zeros where it has none.
        trainable: whether its row moves. If not, its gradient is zero from the start, so no
            optimizer moves it, but for weight decay on the table itself, which
            `strategy.param_groups` never asks for. Build the groups after copying a model: a copy
            of a weight has no hooks, and `param_groups` puts them back.

    Raises:
        VocabularyError: the token is empty or can't be one, or `start` is no start value.
    """

    token: str
    start: StartValue | npt.ArrayLike | None = None
    trainable: bool = True

    def __post_init__(self) -> None:
        token = self.token
        if not isinstance(token, str) or not token.strip() or well_formed(token) != token:
            raise VocabularyError(
                f"Special({token!r}) can't be a special token; pass a string with something in it, "
                "such as Special('<mask>')"
            )
        if token == "<pad>":
            raise VocabularyError("'<pad>' can't be a special token: its row is zero and stays so")
        if isinstance(self.start, str) or callable(self.start):
            _check_start(self.start, f"Special({self.token!r}, start=...): start")


def find(table: EmbeddingTable, words: Sequence[str], fallback: Sequence[str] = ()) -> Found:
    """Look words up in a table.

    Args:
        table: the pretrained vectors.
        words: `n` words.
        fallback: the steps to take for words that the table lacks; see `fallback`.

    Raises:
        VocabularyError: a step is unknown, or is `subwords` and the table can't compose.
    """
    steps = steps_of(fallback)
    subwords = _composer(table, f"fallback={steps!r}") if SUBWORDS in steps else None
    return follow(words, steps, table.rows_of, subwords)


def rows_for(
    table: EmbeddingTable,
    words: Sequence[str],
    oov: StartValue = "normal",
    seed: Seed = 0,
    fallback: Sequence[str] = (),
) -> tuple[Vectors, Found]:
    """Return a start vector for each word.

    Args:
        table: the pretrained vectors.
        words: `n` words.
        oov: where a word that is not found starts; see `start_vectors`.
        seed: of the random start values.
        fallback: the steps to take for words that the table lacks; see `fallback`.

    Returns:
        Vectors `(n, D)`, and how each of the words was found.

    Raises:
        VocabularyError: the vector found for a word has values that are not finite, a step is
            unknown, or `oov` is no start value.
    """
    _check_start(oov)
    found = find(table, words, fallback)
    return rows_found(table, words, found, oov, seed), found


def rows_found(
    table: EmbeddingTable,
    words: Sequence[str],
    found: Found,
    oov: StartValue = "normal",
    seed: Seed = 0,
) -> Vectors:
    """Return the vectors `(n, D)` that `rows_for` returns for words that were looked up."""
    _check_start(oov)
    vectors = np.empty((len(words), table.vector_size), np.float32)
    in_table = found.row >= 0
    vectors[in_table] = table.rows(found.row[in_table])
    if found.composed is not None:
        vectors[found.by(SUBWORDS)] = found.composed
    lacking = np.flatnonzero(~found.any)
    vectors[lacking] = 0
    check_finite(vectors, words, found.row)
    if len(lacking):
        vectors[lacking] = start_vectors(table, [words[at] for at in lacking.tolist()], oov, seed)
    return vectors


def start_vectors(
    table: EmbeddingTable, words: Sequence[str], oov: StartValue, seed: Seed
) -> Vectors:
    """Return start vectors `(n, D)` for words that a table lacks.

    Args:
        table: its rows give the mean and the spread.
        words: the words.
        oov: `normal`, drawn with each column's mean and standard deviation; `mean`, the mean row;
            `zeros`; `subwords`, composed from parts of the word, `normal` where that can't be; or
            a function of the word that returns a vector `(D,)`.
        seed: of the draw.

    Raises:
        VocabularyError: the function returns another shape or a value that is not finite, no row of
            the table is finite, or the table can't compose.
    """
    size = table.vector_size
    if callable(oov):
        vectors = [np.asarray(oov(word), np.float32) for word in words]
        for word, vector in zip(words, vectors, strict=True):
            if vector.shape != (size,) or not np.isfinite(vector).all():
                raise VocabularyError(
                    f"oov({word!r}) returned the shape {vector.shape}; the table needs ({size},) "
                    "finite values"
                )
        return np.stack(vectors)
    if oov == SUBWORDS:
        parts, could = _composer(table, f"oov={oov!r}").compose(words)
        composed = np.array(parts, np.float32)
        rest = np.flatnonzero(~could)
        if len(rest):
            further = [words[at] for at in rest.tolist()]
            composed[rest] = start_vectors(table, further, "normal", seed)
        return composed
    if oov == "zeros" or not len(table):
        return np.zeros((len(words), size), np.float32)
    step = max(1, len(table) // SAMPLE)
    mean = _mean(table, step, lambda rows: rows)
    if oov == "mean":
        return np.tile(mean.astype(np.float32), (len(words), 1))
    spread = np.sqrt(_mean(table, step, lambda rows: (rows - mean) ** 2))
    drawn = np.random.default_rng(seed).standard_normal((len(words), size), np.float32)
    drawn *= spread.astype(np.float32)
    drawn += mean.astype(np.float32)
    return drawn


def _mean(table: EmbeddingTable, step: int, of: Callable[[Vectors], npt.NDArray[Any]]) -> Floats:
    """Return the mean `(D,)` of a function of every `step`-th row, of those that are finite.

    Raises:
        VocabularyError: none is.
    """
    total, count = np.zeros(table.vector_size), 0
    for start in range(0, len(table), step * BLOCK):
        rows = table.rows(slice(start, start + step * BLOCK, step))
        rows = rows[np.isfinite(rows).all(axis=1)]
        # row after row, as a sum over all of them goes
        total = np.vstack([total, of(rows)]).sum(axis=0, dtype=np.float64)
        count += len(rows)
    if not count:
        raise VocabularyError(
            f"no row of {table!r} is finite, so it has no mean; use oov='zeros', or another table"
        )
    return total / count


def check_finite(
    vectors: Vectors, words: Sequence[str], rows: npt.NDArray[np.int64] | None = None
) -> None:
    """Check the vectors `(n, D)` of `n` words; `rows` says which row of a table each comes from.

    Raises:
        VocabularyError: one has a value that is NaN or infinite.
    """
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(bad):
        where = f" (row {rows[bad[0]]:,})" if rows is not None and rows[bad[0]] >= 0 else ""
        raise VocabularyError(
            f"the vectors of {len(bad):,} words have values that are not finite, {words[bad[0]]!r}"
            f"{where} the first; drop them: table.subset(words)"
        )


def special_vector(table: EmbeddingTable, special: Special, seed: Seed) -> Vectors:
    """Return the start vector `(D,)` of a special token.

    Raises:
        VocabularyError: its vector is of another shape or not finite, or see `start_vectors`.
    """
    start = special.start
    vector: Vectors
    if start is None:
        vector = rows_for(table, [special.token], "zeros")[0][0]
    elif isinstance(start, str) or callable(start):
        named = cast("StartValue", start)  # `__post_init__` has checked that a text is a name
        vector = start_vectors(table, [special.token], named, seed)[0]
    else:
        vector = np.asarray(start, np.float32)
    if vector.shape != (table.vector_size,) or not np.isfinite(vector).all():
        raise VocabularyError(
            f"the start of Special({special.token!r}) has the shape {vector.shape}; the table "
            f"needs ({table.vector_size},) finite values"
        )
    return vector


def _check_start(oov: object, what: str = "oov") -> None:
    if not callable(oov) and oov not in _NAMED:
        raise VocabularyError(
            f"{what}={oov!r} is no start value; use 'normal', 'mean', 'zeros', 'subwords' or a "
            "function of the word"
        )


def _composer(table: EmbeddingTable, asked: str) -> Subwords:
    """Return what composes vectors for a table.

    Raises:
        VocabularyError: the table has no rows of subwords.
    """
    if table.subwords is None:
        raise VocabularyError(
            f"{asked} needs a table with rows of subwords, which {table!r} does not have; load a "
            "fastText binary, load_vectors('cc.en.300.bin'), or leave 'subwords' out"
        )
    return table.subwords
