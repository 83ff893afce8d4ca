"""Accuracies of runs beside each other: means, spread, and the interval of a difference."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from runs import Record

__all__ = ["interval", "rights"]


def interval(
    ours: npt.NDArray[np.bool_], peer: npt.NDArray[np.bool_], draws: int = 2000
) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two accuracies.

    Seeds are drawn anew, and within each draw the test examples, which are the same for all runs.

    Args:
        ours: whether each run has each test example right, `(seeds, N)`.
        peer: the same, of another tool.
        draws: how often to draw.
    """
    rng = np.random.default_rng(0)
    examples = ours.shape[1]
    differences = []
    for _ in range(draws):
        a, b = (
            runs[rng.integers(0, len(runs), len(runs))].mean(axis=0, dtype=np.float32)
            for runs in (ours, peer)
        )
        weights = np.bincount(rng.integers(0, examples, examples), minlength=examples)
        differences.append(float((a - b) @ weights) / examples)
    low, high = np.percentile(differences, (2.5, 97.5))
    return float(low), float(high)


def rights(records: Iterable[Record], count: int) -> npt.NDArray[np.bool_]:
    """Return whether each run has each test example right, `(seeds, N)`."""
    rows = [np.frombuffer(bytes.fromhex(record["right"]), np.uint8) for record in records]
    return np.unpackbits(np.stack(rows), axis=1, count=count).astype(bool)
