"""Strategies of how fast each part of a model trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar

from ..errors import StrategyError
from .arguments import check_count, factors_of, is_number, shown
from .base import Strategy, named
from .clock import Clock, Timing
from .layout import EMBEDDING

__all__ = ["DiscriminativeLR", "RampUp"]


@named
@dataclass(frozen=True)
class DiscriminativeLR(Strategy):
    """Give the table, and each layer, its own learning rate, as the `lr` of its group.

    *Discriminative fine-tuning* of Howard and Ruder (2018, ULMFiT, section 3.2): the layer nearest
    the output has the full rate, each one below it the rate of the one above times `decay` (the
    paper divides by 2.6, which is `decay=0.385`). A layer is a child of the model, or an item of
    an `nn.Sequential` or `nn.ModuleList`; the one defined last is nearest the output. Any torch
    scheduler keeps the ratios, except those that set a rate: pass `OneCycleLR` a list of `max_lr`,
    one for each group.

    Attributes:
        embedding: the table's factor on `lr`. When left out, the table is the deepest layer.
        decay: the factor from each layer to the one below it, more than 0 and at most 1.
        parts: additional factors on layers, by the name of a layer or a pattern such as
            `convs.*`; each must match at least one layer, and no layer may match two.

    Example:
        >>> strategy = fe.DiscriminativeLR(embedding=0.1)
        >>> words, output = torch.nn.Embedding(9, 4), torch.nn.Linear(4, 2)
        >>> model = torch.nn.ModuleDict({"words": words, "output": output})
        >>> groups = strategy.param_groups(model, words, lr=0.01)
        >>> [(group["name"], group["lr"]) for group in groups]
        [('embedding', 0.001), ('output', 0.01)]
    """

    embedding: float | None = None
    decay: float = 1.0
    parts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", factors_of(self, self.parts))
        if self.embedding is None and self.decay == 1 and not self.parts:
            raise StrategyError(
                "DiscriminativeLR has no factor",
                remedy="give one for the table, DiscriminativeLR(embedding=0.1), or one from layer "
                "to layer, DiscriminativeLR(decay=0.385)",
            )
        if self.embedding is not None and not (is_number(self.embedding) and self.embedding > 0):
            raise StrategyError(
                f"DiscriminativeLR(embedding={shown(self.embedding)}) must be a number above 0",
                value=self.embedding,
                remedy="to keep the table unchanged, use Freeze()",
            )
        if not is_number(self.decay) or not 0 < self.decay <= 1:
            raise StrategyError(
                f"DiscriminativeLR(decay={shown(self.decay)}) must be above 0 and at most 1",
                value=self.decay,
                remedy="for ULMFiT's division by 2.6 give decay=0.385",
            )

    def rate(self, name: str, depth: int) -> float:
        if name == EMBEDDING and self.embedding is not None:
            return float(self.embedding)
        factor = next((f for p, f in self.parts.items() if fnmatchcase(name, p)), 1.0)
        return float(self.decay**depth) * (1.0 if name == EMBEDDING else factor)

    def check_parts(self, names: Sequence[str]) -> None:
        layers = [name for name in names if name != EMBEDDING]
        matches = {
            pattern: [n for n in layers if fnmatchcase(n, pattern)] for pattern in self.parts
        }
        for pattern, found in matches.items():
            if not found:
                raise StrategyError(
                    f"{pattern!r} matches no layer of the model; there are {', '.join(layers)}",
                    where=str(self),
                    value=pattern,
                    remedy="name one of them, or, for the table, give DiscriminativeLR("
                    "embedding=...)",
                )
        for name in layers:
            several = [pattern for pattern, found in matches.items() if name in found]
            if len(several) > 1:
                raise StrategyError(
                    f"the layer {name!r} matches {', '.join(map(repr, several))}",
                    where=str(self),
                    value=name,
                    remedy="keep one of them",
                )


@named
@dataclass(frozen=True)
class RampUp(Strategy):
    """Let the table's rate grow linearly to the full one after it opens.

    Lightning's `BackboneFinetuning` grows the rate of the backbone by a factor each epoch. The
    ramp starts where the other strategies of a composition open the table, or else at the first
    step: `UnfreezeAfter(epochs=2) | RampUp(epochs=3)`. Both must count in the same unit.

    Attributes:
        epochs: the length of the ramp in epochs; or
        steps: its length in optimizer steps. Give one of the two.

    Example:
        >>> strategy = fe.RampUp(epochs=3)
        >>> [strategy.gate("embedding", fe.Clock(epoch=epoch)) for epoch in range(4)]
        [0.25, 0.5, 0.75, 1.0]
    """

    from_opening: ClassVar[bool] = True
    epochs: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.steps is None):
            raise StrategyError(
                "RampUp takes either epochs or steps",
                value=(self.epochs, self.steps),
                remedy="write RampUp(epochs=3) or RampUp(steps=500)",
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
