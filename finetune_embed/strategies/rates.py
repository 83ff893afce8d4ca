"""Strategies of how fast each part of a model trains."""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from ..errors import StrategyError
from .base import Strategy
from .layout import EMBEDDING

__all__ = ["DiscriminativeLR"]


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
    """

    embedding: float | None = None
    decay: float = 1.0

    def __post_init__(self) -> None:
        if self.embedding is None and self.decay == 1:
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
    @override
    def about_table(self) -> bool:
        return self.embedding is not None

    @override
    def rate(self, name: str, depth: int) -> float:
        if name == EMBEDDING and self.embedding is not None:
            return float(self.embedding)
        return float(self.decay**depth)
