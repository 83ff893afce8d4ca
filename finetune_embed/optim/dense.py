"""A step of a parameter that is not treated by rows: `torch.optim.AdamW`."""

from __future__ import annotations

import math

import torch

from ..strategies.gates import gate_of
from .row_state import State

__all__ = ["step_dense"]


def step_dense(parameter: torch.Tensor, grad: torch.Tensor, state: State, group: State) -> None:
    """Update a parameter and its state in place, at the share of the rate that its gate allows."""
    if not state:
        state["step"] = torch.zeros((), dtype=torch.int64)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    state["step"] += 1
    (beta1, beta2), n = group["betas"], int(state["step"])
    lr, root = group["lr"] * gate_of(parameter), math.sqrt(1 - beta2**n)
    first = state["exp_avg"].lerp_(grad, 1 - beta1)
    second = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    parameter.mul_(1 - lr * group["weight_decay"])
    scale = second.sqrt().add_(group["eps"] * root)
    parameter.addcdiv_(first, scale, value=-lr * root / (1 - beta1**n))
