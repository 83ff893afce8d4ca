"""Strategies of how fast each part of a model trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar

from ..errors import StrategyError
from .arguments import check_count, factors_of
from .base import Clock, Strategy, Timing
from .layout import EMBEDDING

__all__ = ["DiscriminativeLR", "RampUp"]


@dataclass(frozen=True)
class DiscriminativeLR(Strategy):
    """Give the table, and each layer, a learning rate of its own, as a real `lr` of its group.

    *Discriminative fine-tuning* of Howard and Ruder (2018, ULMFiT, section 3.2): the layer nearest
    the output has the full rate, each one below it the rate of the one above times `decay` (the
    paper divides by 2.6, so `decay=0.385`). A layer is a child of the model, or an item of an
    `nn.Sequential` or `nn.ModuleList`; the order is the order of definition, the one defined last
    being nearest the output. Any torch scheduler keeps the ratios, except those
    that set a rate: pass `OneCycleLR` a list of `max_lr`, one a group.

    Attributes:
        embedding: the table's factor on `lr`. When left out, the table is the deepest layer.
        decay: the factor from each layer to the one below it, more than 0 and at most 1.
        parts: further factors on layers, by the name of a layer or a pattern such as `convs.*`;
            each must fit one layer or more, and no layer two of them.
    """

    embedding: float | None = None
    decay: float = 1.0
    parts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", factors_of(self, self.parts))
        if self.embedding is None and self.decay == 1 and not self.parts:
            raise StrategyError(
                "DiscriminativeLR needs a factor for the table, DiscriminativeLR(embedding=0.1), "
                "or one from layer to layer, DiscriminativeLR(decay=0.385)"
            )
        if self.embedding is not None and not 0 < self.embedding < float("inf"):
            raise StrategyError(
                f"DiscriminativeLR(embedding={self.embedding}) must be above 0; to keep the table "
                "as it is, use Freeze()"
            )
        if not 0 < self.decay <= 1:
            raise StrategyError(
                f"DiscriminativeLR(decay={self.decay}) must be above 0 and at most 1; ULMFiT's "
                "division by 2.6 is decay=0.385"
            )

    @property
    def about_table(self) -> bool:
        return self.embedding is not None

    def rate(self, name: str, depth: int) -> float:
        if name == EMBEDDING and self.embedding is not None:
            return float(self.embedding)
        further = next((f for p, f in self.parts.items() if fnmatchcase(name, p)), 1.0)
        return float(self.decay**depth) * (1.0 if name == EMBEDDING else further)

    def check_parts(self, names: Sequence[str]) -> None:
        layers = [name for name in names if name != EMBEDDING]
        fits = {pattern: [n for n in layers if fnmatchcase(n, pattern)] for pattern in self.parts}
        for pattern, found in fits.items():
            if not found:
                raise StrategyError(
                    f"{self}: {pattern!r} fits no layer of the model; there are "
                    f"{', '.join(layers)}; the table's factor is embedding=..."
                )
        twice = [name for name in layers if sum(name in found for found in fits.values()) > 1]
        if twice:
            both = ", ".join(repr(pattern) for pattern, found in fits.items() if twice[0] in found)
            raise StrategyError(f"{self}: the layer {twice[0]!r} is fitted by {both}; keep one")


@dataclass(frozen=True)
class RampUp(Strategy):
    """Let the table's rate grow in a straight line once it opens, until it is the full one.

    What Lightning's `BackboneFinetuning` does with the rate of the backbone, by a factor an epoch.
    The line starts where the strategies beside it open the table, at the first step where there
    are none: `UnfreezeAfter(epochs=2) | RampUp(epochs=3)`. Both must count in the same unit.

    Attributes:
        epochs: over how many epochs; or
        steps: over how many optimizer steps. Give one of the two.
    """

    from_opening: ClassVar[bool] = True
    epochs: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise StrategyError(
                "RampUp takes either epochs or steps: RampUp(epochs=3) or RampUp(steps=500)"
            )
        check_count(self, self.epochs if self.steps is None else self.steps, least=1)

    @property
    def timing(self) -> Timing:
        return "epoch" if self.steps is None else "step"

    def gate(self, name: str, clock: Clock) -> float:
        if name != EMBEDDING:
            return 1.0
        if self.epochs is not None:
            return min(1.0, (clock.epoch + 1) / (self.epochs + 1))
        assert self.steps is not None
        return min(1.0, (clock.step + 1) / (self.steps + 1))
