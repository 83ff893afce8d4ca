"""Tables from tables: several side by side or averaged, or one with more words."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from ..errors import Option, VocabularyError
from ..table import EmbeddingTable, Origin, Vectors
from .fallback import SUBWORDS, parse_fallback
from .initial_vectors import look_up_vectors
from .start_values import StartValue, rows_not_finite

__all__ = ["average", "concatenate", "extend"]

#: Rows combined at a time, so that memory never holds a second copy of an input table.
BLOCK = 1 << 14

Rows = npt.NDArray[np.int64]


def concatenate(
    tables: Sequence[EmbeddingTable], keys: Iterable[str] | None = None
) -> EmbeddingTable:
    """Return the vectors of several tables side by side.

    The simplest meta-embedding, and hard to beat (Yin and Schütze 2016, *Learning Word
    Meta-Embeddings*). Values are not rescaled: a table with longer vectors weighs more in a cosine.

    Args:
        tables: two or more tables `(V_i, D_i)`.
        keys: the words of the new table; by default all words of the tables, in the order in which
            they first appear.

    Returns:
        A table `(V, D_1 + D_2 + ...)`. A table that lacks a word contributes zeros. The `origin` of
        a word is the one that all tables which have it agree on, else `TUNED`. `metadata` lists
        the tables, each with its own metadata, as JSON under `sources`.

    Raises:
        VocabularyError: there are fewer than two tables, a key is given twice, or no table has it.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> other = fe.EmbeddingTable(["good"], [[5]])
        >>> fe.concatenate([table, other])["good"]
        array([1., 0., 5.], dtype=float32)
    """
    words, rows = _align(tables, keys)
    sizes = [table.vector_size for table in tables]
    vectors = np.zeros((len(words), sum(sizes)), np.float32)
    ends = np.cumsum(sizes).tolist()
    for start in range(0, len(words), BLOCK):
        for table, at, end in zip(tables, rows, ends, strict=True):
            part = at[start : start + BLOCK]
            known = np.flatnonzero(part >= 0)
            columns = slice(end - table.vector_size, end)
            vectors[start + known, columns] = table.rows(part[known])
    return _combined("concatenation", words, vectors, tables, rows)


def average(tables: Sequence[EmbeddingTable], keys: Iterable[str] | None = None) -> EmbeddingTable:
    """Return the mean of the vectors that several tables have for a word.

    Nearly as good as `concatenate`, in fewer dimensions, and the vector spaces need not be aligned
    (Coates and Bollegala 2018, *Frustratingly Easy Meta-Embedding*). As in that paper, a table of
    fewer dimensions is padded with zeros at the end, which count in the mean. A table that lacks a
    word does not count for it.

    Args:
        tables: two or more tables `(V_i, D_i)`.
        keys: see `concatenate`.

    Returns:
        A table `(V, max(D_1, D_2, ...))`, summed in float64. For `origin` and `metadata`, see
        `concatenate`.

    Raises:
        VocabularyError: see `concatenate`.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> other = fe.EmbeddingTable(["good"], [[3, 4]])
        >>> fe.average([table, other])["good"]
        array([2., 2.], dtype=float32)
    """
    words, rows = _align(tables, keys)
    size = max(table.vector_size for table in tables)
    vectors = np.empty((len(words), size), np.float32)
    for start in range(0, len(words), BLOCK):
        stop = min(start + BLOCK, len(words))
        total = np.zeros((stop - start, size))
        count = np.zeros((stop - start, 1))
        for table, at in zip(tables, rows, strict=True):
            part = at[start:stop]
            known = np.flatnonzero(part >= 0)
            total[known, : table.vector_size] += table.rows(part[known])
            count[known] += 1
        vectors[start:stop] = total / count
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
    """Return a table with more words, appended after its own.

    Args:
        table: the table `(V, D)`, pretrained or tuned.
        words: `n` words that it lacks.
        vectors: the vectors `(n, D)` of the words; by default each starts at the row of another
            form of itself (`fallback`), or as `oov` says.
        oov: where words that are not found start; see `to_embedding`.
        fallback: the forms under which to look the words up.
        seed: the seed of random start values.

    Returns:
        A new table `(V + n, D)` whose first rows are bit-identical to those of `table`, with its
        metadata. The `origin` of a new row is `COMPOSED` if it comes from subwords, else `NEW`.

    Raises:
        VocabularyError: a word is already in the table, given twice, or not a string; `vectors`
            have another shape or are not finite; a step or a start value is unknown, or needs
            subword vectors.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> fe.extend(table, ["fine"], vectors=[[1, 1]]).index_to_key
        ['good', 'bad', 'fine']
    """
    new = _distinct([words] if isinstance(words, str) else words, "word")
    present = [new[at] for at in np.flatnonzero(table.rows_of(new) >= 0).tolist()]
    if present:
        raise VocabularyError(
            f"{len(present):,} of {len(new):,} words are already in the table, the first is "
            f"{present[0]!r}",
            value=present[0],
            remedy="pass extend(table, [word for word in words if word not in table])",
        )
    origin = np.full(len(new), Origin.NEW, np.uint8)
    if vectors is None:
        steps = parse_fallback(fallback)
        if oov == SUBWORDS and table.subwords is not None:
            # The same vectors, and the lookup says which words could be composed.
            steps, oov = (*(step for step in steps if step != SUBWORDS), SUBWORDS), "normal"
        rows, lookup = look_up_vectors(table, new, oov, seed, steps)
        origin[lookup.found_by(SUBWORDS)] = Origin.COMPOSED
    else:
        rows = _given_vectors(vectors, new, table.vector_size)
    no_rows = np.empty(0, np.int64)
    extended = table.patched(no_rows, rows, new, np.concatenate([table.origin, origin]))
    extended.subwords = table.subwords
    return extended


def _given_vectors(vectors: npt.ArrayLike, words: Sequence[str], size: int) -> Vectors:
    """Return the vectors `(n, D)` that a caller gives `n` words.

    Raises:
        VocabularyError: they have another shape, or are not finite.
    """
    rows: Vectors = np.asarray(vectors, np.float32)
    if rows.shape != (len(words), size):
        raise VocabularyError(
            (Option("vectors"), f" has the shape {rows.shape}"),
            value=rows.shape,
            remedy=f"pass the shape ({len(words)}, {size}), one row per word",
        )
    bad = rows_not_finite(rows)
    if len(bad):
        raise VocabularyError(
            (
                Option("vectors"),
                f" has {len(bad):,} rows that are not finite, the first is that of "
                f"{words[bad[0]]!r}",
            ),
            value=words[bad[0]],
            remedy="pass finite numbers",
        )
    return rows


def _align(
    tables: Sequence[EmbeddingTable], keys: Iterable[str] | None
) -> tuple[list[str], list[Rows]]:
    """Return the words of the new table, and for each table the row of each, -1 if it lacks it.

    Raises:
        VocabularyError: there are fewer than two tables, a key is given twice, or no table has it.
    """
    is_list = isinstance(tables, Sequence) and len(tables) > 1
    if not is_list or not all(isinstance(table, EmbeddingTable) for table in tables):
        raise VocabularyError(
            (Option("tables"), " is not a list of two or more tables"),
            value=tables,
            remedy=("pass such a list, as in ", Option("tables"), "=[glove, word2vec]"),
        )
    if keys is None:
        words = list(dict.fromkeys(chain.from_iterable(table.words for table in tables)))
    elif isinstance(keys, str):
        raise VocabularyError(
            "is one string, not a list of words",
            option="keys",
            value=keys,
            remedy=("pass ", Option("keys", [keys])),
        )
    else:
        words = _distinct(keys, "key")
    rows = [table.rows_of(words) for table in tables]
    missing = np.flatnonzero(np.maximum.reduce(rows) < 0)
    if len(missing):
        raise VocabularyError(
            f"{len(missing):,} of {len(words):,} keys are in none of the tables, the first is "
            f"{words[missing[0]]!r}",
            value=words[missing[0]],
            remedy=(
                "pass ",
                Option("keys"),
                "=[key for key in keys if any(key in table for table in tables)]",
            ),
        )
    return words, rows


def _distinct(keys: Iterable[str], noun: str) -> list[str]:
    """Return keys as a list.

    Raises:
        VocabularyError: one is not a string, or is given twice.
    """
    words = list(keys)
    for word in words:
        if not isinstance(word, str):
            raise VocabularyError(
                f"the {noun} {word!r} is not a string", value=word, remedy="pass a list of words"
            )
    if len(set(words)) < len(words):
        last = {word: at for at, word in enumerate(words)}
        twice = next(word for at, word in enumerate(words) if last[word] != at)
        raise VocabularyError(
            f"the {noun} {twice!r} is given twice",
            value=twice,
            remedy=f"pass each once: list(dict.fromkeys({noun}s))",
        )
    return words


def _combined(
    how: str,
    words: list[str],
    vectors: Vectors,
    tables: Sequence[EmbeddingTable],
    rows: Sequence[Rows],
) -> EmbeddingTable:
    """Return the new table with its origin and the provenance of its sources."""
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
    combined = EmbeddingTable(words, vectors, metadata, origin)
    if all(table.tokenizer == tables[0].tokenizer for table in tables):
        combined.tokenizer = tables[0].tokenizer
    return combined
