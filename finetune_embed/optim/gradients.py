"""The gradients of a step: those of a table by rows, and the clipping of all of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import torch

from ..strategies import RowRule
from ..strategies.row_rules import trains_now
from .exchange import exchange_rows
from .kernels import Groups, group_rows, nonzero_rows, row_squares, sum_groups

__all__ = ["RowGradient", "clip_coefficient", "total_norm"]


class RowGradient:
    """The gradient of the rows of a table `(V, D)` that a step touches.

    A gradient that comes in parts stays unsummed until `values` is read: summing a row where it is
    used saves writing and reading it.

    Attributes:
        rows: int64 `(U,)`, ascending.
        parts: the values themselves, or the parts that `groups` sums to them.
        groups: the groups of `parts`, or None.
        clip: the factors on the values, float64 `(U,)`, or None for 1.
    """

    def __init__(
        self, rows: torch.Tensor, parts: torch.Tensor, groups: Groups | None = None
    ) -> None:
        self.rows, self.parts, self.groups = rows, parts, groups
        self.clip: torch.Tensor | None = None

    @classmethod
    def of(
        cls, weight: torch.Tensor, grad: torch.Tensor | None, rule: RowRule | None, exchange: bool
    ) -> RowGradient | None:
        """Return the rows of a gradient that are not all zero and that train.

        None if processes exchange their gradients and no process has one.

        Args:
            weight: the table.
            grad: its gradient, dense or sparse; None if this process has none and processes
                exchange theirs.
            rule: the table's rule, if any.
            exchange: whether to average over all processes.
        """
        groups: Groups | None = None
        if grad is None:
            rows = torch.empty(0, dtype=torch.int64, device=weight.device)
            parts = weight.new_empty(0, weight.shape[1])
        elif grad.is_sparse:
            rows, parts, groups = group_rows(grad)
        else:
            rows, parts = torch.arange(len(grad), device=grad.device), grad
        gradient = cls(rows, parts.contiguous(), groups)._touched(weight, rule)
        if exchange:
            mean = exchange_rows(gradient.rows, gradient.values, given=grad is not None)
            return None if mean is None else cls(*mean)._touched(weight, None)
        return gradient

    def _touched(self, weight: torch.Tensor, rule: RowRule | None) -> RowGradient:
        touched = nonzero_rows(self.parts, self.groups)
        trains = None if rule is None else trains_now(weight, rule, self.rows)
        if trains is not None:
            touched = trains if touched is None else touched & trains
        if touched is not None:
            kept = touched.nonzero().squeeze(1)
            if len(kept) < len(self.rows):
                rows, values = self.rows.index_select(0, kept), self.values.index_select(0, kept)
                return RowGradient(rows, values)
        return self

    @property
    def values(self) -> torch.Tensor:
        """The gradients `(U, D)` before clipping, none of them all zero; reading it sums them."""
        if self.groups is not None:
            self.parts, self.groups = sum_groups(self.parts, self.groups), None
        return self.parts

    @cached_property
    def _squares(self) -> torch.Tensor:
        return row_squares(self.values)

    @property
    def squares(self) -> torch.Tensor:
        """The sum of squares of each row, clipped, float64 `(U,)`."""
        return self._squares if self.clip is None else self._squares * self.clip.square()

    def scale(self, factor: torch.Tensor) -> None:
        """Multiply by a number, or by a number for each row `(U,)`."""
        ones = self.clip if self.clip is not None else torch.ones_like(self._squares)
        self.clip = ones * factor.to(ones.device)


def clip_coefficient(norm: torch.Tensor, max_norm: float) -> torch.Tensor:
    """Return the factor that clips a gradient, by the formula of `torch.nn.utils.clip_grad_norm_`.

    Without a limit, `max_norm=math.inf`, it is 1, even for an infinite norm.
    """
    if max_norm == math.inf:
        return torch.ones_like(norm)
    return (max_norm / (norm + 1e-6)).clamp(max=1.0)


def total_norm(tables: Sequence[RowGradient], others: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the norm of all gradients as if they were one vector, float64 `()`."""
    squares = [table.squares.sum() for table in tables]
    squares += [torch.linalg.vector_norm(grad, dtype=torch.float64).square() for grad in others]
    if not squares:
        return torch.zeros((), dtype=torch.float64)
    return torch.stack([square.to(squares[0].device) for square in squares]).sum().sqrt()
