"""How far the table has moved from its start, measured on a sample of its rows after each epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ..evaluation import movement_of

__all__ = ["movement_since", "sampled_rows"]

ROWS = 1_000  # the mean of so many rows is known to about 3 % of their spread


def sampled_rows(counts: npt.NDArray[np.int64], seed: int) -> torch.Tensor:
    """Return a sample of the rows that training can touch, int64, sorted.

    Args:
        counts: `(V,)`, how often each token occurs in the training data. A row can be touched if
            its token occurs; without any counts, every row is taken to be one of them.
        seed: the sample is a function of the counts and of this, and leaves torch's and numpy's
            global generators alone.
    """
    rows = np.flatnonzero(counts > 0) if counts.any() else np.arange(len(counts))
    if len(rows) > ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, ROWS, replace=False))
    return torch.from_numpy(rows)


def movement_since(
    start: torch.Tensor, weight: torch.Tensor, rows: torch.Tensor
) -> dict[str, float]:
    """Return how far rows of a table have moved.

    Args:
        start: the weight `(V, D)` before training.
        weight: the weight now.
        rows: the rows to measure, `(n,)`.

    Returns:
        `rows`, the number of them; `displacement`, the mean distance to the start, relative to the
        length of the start; `cosine`, the mean cosine distance to it. Both are 0 for rows without a
        changed bit.
    """
    at = rows.to(weight.device)
    before, after = (table.detach()[at].float().cpu().numpy() for table in (start, weight))
    moved = movement_of(before, after)
    if not len(rows):
        return {"rows": 0, "displacement": 0.0, "cosine": 0.0}
    return {
        "rows": len(rows),
        "displacement": float(moved.distance.mean()),
        "cosine": float(1 - moved.cosine.mean()),
    }
