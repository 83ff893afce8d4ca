"""Which learning rate to try next: a search up and down a ladder of rates, within a budget."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["DIVERGED", "next_rung", "rate_of"]

DIVERGED = float("-inf")


def rate_of(lr: float, rung: int) -> float:
    """Return a rate of the ladder: `lr` times the root of ten per rung, to one digit.

    Rung 0 is `lr` itself.
    """
    return lr if rung == 0 else float(f"{lr * 10 ** (rung / 2):.1g}")


def next_rung(scores: Mapping[int, float], budget: int) -> int | None:
    """Return the next rung of the ladder to try, None when the search is over.

    It is a pure function of the scores, so that a search can resume.

    Args:
        scores: the validation score of each rung tried, `DIVERGED` where the loss diverged.
        budget: the number of rungs to try at most.
    """
    if not scores:
        return 0
    if len(scores) >= budget:
        return None
    if max(scores.values()) == DIVERGED:
        return min(scores) - 2  # to a tenth
    best = max(scores, key=lambda rung: (scores[rung], -abs(rung)))
    return next((rung for rung in (best + 1, best - 1) if rung not in scores), None)
