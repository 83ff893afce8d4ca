"""Validation records: the epoch at which a score stopped improving."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import StrategyError
from .clock import Record

__all__ = ["epoch_of_plateau"]

PREFIXES = ("validation_", "val_", "eval_", "")


def epoch_of_plateau(
    scores: Sequence[Record], patience: int, metric: str, min_delta: float = 0.0
) -> int | None:
    """Return the epoch at whose start a score had stopped improving.

    A pure function of the records, so a resumed run finds the same epoch.

    Args:
        scores: a record for each epoch, oldest first; empty for one without validation, which does
            not count.
        patience: the number of epochs in a row without improvement.
        metric: `loss`, where less is better, or a score such as `accuracy`, where more is. Records
            have it under this name, or with `validation_`, `val_` or `eval_` before it.
        min_delta: an improvement must be larger than this.

    Returns:
        The first such epoch, None if there is none yet.

    Raises:
        StrategyError: a record lacks the score.
    """
    sign = -1 if "loss" in metric else 1
    best, waited = float("-inf"), 0
    for epoch, record in enumerate(scores, 1):
        if not record:
            continue
        score = sign * _value(record, metric)
        if score > best + min_delta:
            best, waited = score, 0
        else:
            waited += 1
        if waited >= patience:
            return epoch
    return None


def _value(record: Record, metric: str) -> float:
    for prefix in PREFIXES:
        if prefix + metric in record:
            return float(record[prefix + metric])
    raise StrategyError(
        f"a validation record has {', '.join(map(repr, record)) or 'nothing'}, but no {metric!r}",
        value=dict(record),
        remedy="choose a metric that the records have, or, in your own loop, record it each epoch: "
        f"strategy.on_epoch_start(embedding, epoch, scores=[{{'validation_{metric}': 0.5}}, ...])",
    )
