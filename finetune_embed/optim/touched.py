"""The rows of a table that a step touches, as an optimizer updates them."""

from __future__ import annotations

from typing import NamedTuple

import torch

from .kernels import Groups, sum_groups
from .row_state import State

__all__ = ["Touched", "move_rows", "summed"]


class Touched(NamedTuple):
    """What a step does to the touched rows of a weight `(V, D)`, whatever its optimizer is.

    Attributes:
        weight: the weight.
        rows: int64 `(U,)`, ascending.
        parts: their gradients `(U, D)`, or the values that `groups` sums to them.
        groups: the groups of `parts`, or None.
        clip: the factors on the gradients `(U,)`, or None for 1.
        entries: the weight's state.
        slots: the slots of the rows in it, int64 `(U,)`.
        counts: the number of the rows' steps with this one, int64 `(U,)`.
        lr: the learning rate times the gate.
        scale: the factors on the updates `(U,)`, or None for 1.
        decay: the factors on the rows before the update `(U,)`, or None for 1.
    """

    weight: torch.Tensor
    rows: torch.Tensor
    parts: torch.Tensor
    groups: Groups | None
    clip: torch.Tensor | None
    entries: State
    slots: torch.Tensor
    counts: torch.Tensor
    lr: float
    scale: torch.Tensor | None
    decay: torch.Tensor | None

    def gradient(self) -> torch.Tensor:
        """Return the clipped gradients `(U, D)`; they may be those of the parameter itself."""
        return summed(self.parts, self.groups, self.clip)

    def moment(self, name: str) -> torch.Tensor:
        """Return a copy of the rows of a moment, to be given to `keep`."""
        moment: torch.Tensor = self.entries[name]
        return moment.index_select(0, self.slots)

    def keep(self, name: str, values: torch.Tensor) -> None:
        """Keep new values of the rows of a moment."""
        self.entries[name].index_copy_(0, self.slots, values)

    def move(self, update: torch.Tensor, factors: torch.Tensor | None = None) -> None:
        """Decay the rows, then subtract `lr` times `(U, D)`, times the factors `(U,)`, times scale.

        Args:
            update: stays unchanged.
            factors: None for 1.
        """
        if self.scale is not None:
            scale = self.scale.to(self.weight.dtype)
            factors = scale if factors is None else factors.to(scale) * scale
        if factors is not None:
            update = update * factors.to(update.dtype)[:, None]
        move_rows(self.weight, self.rows, update, -self.lr, self.decay)


def summed(parts: torch.Tensor, groups: Groups | None, clip: torch.Tensor | None) -> torch.Tensor:
    """Return the sums `(U, D)` of groups of values times the factors `(U,)`."""
    grad = parts if groups is None else sum_groups(parts, groups)
    return grad if clip is None else grad * clip[:, None]


def move_rows(
    weight: torch.Tensor,
    rows: torch.Tensor,
    update: torch.Tensor,
    rate: float,
    decay: torch.Tensor | None,
) -> None:
    """Multiply rows of a weight by `decay` `(U,)`, then add `rate` times `update` `(U, D)`."""
    values = weight.index_select(0, rows)
    if decay is not None:
        values.mul_(decay[:, None])
    weight.index_copy_(0, rows, values.add_(update, alpha=rate))
