"""Validation records as strategies read them: which epoch was the last that got better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import StrategyError

__all__ = ["epoch_of_plateau"]

PREFIXES = ("validation_", "val_", "eval_", "")
Record = Mapping[str, float]


def epoch_of_plateau(
    scores: Sequence[Record], patience: int, metric: str, min_delta: float = 0.0
) -> int | None:
    """Return the epoch at whose start a score had stopped getting better.

    A pure function of the records, so that a resumed run finds the same epoch.

    Args:
        scores: a record for each epoch, oldest first.
        patience: how many epochs in a row bring nothing better.
        metric: `loss`, where less is better, or a score such as `accuracy`, where more is; as it
            stands in the records, or there with `validation_`, `val_` or `eval_` before it.
        min_delta: what is better must be so by more than this.

    Returns:
        The first such epoch, None if there is none yet.

    Raises:
        StrategyError: a record lacks the score.
    """
    sign = -1 if "loss" in metric else 1
    best, waited = float("-inf"), 0
    for epoch, record in enumerate(scores, 1):
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
        f"a validation record has {', '.join(map(repr, record)) or 'nothing'}, but no {metric!r}; "
        "give one for each epoch: strategy.on_epoch_start(embedding, epoch, "
        f"scores=[{{'validation_{metric}': 0.5}}, ...])"
    )
