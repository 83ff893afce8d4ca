"""`RowAdamW`: AdamW by rows for tables, plain AdamW for everything else."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch.optim.optimizer import ParamsT

from .adam import adam_all, adam_rows
from .row_optimizer import RowOptimizer
from .row_state import Moment, State
from .touched import Touched

__all__ = ["RowAdamW"]

_MOMENTS = {"exp_avg": Moment(), "exp_avg_sq": Moment()}


class RowAdamW(RowOptimizer):
    """AdamW (Loshchilov and Hutter 2019) that moves only the rows a batch has a gradient for.

    Bias correction uses the step count of each row. All else about rows, weight decay, rules,
    clipping and several processes is in `finetune_embed.optim.RowOptimizer`.

    Args:
        params: parameters or groups, as for any torch optimizer.
        lr: the learning rate.
        betas: the decay rates of the two moments.
        eps: added to the root of the second moment.
        weight_decay: decoupled weight decay.
        max_row_grad_norm: the largest norm of a row's gradient; None for no limit.
        max_grad_norm: the largest norm of all gradients together; None for no limit.
        exchange: whether processes average the gradients of groups with `row_wise=True`.

    Raises:
        StrategyError: an option is out of its range. It is also a `ValueError`.

    Example:
        >>> embedding = torch.nn.Embedding.from_pretrained(torch.zeros(3, 2), freeze=False)
        >>> groups = fe.FullTune().param_groups(embedding, embedding, lr=0.1)
        >>> optimizer = fe.RowAdamW(groups)
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
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        max_row_grad_norm: float | None = None,
        max_grad_norm: float | None = None,
        exchange: bool = False,
    ) -> None:
        own = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, own, max_row_grad_norm, max_grad_norm, exchange)

    def moments(self, group: State) -> Mapping[str, Moment]:
        """Return the two moments; see `RowOptimizer`."""
        return _MOMENTS

    def step_rows(self, touched: Touched, group: State) -> None:
        """Update the touched rows of a table; see `RowOptimizer`."""
        scale = touched.scale
        adam_rows(
            touched.weight,
            touched.rows,
            touched.parts,
            touched.groups,
            touched.entries["exp_avg"],
            touched.entries["exp_avg_sq"],
            touched.slots,
            touched.counts,
            None if scale is None else scale.to(touched.weight.dtype),
            touched.clip,
            touched.decay,
            touched.lr,
            group["eps"],
            group["betas"],
        )

    def step_dense(
        self,
        parameters: list[torch.Tensor],
        grads: list[torch.Tensor],
        states: list[State],
        lr: float,
        group: State,
    ) -> None:
        """Update other parameters, as `torch.optim.AdamW` does."""
        adam_all(
            parameters,
            grads,
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [state["step"] for state in states],
            lr,
            group["eps"],
            group["weight_decay"],
            group["betas"],
        )
