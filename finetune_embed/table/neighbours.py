"""Lengths and cosines of vectors, and nearest neighbours. numpy only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from .lazy_rows import LazyRows, Vectors

__all__ = ["lengths", "nearest_rows", "top_rows", "unit"]

#: Rows compared at a time, which keeps a memory-mapped table out of memory.
SEARCH_BLOCK = 65_536
SMALL = 256  # rows compared first; then twice as many, and so on, so that few of them are sorted
CELLS = 1 << 24  # cosines computed at a time
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
    rows, cosines = top_rows(stored.__getitem__, len(stored), queries, topn, excluded)
    return [
        [(row, cosine) for row, cosine in zip(*pair, strict=True) if row >= 0]
        for pair in zip(rows.tolist(), cosines.tolist(), strict=True)
    ]


def top_rows(
    read: Callable[[slice], Vectors],
    count: int,
    queries: Vectors,
    topn: int,
    excluded: Sequence[Sequence[int]] | None = None,
) -> tuple[npt.NDArray[np.int64], Vectors]:
    """Return the `topn` rows nearest to each query by cosine, best first; of equals, the first.

    Args:
        read: returns a slice of the rows, `(n, D)`. Rows without a cosine are never returned.
        count: the number of rows.
        queries: `(Q, D)` vectors.
        topn: the number of rows to return for each query.
        excluded: for each query, the rows to leave out.

    Returns:
        Row numbers and cosines, both `(Q, topn)`; -1 and -inf where there are fewer rows.
    """
    directions = unit(np.asarray(queries, np.float32))
    number = len(directions)
    left_out = [(at, row) for at, rows in enumerate(excluded or ()) for row in rows]
    barred, barred_rows = np.array(left_out, np.int64).reshape(-1, 2).T
    query, row, best = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    worst = np.full(number, -np.inf, np.float32)  # of the best so far, once there are topn
    largest = min(SEARCH_BLOCK, max(1, CELLS // max(number, 1)))
    start, size = 0, max(topn, SMALL)
    while start < count:
        part = slice(start, min(start + min(size, largest), count))
        norms = lengths(block := read(part))
        norms = np.where(norms, norms, 1)
        with np.errstate(invalid="ignore"):  # infinite rows have no cosine
            if number > block.shape[1]:  # then the rows are fewer numbers than the cosines
                cosine = directions @ (block / norms[:, None]).T
            else:
                cosine = directions @ block.T
                cosine /= norms
        inside = (barred_rows >= part.start) & (barred_rows < part.stop)
        cosine[barred[inside], barred_rows[inside] - start] = -np.inf
        better = np.flatnonzero(cosine > worst[:, None])
        if len(better):
            at, found = np.divmod(better, part.stop - part.start)
            query = np.concatenate([query, at])
            row = np.concatenate([row, found + start])
            best = np.concatenate([best, cosine[at, found]])
            order = np.lexsort((row, -best, query))
            query, row, best = query[order], row[order], best[order]
            rank = np.arange(len(query)) - np.searchsorted(query, query)
            kept = rank < topn
            query, row, best, rank = query[kept], row[kept], best[kept], rank[kept]
            worst[query[rank == topn - 1]] = best[rank == topn - 1]
        start, size = part.stop, 2 * size
    rows, cosines = np.full((number, topn), -1), np.full((number, topn), -np.inf, np.float32)
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    rows[query, rank], cosines[query, rank] = row, best
    return rows, cosines
