"""A step of a parameter that is not treated by rows: `torch.optim.AdamW`."""

from __future__ import annotations

import math

import torch

from ..strategies.gates import gate_of
from .adam import adam_dense
from .row_state import State

__all__ = ["step_dense"]


def step_dense(parameter: torch.Tensor, grad: torch.Tensor, state: State, group: State) -> None:
    """Update a parameter and its state in place, at the share of the rate that its gate allows."""
    if not state:
        state["step"] = torch.zeros((), dtype=torch.int64)
        state["exp_avg"] = torch.zeros_like(parameter)
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    state["step"] += 1
    betas, n, lr = group["betas"], int(state["step"]), group["lr"] * gate_of(parameter)
    root = math.sqrt(1 - betas[1] ** n)
    rate, decay = -lr * root / (1 - betas[0] ** n), 1 - lr * group["weight_decay"]
    moments = state["exp_avg"], state["exp_avg_sq"]
    adam_dense(parameter, grad, *moments, rate, group["eps"] * root, decay, betas)
