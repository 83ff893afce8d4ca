"""A budget of time, and whether a run still fits."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from ..errors import Option, StrategyError

__all__ = ["Budget", "seconds_of"]

#: The least share of a budget that is left for what follows the last run.
RESERVE = 0.05
#: Runs are taken to last so much longer than those before, for a machine that gets busier.
SLACK = 1.15


class Budget:
    """The time for a search.

    Args:
        limit: the seconds.
        clock: returns the seconds since some moment.

    Attributes:
        unit: the seconds of a run with cost 1, by the slower of the last two.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock, self._limit = clock, limit
        self._started = clock()
        self._reserve = RESERVE * limit
        self._units: list[float] = []

    @property
    def used(self) -> float:
        """The seconds since the start."""
        return self._clock() - self._started

    @property
    def unit(self) -> float:
        """The seconds of a run with the cost 1: those of the slower one of the last two."""
        return max(self._units[-2:])

    def opened(self) -> None:
        """Note that the inputs are open: writing the result takes about as long at most."""
        self._reserve = max(self._reserve, self.used)

    def spend(self, seconds: float) -> None:
        """Count time that an earlier call has used."""
        self._started -= seconds

    def ran(self, seconds: float, cost: float) -> None:
        """Note how long a run took, and what it was expected to cost beside the first."""
        self._units.append(seconds / cost)

    def fits(self, cost: float) -> bool:
        """Return whether a run of some cost is likely to end in time."""
        return self.used + SLACK * self.unit * cost < self._limit - self._reserve

    def allows(self, runs: float) -> bool:
        """Return whether the whole budget is enough for so many runs."""
        return runs * self.unit <= self._limit


def seconds_of(budget: str | float) -> float:
    """Return a time such as `60s`, `5m` or `1h`, or a number of seconds, in seconds.

    Raises:
        StrategyError: it is not a time above 0.
    """
    units = {"": 1, "s": 1, "m": 60, "h": 3600}
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(budget))
    seconds = float(parts[1]) * units[parts[2]] if parts and not isinstance(budget, bool) else 0.0
    if not seconds:
        raise StrategyError(
            "is not a time above 0",
            option="budget",
            value=budget,
            remedy=("give, for example, ", Option("budget", "60s"), " or ", Option("budget", "5m")),
        )
    return seconds
