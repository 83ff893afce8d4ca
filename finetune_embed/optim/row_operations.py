"""What a `RowRule` and decay do to rows of a weight, in place."""

from __future__ import annotations

import math

import torch

from ..errors import Option, StrategyError
from ..strategies import RowRule

__all__ = ["apply_rule", "log_decay", "pull_to_anchor"]


def log_decay(lr: float, weight_decay: float, rule: RowRule) -> float:
    """Return the log of a step's factor on a row, or on its distance to the anchor of a rule.

    Raises:
        StrategyError: there are both decays, or the rate times the decay is 1 or more.
    """
    if weight_decay and rule.decay:
        raise StrategyError(
            f"the table has weight_decay={weight_decay:g} and a RowRule with decay={rule.decay:g}, "
            "and their order in steps that a row has missed is not defined",
            value=(weight_decay, rule.decay),
            remedy="keep one of them",
        )
    decay = weight_decay or rule.decay
    if lr * decay >= 1:
        raise StrategyError(
            f"the learning rate {lr:g} times the decay {decay:g} is {lr * decay:g}, not below 1, "
            "which would move rows past what they decay to",
            value=lr * decay,
            remedy=("choose a smaller ", Option("lr"), " or a smaller decay"),
        )
    return math.log1p(-lr * decay)


def pull_to_anchor(
    weight: torch.Tensor, rows: torch.Tensor, owed: torch.Tensor, rule: RowRule
) -> None:
    """Multiply the distance of rows `(U,)` to the anchor, or to zero, by `exp(owed)` `(U,)`."""
    values = weight.index_select(0, rows)
    if rule.anchor is None:
        values.mul_(owed.exp().to(values.dtype)[:, None])
    else:
        pull = -torch.expm1(owed).to(values.dtype)[:, None]
        values += (rule.anchor[rows].to(values) - values) * pull
    weight.index_copy_(0, rows, values)


def apply_rule(weight: torch.Tensor, rows: torch.Tensor, rule: RowRule, lr: float) -> None:
    """Apply a rule's operations to updated rows: decay, shrink, radius, max_norm."""
    anchored = rule.decay or rule.shrink or rule.bounds_distance
    if not anchored and not math.isfinite(rule.max_norm):
        return
    values = weight.index_select(0, rows)
    if anchored:
        zero = torch.zeros_like(values)
        anchor = zero if rule.anchor is None else rule.anchor[rows].to(values)
        delta = (values - anchor) * (1 - lr * rule.decay)
        norm = delta.norm(dim=1, keepdim=True)
        shrunk = (norm - lr * rule.shrink).clamp(min=0)
        if isinstance(rule.radius, torch.Tensor):
            shrunk = torch.minimum(shrunk, rule.radius[rows].to(norm)[:, None])
        else:
            shrunk = shrunk.clamp(max=rule.radius)
        delta = torch.where(shrunk < norm, delta * (shrunk / norm), delta)
        values = anchor + delta
    if math.isfinite(rule.max_norm):
        norm = values.norm(dim=1, keepdim=True)
        values = torch.where(norm > rule.max_norm, values * (rule.max_norm / norm), values)
    weight.index_copy_(0, rows, values)
