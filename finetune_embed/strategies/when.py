"""Strategies of when the table trains: never, always, or after a while."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from ..errors import StrategyError
from .base import Clock, Strategy, Timing
from .layout import EMBEDDING

__all__ = ["Freeze", "FullTune", "UnfreezeAfter"]


@dataclass(frozen=True)
class FullTune(Strategy):
    """Tune the whole table from the first step on, at the rate of the rest of the model.

    The identity of composition. Kim (2014) calls it *non-static*. Take it when there is plenty of
    training data; with little, it forgets what the vectors knew of words it sees.
    """

    @property
    @override
    def about_table(self) -> bool:
        return False


@dataclass(frozen=True)
class Freeze(Strategy):
    """Keep the table as it is, bit for bit; only the rest of the model trains.

    Kim (2014) calls it *static*. The baseline that every other strategy has to beat.
    """

    @override
    def gate(self, name: str, clock: Clock) -> float:
        return 0.0 if name == EMBEDDING else 1.0


@dataclass(frozen=True)
class UnfreezeAfter(Strategy):
    """Freeze the table until the rest of the model has trained for a while, then tune it.

    A new head sends large, random gradients into the table; a table that opens later is spared
    them (Howard and Ruder 2018, ULMFiT, section 3.3).

    Attributes:
        epochs: the table opens at the start of this epoch, counted from 0.
        steps: the table opens at this optimizer step, counted from 0. Give one of the two.
    """

    epochs: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        given = [n for n in (self.epochs, self.steps) if n is not None]
        if len(given) != 1:
            raise StrategyError(
                "UnfreezeAfter takes either epochs or steps: UnfreezeAfter(epochs=2) or "
                "UnfreezeAfter(steps=500)"
            )
        if not isinstance(given[0], int) or isinstance(given[0], bool) or given[0] < 0:
            raise StrategyError(f"UnfreezeAfter needs a whole number from 0 on, not {given[0]!r}")

    @property
    @override
    def timing(self) -> Timing:
        return "epoch" if self.steps is None else "step"

    @override
    def gate(self, name: str, clock: Clock) -> float:
        if name != EMBEDDING:
            return 1.0
        if self.epochs is not None:
            return float(clock.epoch >= self.epochs)
        assert self.steps is not None
        return float(clock.step >= self.steps)
