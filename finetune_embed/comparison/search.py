"""Which learning rate to try next: up or down a ladder, as long as it pays and the budget lasts."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["DIVERGED", "next_rung", "rate_of"]

DIVERGED = float("-inf")


def rate_of(lr: float, rung: int) -> float:
    """Return a rate of the ladder: `lr` times the root of ten for each rung, to one digit.

    Rung 0 is `lr` as it is.
    """
    return lr if rung == 0 else float(f"{lr * 10 ** (rung / 2):.1g}")


def next_rung(scores: Mapping[int, float], budget: int) -> int | None:
    """Return which rung of the ladder to try next, None when the search is over.

    A pure function of what is known, so that a search goes on where it was left.

    Args:
        scores: the validation score of each rung that was tried, `DIVERGED` where the loss became
            infinite.
        budget: how many may be tried.
    """
    if not scores:
        return 0
    if len(scores) >= budget:
        return None
    if max(scores.values()) == DIVERGED:
        return min(scores) - 2  # to a tenth
    best = max(scores, key=lambda rung: (scores[rung], -abs(rung)))
    return next((rung for rung in (best + 1, best - 1) if rung not in scores), None)
