"""Lengths and cosines of vectors, and nearest neighbours. numpy only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .lazy_rows import LazyRows, Vectors

__all__ = ["lengths", "nearest_rows", "unit"]

#: Rows compared at a time, which keeps a memory-mapped table out of memory.
SEARCH_BLOCK = 65_536
SMALLEST = 1e-18  # a length whose square still fits float32


def lengths(vectors: Vectors) -> Vectors:
    """Return the Euclidean lengths of vectors `(..., D)`, also where squares overflow float32."""
    with np.errstate(over="ignore"):
        norms = np.atleast_1d(np.linalg.norm(vectors, axis=-1))
    extreme = ~((norms > SMALLEST) & np.isfinite(norms))
    if extreme.any():
        exact = np.atleast_2d(vectors)[extreme].astype(np.float64)
        norms[extreme] = np.linalg.norm(exact, axis=-1)
    return np.asarray(norms.reshape(vectors.shape[:-1]), np.float32)


def unit(vectors: Vectors) -> Vectors:
    """Return vectors `(..., D)` scaled to length 1; zero vectors stay zero."""
    norms = lengths(vectors)[..., None]
    with np.errstate(invalid="ignore"):  # infinite values
        return np.asarray(vectors / np.where(norms, norms, 1), np.float32)


def nearest_rows(
    stored: Vectors | LazyRows,
    queries: Vectors,
    topn: int,
    excluded: Sequence[Sequence[int]] | None = None,
) -> list[list[tuple[int, float]]]:
    """Return the `topn` rows nearest to each query by cosine, with their cosines, best first.

    Args:
        stored: the rows, `(V, D)`.
        queries: `(Q, D)` vectors.
        topn: the number of rows to return for each query.
        excluded: for each query, the rows to leave out.
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
