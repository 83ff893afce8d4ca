"""Linear machines over sparse rows: support vectors by coordinate descent, and ridge regression.

The support vector machines are those of LIBLINEAR, by the algorithm of Hsieh et al. (2008), "A Dual
Coordinate Descent Method for Large-scale Linear SVM". A compiled loop (`_svm.c`) fits one after the
other; without it, numpy fits all together, within `TOLERANCE` the same. After `PASSES` passes both
stop where they are, which happens where the examples of a class count a thousand times as much.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from .background import in_background
from .rows import Floats, SparseRows

__all__ = ["fit_machines", "fit_ridge"]

native: Any = None
if not os.environ.get("FINETUNE_EMBED_NO_COMPILED"):
    with contextlib.suppress(ImportError):  # it was installed without a compiler
        from . import _svm as native

Bools = npt.NDArray[np.bool_]
Doubles = npt.NDArray[np.float64]

TOLERANCE = 0.01  # how far apart the projected gradients of a finished machine are
PASSES = 1000  # over the texts, at most
RESIDUAL = 1e-6  # of a ridge regression, relative to that of weights of 0


def fit_machines(
    rows: SparseRows,
    features: int,
    positive: Bools,
    costs: Sequence[tuple[float, float]],
    seed: int = 0,
    tolerance: float = TOLERANCE,
    threads: int = 1,
) -> tuple[Floats, Floats]:
    """Return the weights and biases of machines that tell positive texts from negative ones.

    Each minimises `(w·w + b·b) / 2 + Σ cost * max(0, 1 - y (w·x + b))²`, where `y` is 1 or -1.

    Args:
        rows: the texts.
        features: the number `F` of columns.
        positive: bool `(B, K)`, whether each text is positive for each machine.
        costs: for each machine, what a negative and what a positive text count.
        seed: the seed of the order in which texts are visited.
        tolerance: how far apart the projected gradients are in the end, at most.
        threads: the threads that fit machines, which do not change them.

    Returns:
        float32 `(F, K)` and `(K,)`.
    """
    if native is None:
        return _descend(rows, features, positive, costs, seed, tolerance)
    weight, bias = np.empty((features, len(costs)), np.float32), np.empty(len(costs), np.float32)

    def fit(share: Sequence[int]) -> None:
        found = np.empty(features + 1)
        for machine in share:
            column = np.ascontiguousarray(positive[:, machine])
            given = column, *costs[machine], seed, tolerance, PASSES
            native.fit(rows.columns, rows.values, rows.starts, *given, found)
            weight[:, machine], bias[machine] = found[:-1], found[-1]

    shares = [range(first, len(costs), threads) for first in range(min(threads, len(costs)))]
    others = [in_background(partial(fit, share)) for share in shares[1:]]
    if shares:
        fit(shares[0])
    for other in others:
        other.result()
    return weight, bias


def _descend(
    rows: SparseRows,
    features: int,
    positive: Bools,
    costs: Sequence[tuple[float, float]],
    seed: int,
    tolerance: float,
) -> tuple[Floats, Floats]:
    """Do what `fit_machines` does, all machines at a time; no text is left out of a pass."""
    weight, bias = np.zeros((features, len(costs))), np.zeros(len(costs))
    sign, alpha = np.where(positive, 1.0, -1.0), np.zeros(positive.shape)
    negative_cost, positive_cost = np.array(costs).reshape(-1, 2).T
    slack = 0.5 / np.where(positive, positive_cost, negative_cost)
    row_of = np.repeat(np.arange(len(positive)), np.diff(rows.starts))
    squares = 1 + np.bincount(row_of, np.square(rows.values, dtype=float), len(positive))
    random = np.random.default_rng(seed)
    for _ in range(PASSES):
        highest, lowest = np.full(len(costs), -np.inf), np.full(len(costs), np.inf)
        for row in random.permutation(len(positive)):
            at = slice(rows.starts[row], rows.starts[row + 1])
            columns, values, before = rows.columns[at], rows.values[at], alpha[row]
            gradient = sign[row] * (values @ weight[columns] + bias) - 1 + slack[row] * before
            projected = np.where(before > 0, gradient, np.minimum(gradient, 0))
            highest, lowest = np.maximum(highest, projected), np.minimum(lowest, projected)
            after = np.maximum(before - gradient / (squares[row] + slack[row]), 0)
            step, alpha[row] = sign[row] * (after - before), after
            weight[columns] += np.outer(values, step)
            bias += step
        if (highest - lowest <= tolerance).all():
            break
    return weight.astype(np.float32), bias.astype(np.float32)


def fit_ridge(rows: SparseRows, features: int, targets: Doubles) -> tuple[Floats, float]:
    """Return the weights `(F,)` and the bias of ridge regression, by conjugate gradients.

    They minimise `Σ (w·x + b - target)² + w·w`.

    Args:
        rows: the texts.
        features: the number `F` of columns.
        targets: float64 `(B,)`.
    """
    count = len(targets)
    row_of = np.repeat(np.arange(count), np.diff(rows.starts))
    mean = np.bincount(rows.columns, rows.values, features) / count

    def transposed(of_rows: Doubles) -> Doubles:
        sums = np.bincount(rows.columns, rows.values * of_rows[row_of], features)
        return np.asarray(sums - mean * of_rows.sum())

    def times(vector: Doubles) -> Doubles:
        sums = np.bincount(row_of, rows.values * vector[rows.columns], count)
        return transposed(sums - mean @ vector) + vector

    weight, residual = np.zeros(features), transposed(targets - targets.mean())
    direction, square = residual, residual @ residual
    least = RESIDUAL**2 * square
    for _ in range(PASSES):
        if square <= least:
            break
        image = times(direction)
        rate = square / (direction @ image)
        weight = weight + rate * direction
        residual = residual - rate * image
        square, before = residual @ residual, square
        direction = residual + square / before * direction
    return weight.astype(np.float32), float(targets.mean() - mean @ weight)
