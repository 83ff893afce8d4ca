"""Differences beyond chance: a nested bootstrap and Holm's correction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..training.tasks import Task

__all__ = ["bootstrap", "holm", "interval", "interval_of_run", "p_value"]

Floats = npt.NDArray[np.float64]
DRAWS, BLOCK = 5_000, 100


def bootstrap(outcomes: Mapping[str, Floats], draws: int = DRAWS) -> dict[str, Floats]:
    """Return bootstrap samples of mean scores.

    Each draw resamples the seeds and, nested in them, the test examples. Both are the same for all
    names, because seeds are paired and the test examples are the same texts; so differences of the
    samples are paired differences.

    Args:
        outcomes: by name, `(seeds, N, 2)`: what each example of each run adds to the numerator and
            the denominator of the score; see `Task.outcomes`.
        draws: the number of draws.

    Returns:
        By name, the mean score of each draw, `(draws,)`.
    """
    rng = np.random.default_rng(0)
    seeds, examples, _ = next(iter(outcomes.values())).shape
    parts = np.stack([*outcomes.values()]).astype(np.float32)  # (names, seeds, N, 2)
    flat = np.ascontiguousarray(parts.transpose(2, 0, 1, 3).reshape(examples, -1))
    means = np.empty((len(outcomes), draws))
    for first in range(0, draws, BLOCK):
        count = min(BLOCK, draws - first)
        weights = np.empty((count, examples), np.float32)
        for row in weights:
            row[:] = np.bincount(rng.integers(0, examples, examples), minlength=examples)
        sums = (weights @ flat).astype(np.float64).reshape(count, len(outcomes), seeds, 2)
        scores = _ratio(sums)
        drawn = rng.integers(0, seeds, (count, seeds))
        means[:, first : first + count] = (
            np.take_along_axis(scores, drawn[:, None, :], axis=2).mean(axis=2).T
        )
    return dict(zip(outcomes, means, strict=True))


def _ratio(sums: Floats) -> Floats:
    """Return numerators over denominators, 0 where a denominator is 0."""
    above, below = sums[..., 0], sums[..., 1]
    return np.divide(above, below, out=np.zeros_like(above), where=below > 0)


def interval(drawn: Floats, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile interval of samples."""
    rest = 100 * (1 - level) / 2
    low, high = np.percentile(drawn, (rest, 100 - rest))
    return float(low), float(high)


def interval_of_run(
    task: Task, score: float, texts: int, outcomes: Floats | None, drawn: Floats | None = None
) -> tuple[float, float] | None:
    """Return the 95 % interval of the score of one run over other texts.

    A share of texts that are right has Wilson's, wherever it is shown; another score that is a sum
    over texts that of the bootstrap.

    Args:
        task: the task of the run.
        score: its score.
        texts: the number of texts that count.
        outcomes: what each text adds to the score, `(N, 2)`; None for a score that is no such sum.
        drawn: the bootstrap samples of it, if the caller has them.
    """
    if (bounds := task.interval(score, texts)) is not None:
        return bounds
    if drawn is None and outcomes is not None:
        drawn = bootstrap({"run": outcomes[None]})["run"]
    return None if drawn is None else interval(drawn)


def p_value(drawn: Floats) -> float:
    """Return the two-sided p-value of a difference from its samples."""
    beyond = 1 + min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return min(1.0, 2 * beyond / (len(drawn) + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected for multiple comparisons (Holm 1979).

    The smallest is multiplied by their number, the next by one less, and so on; none is less than
    the one before it.
    """
    order = np.argsort(p_values, kind="stable")
    corrected = np.array([p_values[i] for i in order]) * np.arange(len(order), 0, -1)
    corrected = np.minimum(np.maximum.accumulate(corrected), 1.0)
    result = np.empty(len(order))
    result[order] = corrected
    return [float(value) for value in result]
