"""The moment of a run that a strategy's gate depends on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["Clock", "Record", "Timing", "since_opening"]

Record = Mapping[str, float]
Timing = Literal["epoch", "step"]


@dataclass(frozen=True)
class Clock:
    """A moment of a run, and the part of the model that a gate is computed for.

    Attributes:
        epoch: finished epochs.
        step: finished optimizer steps; 0 where only epochs are counted.
        total_steps: steps of the run, if known; an estimate need not be whole.
        scores: the validation records so far, oldest first; None where none are kept.
        depth: the depth of the part, as for `Strategy.rate`; None if the hook was not given the
            model.
        deepest: the depth of the table; None likewise.

    Example:
        >>> clock = fe.Clock(epoch=3, step=120, total_steps=400)
        >>> fe.UnfreezeAfter(fraction=0.5).gate("embedding", clock)
        0.0
    """

    epoch: int = 0
    step: int = 0
    total_steps: float | None = None
    scores: Sequence[Record] | None = None
    depth: int | None = None
    deepest: int | None = None

    def of_part(self, depth: int | None, deepest: int | None) -> Clock:
        """Return the clock of a part of the model, in a fraction of the time of `replace`."""
        return Clock(self.epoch, self.step, self.total_steps, self.scores, depth, deepest)


def since_opening(clock: Clock, timing: Timing, is_open: Callable[[Clock], bool]) -> Clock:
    """Return a clock that counts from the moment at which what is open now was opened.

    Args:
        clock: the current moment, at which `is_open` holds.
        timing: the unit to count in. By epoch, the last opening counts; by step, `is_open` is
            assumed to change once.
        is_open: whether the table is open at a moment.
    """
    if timing == "epoch":
        opened = clock.epoch
        while opened and is_open(_at_epoch(clock, opened - 1)):
            opened -= 1
        return replace(clock, epoch=clock.epoch - opened)
    shut, opened = -1, clock.step
    while opened - shut > 1:
        middle = (shut + opened) // 2
        if is_open(replace(clock, step=middle)):
            opened = middle
        else:
            shut = middle
    return replace(clock, step=clock.step - opened)


def _at_epoch(clock: Clock, epoch: int) -> Clock:
    """Return the clock as it was at the start of an earlier epoch."""
    scores = None if clock.scores is None else clock.scores[:epoch]
    return replace(clock, epoch=epoch, scores=scores)
