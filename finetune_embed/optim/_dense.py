"""A step of a parameter that is not treated by rows: `torch.optim.AdamW`."""

from __future__ import annotations

import math

import torch

from ..strategies.rules import gate_of
from ._state import State

__all__ = ["step_dense"]


def step_dense(parameter: torch.Tensor, grad: torch.Tensor, state: State, group: State) -> None:
    """Update a parameter and its state in place, by the share of the rate that its gate lets."""
    if not state:
        state["step"] = torch.zeros((), dtype=torch.int64)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    state["step"] += 1
    beta1, beta2 = group["betas"]
    n, lr = int(state["step"]), group["lr"] * gate_of(parameter)
    parameter.mul_(1 - lr * group["weight_decay"])
    state["exp_avg"].lerp_(grad, 1 - beta1)
    state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    root = (state["exp_avg_sq"].sqrt() / math.sqrt(1 - beta2**n)).add_(group["eps"])
    parameter.addcdiv_(state["exp_avg"], root, value=-lr / (1 - beta1**n))
