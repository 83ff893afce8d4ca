"""`RowAdagrad`: Adagrad by rows for tables, plain Adagrad for everything else."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.optim.optimizer import ParamsT

from .kernels import row_squares
from .row_optimizer import RowOptimizer
from .row_state import Moment, State
from .touched import Touched

__all__ = ["RowAdagrad"]


class RowAdagrad(RowOptimizer):
    r"""Adagrad (Duchi, Hazan and Singer 2011) that moves only the rows a batch has a gradient for.

    A value moves by `-lr g / (sqrt(s) + eps)`, where `s` is the sum of the squares of all its
    gradients `g` so far, so its steps get shorter. With `per_row=True` a row of a table has one
    `s`, to which each step adds the mean of its squared gradients. This is the row-wise Adagrad of
    FBGEMM, with which large embedding tables are trained: its state is one number for each row.

    Weight decay is decoupled, and so differs from that of `torch.optim.Adagrad`. All else about
    rows, weight decay, rules, clipping and several processes is in
    `finetune_embed.optim.RowOptimizer`.

    Args:
        params: parameters or groups, as for any torch optimizer.
        lr: the learning rate.
        eps: added to the root of the sum.
        weight_decay: decoupled weight decay.
        initial_accumulator_value: the sum `s` before the first step.
        per_row: whether a row of a table has one sum instead of one for each of its values.
        max_row_grad_norm: the largest norm of a row's gradient; None for no limit.
        max_grad_norm: the largest norm of all gradients together; None for no limit.
        exchange: whether processes average the gradients of groups with `row_wise=True`.

    Raises:
        StrategyError: an option is out of its range. It is also a `ValueError`.

    Example:
        >>> embedding = torch.nn.Embedding.from_pretrained(torch.zeros(3, 2), freeze=False)
        >>> groups = fe.FullTune().param_groups(embedding, embedding, lr=0.1)
        >>> optimizer = fe.RowAdagrad(groups)
        >>> embedding(torch.tensor([1])).sum().backward()  # a batch of row 1
        >>> optimizer.step()
        >>> embedding.weight.data
        tensor([[ 0.0000,  0.0000],
                [-0.1000, -0.1000],
                [ 0.0000,  0.0000]])
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-2,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        *,
        per_row: bool = False,
        max_row_grad_norm: float | None = None,
        max_grad_norm: float | None = None,
        exchange: bool = False,
    ) -> None:
        own = {
            "lr": lr,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "per_row": per_row,
        }
        super().__init__(params, own, max_row_grad_norm, max_grad_norm, exchange)

    def moments(self, group: State) -> Mapping[str, Moment]:
        """Return the sum of squares; see `RowOptimizer`."""
        return {"sum": Moment(group["initial_accumulator_value"], group["per_row"])}

    def step_rows(self, touched: Touched, group: State) -> None:
        """Update the touched rows of a table; see `RowOptimizer`."""
        grad, total = touched.gradient(), touched.moment("sum")
        if group["per_row"]:
            total += (row_squares(grad) / grad.shape[1]).to(total.dtype)
        else:
            total.addcmul_(grad, grad)
        touched.keep("sum", total)
        root = total.sqrt_().add_(group["eps"])
        if group["per_row"]:
            touched.move(grad, 1 / root)
        else:
            touched.move(grad / root)

    def step_dense(
        self,
        parameters: list[torch.Tensor],
        grads: list[torch.Tensor],
        states: list[State],
        lr: float,
        group: State,
    ) -> None:
        """Update other parameters, as `torch.optim.Adagrad` does."""
        for parameter, grad, state in zip(parameters, grads, states, strict=True):
            root = state["sum"].addcmul_(grad, grad).sqrt().add_(group["eps"])
            parameter.mul_(1 - lr * group["weight_decay"]).addcdiv_(grad, root, value=-lr)
