"""Lengths and cosines of vectors, and the nearest of many. numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .revised_rows import RevisedRows, Vectors

__all__ = ["lengths", "nearest_rows", "unit"]

#: Rows compared at a time in a search, so that a memory-mapped table is never copied whole.
SEARCH_BLOCK = 65_536
SMALLEST = 1e-18  # a length whose square float32 still holds


def lengths(vectors: Vectors) -> Vectors:
    """Return the lengths of vectors `(..., D)`, also where their squares are beyond float32."""
    with np.errstate(over="ignore"):
        norms = np.atleast_1d(np.linalg.norm(vectors, axis=-1))
    odd = ~((norms > SMALLEST) & np.isfinite(norms))
    if odd.any():
        norms[odd] = np.linalg.norm(np.atleast_2d(vectors)[odd].astype(np.float64), axis=-1)
    return np.asarray(norms.reshape(vectors.shape[:-1]), np.float32)


def unit(vectors: Vectors) -> Vectors:
    """Return vectors `(..., D)` of the length 1; those of zeros stay as they are."""
    norms = lengths(vectors)[..., None]
    with np.errstate(invalid="ignore"):  # of infinite numbers
        return np.asarray(vectors / np.where(norms, norms, 1), np.float32)


def nearest_rows(
    stored: Vectors | RevisedRows,
    queries: Vectors,
    topn: int,
    excluded: Sequence[Sequence[int]] | None = None,
) -> list[list[tuple[int, float]]]:
    """Return the `topn` rows nearest by cosine to each query, with their cosines, best first.

    Args:
        stored: the rows, `(V, D)`.
        queries: `(Q, D)` vectors.
        topn: how many rows to return for each.
        excluded: for each query the rows that must not be returned.
    """
    cosine = np.empty((len(queries), len(stored)), np.float32)
    directions = unit(np.asarray(queries, np.float32))
    with np.errstate(invalid="ignore"):  # infinite rows have no cosine
        for start in range(0, len(stored), SEARCH_BLOCK):
            part = slice(start, start + SEARCH_BLOCK)
            norms = lengths(block := stored[part])
            cosine[:, part] = directions @ block.T / np.where(norms, norms, 1)
    cosine[np.isnan(cosine)] = -np.inf
    found = []
    for scores, rows in zip(cosine, excluded or [()] * len(queries), strict=True):
        scores[list(rows)] = -np.inf
        best = np.argpartition(-scores, min(topn, len(stored) - 1))[:topn]
        best = best[np.lexsort((best, -scores[best]))]
        best = best[scores[best] > -np.inf]
        found.append([(int(row), float(scores[row])) for row in best])
    return found
