"""Strategies of how far rows of the table may go from where they start.

Each is an operation on the rows of a batch after the optimizer's step, not a term of the loss: the
gradient of a penalty would have to visit every row in every step, and Adam would cancel its scale.
Where the papers add a term to the loss, the docstrings describe the difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from .arguments import check_number
from .base import Anchored, Strategy, named
from .row_rules import RowRule
from .words import Words

__all__ = ["L2SP", "DeltaShrink", "MaxNorm", "TrustRegion"]


@named
@dataclass(frozen=True)
class L2SP(Anchored):
    """Pull rows back to where they started, in proportion to their distance.

    *L2-SP* of Li et al. (2018, ICML, "Explicit inductive bias for transfer learning"), which adds
    `decay / 2 * |w - w0| ** 2` to the loss. Here it is decoupled, like AdamW's weight decay:
    `w -= lr * decay * (w - w0)` after the step, made up for the steps in which a row was in no
    batch. Use it with little data, or to keep what the vectors knew. It measures from a copy of
    the table, which doubles the table's memory.

    Attributes:
        decay: the pull, in units of one over the learning rate.

    Example:
        >>> strategy = fe.L2SP(decay=0.1)  # the step is -5; lr x decay, half of it, is taken back
        >>> embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[3.0, 4.0]]), freeze=False)
        >>> optimizer = fe.RowAdamW(strategy.param_groups(embedding, embedding, lr=5))
        >>> strategy.on_epoch_start(embedding, 0)
        >>> embedding(torch.tensor([0])).sum().backward()
        >>> optimizer.step()
        >>> embedding.weight.data
        tensor([[0.5000, 1.5000]])
    """

    decay: float = 1.0

    def __post_init__(self) -> None:
        check_number(self, "decay", self.decay)

    def rule(self, start: torch.Tensor) -> RowRule:
        return RowRule(anchor=start, decay=self.decay)


@named
@dataclass(frozen=True)
class DeltaShrink(Anchored):
    """Shorten every row's distance from its start, small distances to exactly zero.

    *Delta embedding learning* (Zhang et al. 2019) learns `w = w0 + delta`, with the norm of each
    row's delta as a penalty. Here the penalty's proximal step follows the optimizer's: a row's
    delta loses `lr * shrink` of its length, down to exactly zero, which leaves words that the task
    does not need unchanged, bit for bit.

    Attributes:
        shrink: what a row loses in a step, in units of the learning rate.

    Example:
        >>> strategy = fe.DeltaShrink(shrink=2)  # a change shorter than lr x shrink becomes 0
        >>> embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[3.0, 4.0]]), freeze=False)
        >>> optimizer = fe.RowAdamW(strategy.param_groups(embedding, embedding, lr=5))
        >>> strategy.on_epoch_start(embedding, 0)
        >>> embedding(torch.tensor([0])).sum().backward()
        >>> optimizer.step()
        >>> embedding.weight.data
        tensor([[3., 4.]])
    """

    shrink: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "shrink", self.shrink)

    def rule(self, start: torch.Tensor) -> RowRule:
        return RowRule(anchor=start, shrink=self.shrink)


@named
@dataclass(frozen=True)
class TrustRegion(Anchored):
    """Keep each row within a distance of its start that is a share of its own length.

    A projection onto a ball around the start after every step, as in Gouk et al. (2021, ICLR,
    "Distance-based regularisation of deep networks"), with a radius for each row: the same share
    for long and short rows. A row of zeros has the mean radius. Use it to bound the cosine between
    a word's start and end: it stays above `sqrt(1 - radius ** 2)`.

    Attributes:
        radius: the largest distance, relative to the length of the row's start.

    Example:
        >>> strategy = fe.TrustRegion(radius=0.3)  # of the length 5
        >>> embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[3.0, 4.0]]), freeze=False)
        >>> optimizer = fe.RowAdamW(strategy.param_groups(embedding, embedding, lr=5))
        >>> strategy.on_epoch_start(embedding, 0)
        >>> embedding(torch.tensor([0])).sum().backward()
        >>> optimizer.step()
        >>> round((embedding.weight - torch.tensor([[3.0, 4.0]])).norm().item(), 4)
        1.5
    """

    radius: float = 0.3

    def __post_init__(self) -> None:
        check_number(self, "radius", self.radius)

    def rule(self, start: torch.Tensor) -> RowRule:
        norms = torch.linalg.vector_norm(start, dim=1)
        if bool((norms > 0).any()):
            norms = torch.where(norms > 0, norms, norms[norms > 0].mean())
        return RowRule(anchor=start, radius=self.radius * norms)


@named
@dataclass(frozen=True)
class MaxNorm(Strategy):
    """Limit the length of each row of a batch after the step.

    Hinton et al. (2012); Kim (2014) has it on the output layer. torch's own
    `nn.Embedding(max_norm=...)` edits the weight in the forward pass, even where nothing trains;
    this one acts after the step, on the rows that the step moved.

    Attributes:
        max_norm: the largest length.

    Example:
        >>> strategy = fe.MaxNorm(max_norm=1.0)
        >>> embedding = torch.nn.Embedding.from_pretrained(torch.tensor([[3.0, 4.0]]), freeze=False)
        >>> optimizer = fe.RowAdamW(strategy.param_groups(embedding, embedding, lr=5))
        >>> strategy.on_epoch_start(embedding, 0)
        >>> embedding(torch.tensor([0])).sum().backward()
        >>> optimizer.step()
        >>> round(embedding.weight.norm().item(), 4)
        1.0
    """

    max_norm: float = 3.0

    def __post_init__(self) -> None:
        check_number(self, "max_norm", self.max_norm)

    def rows(self, weight: nn.Parameter, vocab: Words | None) -> RowRule:
        return RowRule(max_norm=self.max_norm)
