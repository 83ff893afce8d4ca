"""Learning-rate schedules as pure functions of the step, each a torch `LambdaLR`."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch.optim.lr_scheduler import LambdaLR

from ..errors import StrategyError

__all__ = ["SCHEDULES", "build_scheduler"]

#: What is left of the rate when a share `t` (0 to 1) of the steps after the warm-up is done.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda t: 1.0,
    "linear": lambda t: 1.0 - t,
    "cosine": lambda t: 0.5 * (1 + math.cos(math.pi * t)),
}


def build_scheduler(
    optimizer: torch.optim.Optimizer, schedule: str, total_steps: int, warmup: float = 0.0
) -> LambdaLR:
    """Return a scheduler that multiplies the real rate of every group by the same factor.

    Args:
        optimizer: the optimizer.
        schedule: `constant`, `linear` or `cosine`.
        total_steps: the steps of the whole run.
        warmup: the share of them in which the rate rises linearly from 0.

    Raises:
        StrategyError: there is no such schedule, or the share is not from 0 to 1.
    """
    if schedule not in SCHEDULES:
        raise StrategyError(f"no schedule is called {schedule!r}; there are {', '.join(SCHEDULES)}")
    if not 0 <= warmup < 1:
        raise StrategyError(f"warmup={warmup} must be a share of the run, from 0 to below 1")
    left, rising = SCHEDULES[schedule], round(total_steps * warmup)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        return left((step - rising) / max(1, total_steps - rising))

    return LambdaLR(optimizer, factor)
