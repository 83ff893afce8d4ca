"""Strategies of how far rows of the table may go from where they start.

Each is an operation on the rows of a batch after the optimizer's step, and no term of the loss: a
gradient of a penalty would have to visit every row in every step, and Adam would undo its scale.
Where the papers add a term to the loss, the docstrings say what is different.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from .arguments import check_number
from .base import Strategy
from .row_rules import RowRule

if TYPE_CHECKING:
    from ..vocabulary import Vocabulary

__all__ = ["L2SP", "DeltaShrink", "MaxNorm", "TrustRegion"]


@dataclass(frozen=True)
class L2SP(Strategy):
    """Pull rows back to where they started, in proportion to their distance.

    *L2-SP* of Li et al. (2018, ICML, "Explicit inductive bias for transfer learning"), which adds
    `decay / 2 * |w - w0| ** 2` to the loss. Here it is decoupled, as AdamW's weight decay is:
    `w -= lr * decay * (w - w0)` after the step, and made up for the steps in which a row was in no
    batch. Take it with little data, or to keep what the vectors knew; the whole copy of the table
    that it measures from takes as much memory as the table.

    Attributes:
        decay: the pull, in units of one over the learning rate.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"anchor", "decay"})
    decay: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "decay", self.decay)

    def rows(self, weight: nn.Parameter, vocab: Vocabulary | None) -> RowRule:
        return RowRule(anchor=weight.detach().clone(), decay=self.decay)


@dataclass(frozen=True)
class DeltaShrink(Strategy):
    """Shorten every row's way from its start, short ways to nothing at all.

    *Delta embedding learning* of Zhang et al. (2019, "Delta embedding learning", which learns
    `w = w0 + delta` under the norm of each row's delta as a penalty). Here the penalty's proximal
    step is done after the optimizer's: a row's delta loses `lr * shrink` of its length, down to
    exactly zero, so that words that the task has no use for stay as they were, bit for bit.

    Attributes:
        shrink: what a row loses in a step, in units of the learning rate.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"anchor", "shrink"})
    shrink: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "shrink", self.shrink)

    def rows(self, weight: nn.Parameter, vocab: Vocabulary | None) -> RowRule:
        return RowRule(anchor=weight.detach().clone(), shrink=self.shrink)


@dataclass(frozen=True)
class TrustRegion(Strategy):
    """Let each row go no farther from its start than a share of its own length.

    A projection onto a ball around the start after every step, as in Gouk et al. (2021, ICLR,
    "Distance-based regularisation of deep networks"), with a radius for each row: the same share
    for long and short rows. A row of zeros has the mean radius. Take it to bound the cosine between
    a word's start and end: it stays above `sqrt(1 - radius ** 2)`.

    Attributes:
        radius: the largest distance, relative to the length of the row's start.
    """

    provides: ClassVar[frozenset[str]] = frozenset({"anchor"})
    radius: float = 0.3

    def __post_init__(self) -> None:
        check_number(self, "radius", self.radius)

    def rows(self, weight: nn.Parameter, vocab: Vocabulary | None) -> RowRule:
        anchor = weight.detach().clone()
        norms = torch.linalg.vector_norm(anchor, dim=1)
        if bool((norms > 0).any()):
            norms = torch.where(norms > 0, norms, norms[norms > 0].mean())
        return RowRule(anchor=anchor, radius=self.radius * norms)


@dataclass(frozen=True)
class MaxNorm(Strategy):
    """Let no row of a batch be longer than a length after the step.

    Hinton et al. (2012); Kim (2014) has it on the output layer. torch's own
    `nn.Embedding(max_norm=...)` edits the weight within the forward pass, also where nothing
    trains; this is done after the step, to the rows that it moved.

    Attributes:
        max_norm: the length.
    """

    max_norm: float = 3.0

    def __post_init__(self) -> None:
        check_number(self, "max_norm", self.max_norm)

    def rows(self, weight: nn.Parameter, vocab: Vocabulary | None) -> RowRule:
        return RowRule(max_norm=self.max_norm)
