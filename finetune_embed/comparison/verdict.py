"""From runs to standings, and to the confirmation of the best strategy."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import DivergenceError, Option
from .report import Confirmation, Standing
from .statistics import Floats, bootstrap, holm, interval, p_value
from .trials import Trial

__all__ = ["confirmed", "standings_of"]


def standings_of(
    found: Mapping[str, Sequence[Trial]],
    tried: Mapping[str, Mapping[float, float | None]],
    baseline: str,
) -> tuple[Standing, ...]:
    """Return the standings of the strategies, best on validation first."""
    drawn = bootstrap(_outcomes(found))
    others = [name for name in found if name != baseline]
    validation = {n: statistics.mean(t.validation for t in trials) for n, trials in found.items()}
    best = max(validation, key=validation.__getitem__)
    p_values = holm([p_value(drawn[name] - drawn[baseline]) for name in others])
    p = dict(zip(others, p_values, strict=True)) | {baseline: 1.0}
    means = {name: statistics.mean(t.test for t in trials) for name, trials in found.items()}
    standings = []
    for name, trials in found.items():
        pairs = trials[0].word_pairs
        standings.append(
            Standing(
                name,
                trials[0].lr,
                tried[name],
                validation[name],
                means[name],
                interval(drawn[name]),
                means[name] - means[baseline],
                interval(drawn[name] - drawn[baseline]),
                p[name],
                interval(drawn[name] - drawn[best]),
                statistics.median(t.seconds for t in trials),
                statistics.median(t.best_epoch for t in trials),
                statistics.median(t.rows_moved for t in trials),
                statistics.median(t.median_movement for t in trials),
                statistics.mean(t.neighbour_overlap for t in trials),
                {key: statistics.mean(t.word_pairs[key] for t in trials) for key in pairs},
            )
        )
    return tuple(sorted(standings, key=lambda one: -one.validation))


def confirmed(found: Mapping[str, Sequence[Trial]]) -> Confirmation:
    """Return how the first of two strategies compares with the second, the baseline."""
    drawn = bootstrap(_outcomes(found))
    name, baseline = found
    means = {name: statistics.mean(t.test for t in trials) for name, trials in found.items()}
    bounds = interval(drawn[name] - drawn[baseline])
    seeds = tuple(trial.seed for trial in found[name])
    return Confirmation(name, means[name], means[baseline], bounds, seeds)


def _outcomes(found: Mapping[str, Sequence[Trial]]) -> dict[str, Floats]:
    for trials in found.values():
        for trial in trials:
            if trial.diverged:
                raise DivergenceError(
                    f"with a learning rate of {trial.lr:g}, the best with another seed, the loss "
                    f"diverged with seed {trial.seed}",
                    where=trial.strategy,
                    remedy=("start lower: ", Option("lr", float(f"{trial.lr / 10:g}"))),
                )
    return {name: np.stack([t.parts for t in trials]) for name, trials in found.items()}
