"""The gradients of a step: a table's by rows, and all of them clipped."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch

from ..strategies.rules import RowRule, trains_now
from ._kernels import coalesce, nonzero_rows, row_squares
from .exchange import exchange_rows

__all__ = ["RowGradient", "clip_coefficient", "total_norm"]


class RowGradient:
    """The gradient of the rows of a table `(V, D)` that a step touches.

    Attributes:
        rows: int64 `(U,)`, ascending.
        values: `(U, D)`, none of them all zero.
        clip: what `values` are to be multiplied with, float64 `(U,)`, or None for 1.
    """

    def __init__(self, rows: torch.Tensor, values: torch.Tensor) -> None:
        self.rows, self.values = rows, values
        self.clip: torch.Tensor | None = None

    @classmethod
    def of(
        cls, weight: torch.Tensor, grad: torch.Tensor | None, rule: RowRule | None, exchange: bool
    ) -> RowGradient:
        """Return the rows of a gradient that are not all zero and that train.

        Args:
            weight: the table.
            grad: its gradient, dense or sparse; None for an empty one.
            rule: the table's rule, if any.
            exchange: whether to average over all processes.
        """
        if grad is None:
            rows = torch.empty(0, dtype=torch.int64, device=weight.device)
            values = weight.new_empty(0, weight.shape[1])
        elif grad.is_sparse:
            rows, values = coalesce(grad)
        else:
            rows, values = torch.arange(len(grad), device=grad.device), grad
        rows, values = _touched(weight, rows, values.contiguous(), rule)
        if exchange:
            rows, values = _touched(weight, *exchange_rows(rows, values), None)
        return cls(rows, values)

    @cached_property
    def _squares(self) -> torch.Tensor:
        return row_squares(self.values)

    @property
    def squares(self) -> torch.Tensor:
        """The sum of squares of each row, clipped, float64 `(U,)`."""
        return self._squares if self.clip is None else self._squares * self.clip.square()

    def scale(self, factor: torch.Tensor) -> None:
        """Multiply by a number, or by one for each row `(U,)`."""
        ones = self.clip if self.clip is not None else torch.ones_like(self._squares)
        self.clip = ones * factor.to(ones.device)


def _touched(
    weight: torch.Tensor, rows: torch.Tensor, values: torch.Tensor, rule: RowRule | None
) -> tuple[torch.Tensor, torch.Tensor]:
    touched = nonzero_rows(values)
    trains = None if rule is None else trains_now(weight, rule, rows)
    if trains is not None:
        touched = trains if touched is None else touched & trains
    if touched is not None:
        kept = touched.nonzero().squeeze(1)
        if len(kept) < len(rows):
            return rows.index_select(0, kept), values.index_select(0, kept)
    return rows, values


def clip_coefficient(norm: torch.Tensor, max_norm: float) -> torch.Tensor:
    """Return what a gradient is multiplied with, as `torch.nn.utils.clip_grad_norm_` has it."""
    return (max_norm / (norm + 1e-6)).clamp(max=1.0)


def total_norm(tables: Sequence[RowGradient], others: Sequence[torch.Tensor]) -> torch.Tensor:
    """Return the norm of all gradients as if they were one vector, float64 `()`."""
    squares = [table.squares.sum() for table in tables]
    squares += [torch.linalg.vector_norm(grad, dtype=torch.float64).square() for grad in others]
    if not squares:
        return torch.zeros((), dtype=torch.float64)
    return torch.stack([square.to(squares[0].device) for square in squares]).sum().sqrt()
