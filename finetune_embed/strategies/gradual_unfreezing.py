"""Strategies that open a model part by part, or a table row by row."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ..errors import StrategyError
from .arguments import check_count
from .base import Strategy, named
from .clock import Clock
from .row_rules import RowRule
from .row_selection import needed_counts
from .words import Words

__all__ = ["ChainThaw", "GradualUnfreeze"]

BANDS = 4


@named
@dataclass(frozen=True)
class GradualUnfreeze(Strategy):
    """Open the model from the output down to the table, or the table from frequent to rare words.

    By module it is *gradual unfreezing* of Howard and Ruder (2018, ULMFiT, section 3.3): at first
    only the part nearest the output trains; every `epochs` epochs the next part below it opens,
    the table last. By frequency only the table is affected: its rows open in bands of equal size,
    the most frequent words first, since their gradients are the least noisy. The first band
    trains from the start.

    Of use in deep models; in one of a table and a linear layer it is `UnfreezeAfter`.

    Attributes:
        epochs: the number of epochs between two openings.
        by: `module` or `frequency`.
        bands: the number of bands of rows, by frequency; 4 when left out.

    Example:
        >>> strategy = fe.GradualUnfreeze()  # one layer an epoch; here the table is the third
        >>> table = [fe.Clock(epoch=epoch, depth=2, deepest=2) for epoch in range(4)]
        >>> [strategy.gate("embedding", clock) for clock in table]
        [0.0, 0.0, 1.0, 1.0]
    """

    epochs: int = 1
    by: str = "module"
    bands: int | None = None

    def __post_init__(self) -> None:
        check_count(self, self.epochs, 1 if self.bands is None else self.bands, least=1)
        if self.by not in ("module", "frequency"):
            raise StrategyError(
                f"GradualUnfreeze(by={self.by!r}) must be 'module' or 'frequency'", value=self.by
            )
        if self.by == "module" and self.bands is not None:
            raise StrategyError(
                f"GradualUnfreeze(bands={self.bands}) applies only to by='frequency'",
                value=self.bands,
                remedy="add by='frequency', or leave bands out",
            )

    def gate(self, name: str, clock: Clock) -> float:
        if self.by == "frequency":
            return 1.0
        return float(clock.epoch >= self.epochs * needed_depth(self, clock)[0])

    def rows(self, weight: nn.Parameter, vocab: Words | None) -> RowRule:
        if self.by == "module":
            return RowRule()
        counts = needed_counts(self, vocab, weight)
        rank = counts.argsort(descending=True, stable=True).argsort()
        return RowRule(opens=self.epochs * (rank * (self.bands or BANDS) // len(counts)))


@named
@dataclass(frozen=True)
class ChainThaw(Strategy):
    """Train the output layer, then each part by itself from the table upward, then all together.

    *Chain-thaw* of Felbo et al. (2017, DeepMoji, section 3.3), against overfitting with little
    data: each part adapts while the others stay fixed. The paper trains each part until its
    validation loss stops falling; here each has the same number of epochs, which gives the run a
    known length: `epochs` times two more than the number of parts.

    Attributes:
        epochs: the number of epochs that each part trains.

    Example:
        >>> strategy = fe.ChainThaw()  # each part alone, then all; the table is the second of two
        >>> table = [fe.Clock(epoch=epoch, depth=1, deepest=1) for epoch in range(4)]
        >>> [strategy.gate("embedding", clock) for clock in table]
        [0.0, 1.0, 0.0, 1.0]
    """

    epochs: int = 1

    def __post_init__(self) -> None:
        check_count(self, self.epochs, least=1)

    def gate(self, name: str, clock: Clock) -> float:
        depth, deepest = needed_depth(self, clock)
        phase = clock.epoch // self.epochs
        if phase == 0:
            return float(depth == 0)
        return float(phase > deepest + 1 or depth == deepest + 1 - phase)


def needed_depth(strategy: Strategy, clock: Clock) -> tuple[int, int]:
    """Return the depth of the part that a gate is computed for, and that of the table.

    Raises:
        StrategyError: the hook was not given the model.
    """
    if clock.depth is None or clock.deepest is None:
        raise StrategyError(
            f"{strategy} opens one part of the model after the other, so it needs the model",
            value=strategy,
            remedy="call strategy.on_epoch_start(embedding, epoch, model=model)",
        )
    return clock.depth, clock.deepest
