"""Strategies that open a model part by part, or a table row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from ..errors import StrategyError
from .arguments import check_count
from .base import Clock, Strategy
from .row_rules import RowRule
from .row_selection import needed_counts

if TYPE_CHECKING:
    from ..vocabulary import Vocabulary

__all__ = ["ChainThaw", "GradualUnfreeze"]

BANDS = 4


@dataclass(frozen=True)
class GradualUnfreeze(Strategy):
    """Open the model from the output down to the table, or the table from frequent to rare words.

    By module it is *gradual unfreezing* of Howard and Ruder (2018, ULMFiT, section 3.3): at first
    the part nearest the output trains, and every so many epochs the next one below it, the table
    last. By frequency only the table is opened, in bands of as many rows, the most frequent words
    first: their gradients are the least noisy. The table is never shut altogether then.

    Of use in deep models; in one of a table and a linear layer it is `UnfreezeAfter`.

    Attributes:
        epochs: how many epochs lie between two openings.
        by: `module` or `frequency`.
        bands: how many bands of rows there are, by frequency; 4 when left out.
    """

    epochs: int = 1
    by: str = "module"
    bands: int | None = None

    def __post_init__(self) -> None:
        check_count(self, self.epochs, 1 if self.bands is None else self.bands, least=1)
        if self.by not in ("module", "frequency"):
            raise StrategyError(f"GradualUnfreeze(by={self.by!r}): it is 'module' or 'frequency'")
        if self.by == "module" and self.bands is not None:
            raise StrategyError("GradualUnfreeze(bands=...) is for by='frequency'")

    @property
    def opens_late(self) -> bool:
        return self.by == "module"

    def gate(self, name: str, clock: Clock) -> float:
        if self.by == "frequency":
            return 1.0
        return float(clock.epoch >= self.epochs * needed_depth(self, clock)[0])

    def rows(self, weight: nn.Parameter, vocab: Vocabulary | None) -> RowRule:
        if self.by == "module":
            return RowRule()
        counts = needed_counts(self, vocab, weight)
        rank = counts.argsort(descending=True, stable=True).argsort()
        return RowRule(opens=self.epochs * (rank * (self.bands or BANDS) // len(counts)))


@dataclass(frozen=True)
class ChainThaw(Strategy):
    """Train the output layer, then every part by itself from the table upward, then all together.

    *Chain-thaw* of Felbo et al. (2017, DeepMoji, section 3.3), against overfitting with little
    data: each part adapts to the others as they are. The paper trains each part until its
    validation loss stops falling; here each has the same number of epochs, so that the run has a
    known length: `epochs` times the parts and two.

    Attributes:
        epochs: how many epochs each part trains.
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
    """Return the depth of the part that is asked about, and that of the table.

    Raises:
        StrategyError: the hook was not given the model.
    """
    if clock.depth is None or clock.deepest is None:
        raise StrategyError(
            f"{strategy} opens one part of the model after the other, so it needs the model: "
            "strategy.on_epoch_start(embedding, epoch, model=model)"
        )
    return clock.depth, clock.deepest
