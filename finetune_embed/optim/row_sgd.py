"""`RowSGD`: gradient descent by rows for tables, plain SGD for everything else."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.optim.optimizer import ParamsT

from .row_optimizer import RowOptimizer
from .row_state import Moment, State
from .touched import Touched

__all__ = ["RowSGD"]

_BUFFER = "momentum_buffer"
_MOMENTS = {_BUFFER: Moment()}


class RowSGD(RowOptimizer):
    """SGD, with or without momentum, that moves only the rows a batch has a gradient for.

    A row moves by its gradient times the rate, so a word that is in twice as many batches moves
    about twice as far; with Adam and Adagrad a rare word moves as far in a step as a frequent one
    or farther. Weight decay is decoupled (SGDW, Loshchilov and Hutter 2019), which without
    momentum is that of `torch.optim.SGD`. All else about rows, weight decay, rules, clipping and
    several processes is in `finetune_embed.optim.RowOptimizer`.

    Args:
        params: parameters or groups, as for any torch optimizer.
        lr: the learning rate.
        momentum: the share of the last update that is added to the gradient.
        weight_decay: decoupled weight decay.
        max_row_grad_norm: the largest norm of a row's gradient; None for no limit.
        max_grad_norm: the largest norm of all gradients together; None for no limit.
        exchange: whether processes average the gradients of groups with `row_wise=True`.

    Raises:
        StrategyError: an option is out of its range. It is also a `ValueError`.

    Example:
        >>> embedding = torch.nn.Embedding.from_pretrained(torch.zeros(3, 2), freeze=False)
        >>> groups = fe.FullTune().param_groups(embedding, embedding, lr=0.1)
        >>> optimizer = fe.RowSGD(groups, momentum=0.9)
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
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        max_row_grad_norm: float | None = None,
        max_grad_norm: float | None = None,
        exchange: bool = False,
    ) -> None:
        own = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
        super().__init__(params, own, max_row_grad_norm, max_grad_norm, exchange)

    def moments(self, group: State) -> Mapping[str, Moment]:
        """Return the buffer of momentum, if there is momentum; see `RowOptimizer`."""
        return _MOMENTS if group["momentum"] else {}

    def step_rows(self, touched: Touched, group: State) -> None:
        """Update the touched rows of a table; see `RowOptimizer`."""
        update = touched.gradient()
        if group["momentum"]:
            update = touched.moment(_BUFFER).mul_(group["momentum"]).add_(update)
            touched.keep(_BUFFER, update)
        touched.move(update)

    def step_dense(
        self,
        parameters: list[torch.Tensor],
        grads: list[torch.Tensor],
        states: list[State],
        lr: float,
        group: State,
    ) -> None:
        """Update other parameters, as `torch.optim.SGD` does."""
        for parameter, grad, state in zip(parameters, grads, states, strict=True):
            update = grad
            if group["momentum"]:
                update = state[_BUFFER].mul_(group["momentum"]).add_(grad)
            parameter.mul_(1 - lr * group["weight_decay"]).add_(update, alpha=-lr)
