"""Learning-rate schedules as pure functions of the step, each a torch `LambdaLR`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.optim.lr_scheduler import LambdaLR

from ..errors import Option, StrategyError

__all__ = ["SCHEDULES", "Schedule", "build_scheduler", "check_schedule", "total_steps"]


class Schedule(NamedTuple):
    """A schedule of the learning rate.

    Attributes:
        factor: a function of the step, the steps of the run and the warm-up share of them, in which
            the rate rises. It returns the factor on the rate.
        warmup: the default of that share.
    """

    factor: Callable[[int, int, float], float]
    warmup: float = 0.0


def _warmed_up(left: Callable[[float], float]) -> Callable[[int, int, float], float]:
    """Rise linearly; then follow `left`, a function of the share of the other steps done."""

    def factor(step: int, total: int, warmup: float) -> float:
        rising = round(total * warmup)
        if step < rising:
            return (step + 1) / (rising + 1)
        return left(min(1.0, (step - rising) / max(1, total - rising)))

    return factor


def _slanted_triangular(step: int, total: int, warmup: float) -> float:
    """Howard and Ruder (2018, ULMFiT, section 3.2), with `cut_frac` = `warmup` and `ratio` 32."""
    cut = max(1, math.floor(total * warmup))
    share = step / cut if step < cut else max(0.0, 1 - (step - cut) / max(1, total - cut))
    return (1 + share * 31) / 32


def _one_cycle(step: int, total: int, warmup: float) -> float:
    """Smith and Topin (2018), as torch's `OneCycleLR`: 1/25, up to 1, down to 1/250,000."""
    peak = max(0.0, total * warmup - 1)
    if step <= peak:
        return _cosine(1 / 25, 1.0, step / peak if peak else 1.0)
    return _cosine(1.0, 1 / 250_000, min(1.0, (step - peak) / max(1.0, total - 1 - peak)))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(_warmed_up(lambda t: 1.0)),
    "linear": Schedule(_warmed_up(lambda t: 1.0 - t)),
    "cosine": Schedule(_warmed_up(lambda t: _cosine(1.0, 0.0, t))),
    "slanted_triangular": Schedule(_slanted_triangular, 0.1),
    "one_cycle": Schedule(_one_cycle, 0.3),
}


def check_schedule(schedule: str, warmup: float | None) -> None:
    """Check the name of a schedule and its warm-up share.

    Raises:
        StrategyError: there is no such schedule, or the share is not from 0 to below 1.
    """
    if schedule not in SCHEDULES:
        raise StrategyError(
            "is not a schedule",
            option="schedule",
            value=schedule,
            remedy=f"use one of {', '.join(SCHEDULES)}",
        )
    if warmup is not None and not 0 <= warmup < 1:
        raise StrategyError(
            "must be a share of the run, from 0 to below 1", option="warmup", value=warmup
        )


def build_scheduler(
    optimizer: torch.optim.Optimizer,
    schedule: str,
    total_steps: int | None,
    warmup: float | None = None,
) -> LambdaLR:
    """Return a scheduler that multiplies the real rate of every group by the same factor.

    Args:
        optimizer: the optimizer.
        schedule: `constant`, `linear`, `cosine`, `slanted_triangular` or `one_cycle`.
        total_steps: the steps of the run; None if unknown, which only `constant` without a warm-up
            allows.
        warmup: the share of them in which the rate rises. The default is 0.1 for
            `slanted_triangular`, 0.3 for `one_cycle` and 0 for the others.

    Raises:
        StrategyError: there is no such schedule, the share is not from 0 to below 1, or the
            schedule needs the steps of the run and they are unknown.
    """
    check_schedule(schedule, warmup)
    factor, own = SCHEDULES[schedule]
    share = own if warmup is None else warmup
    if total_steps is None:
        if schedule != "constant" or share:
            raise StrategyError(
                (
                    "with ",
                    Option("warmup", share),
                    " needs the number of steps, and the length of the streamed data is unknown",
                ),
                option="schedule",
                value=schedule,
                remedy=("pass ", Option("max_steps", ...)),
            )
        return LambdaLR(optimizer, lambda step: 1.0)
    total = total_steps
    return LambdaLR(optimizer, lambda step: factor(step, total, share))


def total_steps(steps_of_run: int | None, max_steps: int | None) -> int | None:
    """Return the maximum number of steps of a run, None if it is unknown."""
    known = [steps for steps in (steps_of_run, max_steps) if steps is not None]
    return min(known, default=None)
