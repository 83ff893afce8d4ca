"""Product quantization (Jegou et al. 2011): groups of numbers as the number of a centroid.

The centroids of each group come from k-means (Lloyd 1982) on rows of the table.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .lazy_rows import Vectors

__all__ = ["codebooks_of", "nearest_centroids"]

CENTROIDS = 256  # whose number is one byte
SAMPLE = 1 << 13  # rows that centroids are made from, at most
STEPS = 10
BLOCK = 1 << 13  # rows compared at a time


def codebooks_of(rows: Vectors, seed: int = 0) -> Vectors:
    """Return the centroids of each group of consecutive columns, float32 `(M, K, S)`.

    A group has two columns, or three or one if the number of columns is odd.

    Args:
        rows: `(n, D)`, finite, at least one; of many, some are used.
        seed: the seed of their choice.
    """
    size = next(size for size in (2, 3, 1) if rows.shape[1] % size == 0)
    random = np.random.default_rng(seed)
    if len(rows) > SAMPLE:
        rows = rows[np.sort(random.choice(len(rows), SAMPLE, replace=False))]
    groups = rows.reshape(len(rows), -1, size).transpose(1, 0, 2)
    return np.stack([_centroids(np.ascontiguousarray(one), random) for one in groups])


def _centroids(points: Vectors, random: np.random.Generator) -> Vectors:
    """Return the centroids `(K, S)` of points `(n, S)`."""
    count = min(CENTROIDS, len(points))
    found = points[random.choice(len(points), count, replace=False)]
    for _ in range(STEPS):
        nearest = _nearest(points, found)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, column, count) for column in points.T], axis=1)
        used = sizes > 0
        found[used] = sums[used] / sizes[used, None]
        if not used.all():  # one without points goes to a random point
            found[~used] = points[random.choice(len(points), count - int(used.sum()))]
    return found


def nearest_centroids(rows: Vectors, codebooks: Vectors) -> npt.NDArray[np.uint8]:
    """Return the number of the nearest centroid of each group, uint8 `(n, M)`."""
    count, _, size = codebooks.shape
    codes = np.empty((len(rows), count), np.uint8)
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        for group, book in enumerate(codebooks):
            points = block[:, group * size : (group + 1) * size]
            codes[start : start + BLOCK, group] = _nearest(points, book)
    return codes


def _nearest(points: Vectors, centroids: Vectors) -> npt.NDArray[np.int64]:
    """Return the nearest centroid `(K, S)` of each point `(n, S)`."""
    halves = np.square(centroids).sum(axis=1) / 2
    return np.asarray((points @ centroids.T - halves).argmax(axis=1))
