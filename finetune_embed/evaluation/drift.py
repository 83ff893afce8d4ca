"""Measure how far the rows of a table moved."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from ..errors import Either, VocabularyError
from ..table import EmbeddingTable, PatchedRows, Rows, starts_with
from .bands import bands_by_count, bands_by_origin, bands_by_row
from .drift_report import Drift
from .movement import Movement, movement_of

__all__ = ["drift"]

BLOCK = 1 << 11  # rows compared at a time


def drift(
    base: EmbeddingTable, tuned: EmbeddingTable, counts: Mapping[str, int] | None = None
) -> Drift:
    """Measure how far the rows of a table moved.

    Args:
        base: the table before tuning, `(V, D)`.
        tuned: the table after tuning. Rows are matched by word; order and new words don't matter.
        counts: how often each word occurs in the training data, for the frequency bands. By default
            the bands are of row numbers, since files are often sorted by frequency.

    Raises:
        VocabularyError: the tables differ in dimension or are swapped, or the tuned one lacks words
            of the base.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> tuned = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 2]])
        >>> fe.drift(table, tuned).rows_moved
        1
    """
    if base.vector_size != tuned.vector_size:
        raise VocabularyError(
            f"the base table has {base.vector_size} dimensions, the tuned one {tuned.vector_size}",
            value=tuned.vector_size,
            remedy="compare a table with the one that was tuned from it",
        )
    if _is_tuned_from(base, tuned):
        raise VocabularyError(
            "the two tables are swapped: the first one was tuned from the second",
            remedy=Either("call drift(base, tuned)", "write finetune-embed drift BASE TUNED"),
        )
    starts, ends = _matching_rows(base, tuned)
    at_end = ends if len(ends) == len(base) else np.arange(len(base))
    movement = Movement.none(len(base))
    for first in range(0, len(starts), BLOCK):
        at = starts[first : first + BLOCK]
        part = movement_of(base.rows(at), tuned.rows(ends[first : first + BLOCK]))
        for whole, values in zip(vars(movement).values(), vars(part).values(), strict=True):
            whole[at] = values
    if counts is None:
        bands = bands_by_row(movement)
    else:
        frequency, rows = np.zeros(len(base), np.int64), base.rows_of(counts)
        frequency[rows[rows >= 0]] = np.array([*counts.values()], np.int64)[rows >= 0]
        bands = bands_by_count(frequency, movement)
    is_new = np.ones(len(tuned), bool)
    is_new[at_end] = False
    return Drift(
        base,
        tuned,
        movement.distance,
        movement.cosine,
        movement.moved,
        len(tuned) - len(base),
        bands,
        "row" if counts is None else "frequency",
        bands_by_origin(tuned.origin[at_end], tuned.origin[is_new], movement),
        at_end,
    )


def _is_tuned_from(tuned: EmbeddingTable, base: EmbeddingTable) -> bool:
    """Return whether the metadata of a table say that it was tuned from another."""
    after, before = tuned.metadata, base.metadata
    if "strategy" not in after or not before:
        return False
    if "strategy" in before:  # its metadata are the last of those that came before
        try:
            history = json.loads(after.get("history", "[]"))
        except ValueError:
            return False
        own = {name: value for name, value in before.items() if name != "history"}
        return isinstance(history, list) and own in history
    return (
        bool(before.get("source_sha256")) and after.get("source_sha256") == before["source_sha256"]
    )


def _matching_rows(base: EmbeddingTable, tuned: EmbeddingTable) -> tuple[Rows, Rows]:
    """Return the rows of the base that may have moved, and their rows in the tuned table.

    Raises:
        VocabularyError: the tuned table lacks words of the base.
    """
    stored = tuned.stored
    if (
        isinstance(stored, PatchedRows)
        and stored.base is base.stored
        and starts_with(tuned.words, base.words)
    ):
        return stored.rows, stored.rows
    ends = np.empty(len(base), np.int64)
    for first in range(0, len(base), BLOCK):
        ends[first : first + BLOCK] = tuned.rows_of(base.words[first : first + BLOCK])
    missing = np.flatnonzero(ends < 0)
    if len(missing):
        raise VocabularyError(
            f"the tuned table lacks {len(missing):,} of {len(base):,} words of the base table; the "
            f"first is {base.words[missing[0]]!r}",
            value=base.words[missing[0]],
            remedy=Either(
                "compare it with base.subset(w for w in base.index_to_key if w in tuned)",
                "list its words in a file, one per line, and compare it with what "
                "finetune-embed convert BASE part.safetensors --keys FILE writes",
            ),
        )
    return np.arange(len(base)), ends
