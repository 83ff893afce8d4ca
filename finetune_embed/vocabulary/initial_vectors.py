"""Initial vectors: the row of a word that a table has, or else a start value."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..errors import Either, VocabularyError
from ..table import EmbeddingTable, Vectors
from .fallback import SUBWORDS, LookupResult, apply_fallback, parse_fallback
from .start_values import (
    Argument,
    Seed,
    StartValue,
    check_composed,
    check_start,
    rows_not_finite,
    start_vectors,
    subwords_of,
)

__all__ = ["check_finite", "look_up", "look_up_vectors", "vectors_for"]

_FALLBACK = Argument("fallback")


def look_up(
    table: EmbeddingTable, words: Sequence[str], fallback: Sequence[str] = ()
) -> LookupResult:
    """Look words up in a table.

    Args:
        table: the pretrained vectors.
        words: `n` words.
        fallback: the fallback chain for words that the table lacks; see `vocabulary.fallback`.

    Raises:
        VocabularyError: a step is unknown, or is `subwords` and the table has no subword vectors.
    """
    steps = parse_fallback(fallback)
    subwords = subwords_of(table, _FALLBACK, steps) if SUBWORDS in steps else None
    return apply_fallback(words, steps, table.rows_of, subwords)


def look_up_vectors(
    table: EmbeddingTable,
    words: Sequence[str],
    oov: StartValue = "normal",
    seed: Seed = 0,
    fallback: Sequence[str] = (),
) -> tuple[Vectors, LookupResult]:
    """Look words up in a table and return the initial vector of each.

    Args:
        table: the pretrained vectors.
        words: `n` words.
        oov: where a word that is not found starts; see `start_vectors`.
        seed: the seed of random start values.
        fallback: the fallback chain for words that the table lacks; see `vocabulary.fallback`.

    Returns:
        Vectors `(n, D)`, and how each of the words was found.

    Raises:
        VocabularyError: a vector that was found is not finite, a step is unknown, or `oov` is not a
            start value.
    """
    check_start(oov)
    lookup = look_up(table, words, fallback)
    return vectors_for(table, words, lookup, oov, seed), lookup


def vectors_for(
    table: EmbeddingTable,
    words: Sequence[str],
    lookup: LookupResult,
    oov: StartValue = "normal",
    seed: Seed = 0,
) -> Vectors:
    """Return the initial vectors `(n, D)` of words that were looked up; see `look_up_vectors`."""
    check_start(oov)
    vectors = np.zeros((len(words), table.vector_size), np.float32)
    in_table = lookup.rows >= 0
    vectors[in_table] = table.rows(lookup.rows[in_table])
    check_finite(vectors, words, lookup.rows)
    if lookup.composed is not None:
        at = np.flatnonzero(lookup.found_by(SUBWORDS))
        check_composed(lookup.composed, [words[i] for i in at.tolist()], _FALLBACK)
        vectors[at] = lookup.composed
    missing = np.flatnonzero(~lookup.is_found)
    if len(missing):
        vectors[missing] = start_vectors(table, [words[i] for i in missing.tolist()], oov, seed)
    return vectors


def check_finite(vectors: Vectors, words: Sequence[str], rows: npt.NDArray[np.int64]) -> None:
    """Check that the vectors `(n, D)` of `n` words are finite.

    Args:
        vectors: the vectors.
        words: the words.
        rows: int64 `(n,)`, the row of the table that each vector comes from.

    Raises:
        VocabularyError: one has a value that is NaN or infinite.
    """
    bad = rows_not_finite(vectors)
    if len(bad):
        raise VocabularyError(
            f"{len(bad):,} words have vectors that are not finite, the first is "
            f"{words[bad[0]]!r} (row {rows[bad[0]]:,})",
            value=words[bad[0]],
            remedy=Either(
                "leave them out: table.subset(word for word in table.words if "
                "np.isfinite(table[word]).all())",
                "write the other words to a file: finetune-embed convert SOURCE TARGET "
                "--keys WORDS",
            ),
        )
