"""Tables from tables: two or more side by side or averaged, and one with further words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError
from ..table import EmbeddingTable, Origin, Vectors
from .fallback import SUBWORDS, steps_of
from .initial_vectors import StartValue, check_finite, rows_for

__all__ = ["average", "concatenate", "extend"]

#: Rows combined at a time, so that beside the new table there is never a second copy of an old one.
BLOCK = 1 << 14

Rows = npt.NDArray[np.int64]


def concatenate(
    tables: Sequence[EmbeddingTable], keys: Iterable[str] | None = None
) -> EmbeddingTable:
    """Return the vectors of several tables side by side.

    The simplest of meta-embeddings, and hard to beat (Yin and Schütze 2016, *Learning Word
    Meta-Embeddings*). Values stay as they are: a table with longer vectors weighs more in a cosine.

    Args:
        tables: two or more tables `(V_i, D_i)`.
        keys: the words of the new table; all words of the tables, in the order in which they first
            appear, when left out.

    Returns:
        A table `(V, D_1 + D_2 + ...)`. The part of a table that lacks a word is zeros. `origin` is
        what the tables that have a word agree on, `TUNED` where they don't; `metadata` tells the
        tables, each with its own metadata, as JSON under `sources`.

    Raises:
        VocabularyError: there are fewer than two tables, a key is given twice, or no table has it.
    """
    words, rows = _align(tables, keys)
    widths = [table.vector_size for table in tables]
    vectors = np.zeros((len(words), sum(widths)), np.float32)
    ends = np.cumsum(widths).tolist()
    for start in range(0, len(words), BLOCK):
        for table, at, end in zip(tables, rows, ends, strict=True):
            part = at[start : start + BLOCK]
            known = np.flatnonzero(part >= 0)
            columns = slice(end - table.vector_size, end)
            vectors[start + known, columns] = table.rows(part[known])
    return _combined("concatenation", words, vectors, tables, rows)


def average(tables: Sequence[EmbeddingTable], keys: Iterable[str] | None = None) -> EmbeddingTable:
    """Return the mean of the vectors that several tables have for a word.

    Nearly as good as side by side, in fewer dimensions, and the spaces need not be aligned (Coates
    and Bollegala 2018, *Frustratingly Easy Meta-Embedding*). As there, a table of fewer dimensions
    is padded with zeros at the end, which count in the mean. A table that lacks a word does not
    count for it.

    Args:
        tables: two or more tables `(V_i, D_i)`.
        keys: as for `concatenate`.

    Returns:
        A table `(V, max(D_1, D_2, ...))`; sums are float64. `origin` and `metadata` as for
        `concatenate`.

    Raises:
        VocabularyError: as for `concatenate`.
    """
    words, rows = _align(tables, keys)
    size = max(table.vector_size for table in tables)
    vectors = np.empty((len(words), size), np.float32)
    for start in range(0, len(words), BLOCK):
        stop = min(start + BLOCK, len(words))
        total = np.zeros((stop - start, size))
        having = np.zeros((stop - start, 1))
        for table, at in zip(tables, rows, strict=True):
            part = at[start:stop]
            known = np.flatnonzero(part >= 0)
            total[known, : table.vector_size] += table.rows(part[known])
            having[known] += 1
        vectors[start:stop] = total / having
    return _combined("average", words, vectors, tables, rows)


def extend(
    table: EmbeddingTable,
    words: Iterable[str],
    *,
    vectors: npt.ArrayLike | None = None,
    oov: StartValue = "normal",
    fallback: Sequence[str] = (),
    seed: int = 0,
) -> EmbeddingTable:
    """Return a table with further words behind those it has, as a tuned one may need later.

    Args:
        table: the table `(V, D)`.
        words: `n` words that it lacks.
        vectors: their vectors `(n, D)`; when left out, each word starts at the row of another form
            of itself (`fallback`), or as `oov` says.
        oov: where words start that are not found; see `to_embedding`.
        fallback: under which other forms to look the words up.
        seed: of random start values.

    Returns:
        A new table `(V + n, D)` whose first rows are those of `table` to the bit, with its
        metadata. The new rows' `origin` is `COMPOSED` if they come from subwords, else `NEW`.

    Raises:
        VocabularyError: a word is in the table already, given twice, or no string; `vectors` are
            of another shape or not finite; a step or a start value is unknown, or needs rows of
            subwords.
    """
    new = _distinct([words] if isinstance(words, str) else words, "word")
    present = [new[at] for at in np.flatnonzero(table.rows_of(new) >= 0).tolist()]
    if present:
        raise VocabularyError(
            f"{len(present):,} of {len(new):,} words are in the table already, {present[0]!r} the "
            "first; pass extend(table, [w for w in words if w not in table])"
        )
    origin = np.full(len(new), Origin.NEW, np.uint8)
    if vectors is None:
        steps = steps_of(fallback)
        if (
            oov == SUBWORDS and table.subwords is not None
        ):  # the same thing, and told apart from words that can't be composed
            steps, oov = (*(s for s in steps if s != SUBWORDS), SUBWORDS), "normal"
        rows, found = rows_for(table, new, oov, seed, steps)
        origin[found.by(SUBWORDS)] = Origin.COMPOSED
    else:
        rows = np.asarray(vectors, np.float32)
        if rows.shape != (len(new), table.vector_size):
            raise VocabularyError(
                f"{len(new):,} words need vectors of shape ({len(new)}, {table.vector_size}), not "
                f"{rows.shape}"
            )
        check_finite(rows, new)
    none = np.empty(0, np.int64)
    extended = table.revised(none, rows, new, np.concatenate([table.origin, origin]))
    extended.subwords = table.subwords
    return extended


def _align(
    tables: Sequence[EmbeddingTable], keys: Iterable[str] | None
) -> tuple[list[str], list[Rows]]:
    """Return the words of the new table, and for each table the row of each, -1 where it lacks it.

    Raises:
        VocabularyError: there are fewer than two tables, a key is given twice, or no table has it.
    """
    listed = isinstance(tables, Sequence) and len(tables) > 1
    if not listed or not all(isinstance(table, EmbeddingTable) for table in tables):
        raise VocabularyError("pass two tables or more, as a list: [glove, word2vec]")
    if keys is None:
        words = list(dict.fromkeys(chain.from_iterable(table.words for table in tables)))
    elif isinstance(keys, str):
        raise VocabularyError(f"keys={keys!r} is one string; pass a list of words, [{keys!r}]")
    else:
        words = _distinct(keys, "key")
    rows = [table.rows_of(words) for table in tables]
    lacking = np.flatnonzero(np.maximum.reduce(rows) < 0)
    if len(lacking):
        raise VocabularyError(
            f"{len(lacking):,} of {len(words):,} keys are in none of the tables, "
            f"{words[lacking[0]]!r} the first; pass keys=[k for k in keys if any(k in t for t in "
            "tables)]"
        )
    return words, rows


def _distinct(keys: Iterable[str], what: str) -> list[str]:
    words = list(keys)
    other = [word for word in words if not isinstance(word, str)]
    if other:
        raise VocabularyError(f"the {what} {other[0]!r} is no string; pass a list of words")
    if len(set(words)) < len(words):
        last = {word: at for at, word in enumerate(words)}
        twice = next(word for at, word in enumerate(words) if last[word] != at)
        raise VocabularyError(
            f"the {what} {twice!r} is given twice; pass each once: list(dict.fromkeys({what}s))"
        )
    return words


def _combined(
    how: str,
    words: list[str],
    vectors: Vectors,
    tables: Sequence[EmbeddingTable],
    rows: Sequence[Rows],
) -> EmbeddingTable:
    """Return the new table with its origin and the story of its sources."""
    unset = np.uint8(255)
    origin = np.full(len(words), unset)
    for table, at in zip(tables, rows, strict=True):
        known = np.flatnonzero(at >= 0)
        theirs, ours = table.origin[at[known]], origin[known]
        origin[known] = np.where((ours == unset) | (ours == theirs), theirs, Origin.TUNED)
    sources = [
        {**table.metadata, "words": f"{len(table)}", "vector_size": f"{table.vector_size}"}
        for table in tables
    ]
    metadata = {
        "source": " + ".join(table.metadata.get("source", "a table") for table in tables),
        "source_format": how,
        "sources": json.dumps(sources, ensure_ascii=False),
    }
    return EmbeddingTable(words, vectors, metadata, origin)
