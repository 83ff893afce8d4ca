"""Row rules: what a strategy says about single rows of a table, in the form an optimizer applies.

A rule and a gate travel on the weight itself, as plain attributes that the type of a parameter
does not declare (hence `vars`); `RowAdamW` claims them. An optimizer that doesn't
would ignore them, so a rule that nobody claims is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..errors import StrategyError

if TYPE_CHECKING:
    from .base import Strategy

__all__ = [
    "RowRule",
    "attach_gate",
    "attach_rule",
    "claim",
    "gate_of",
    "hold_rows",
    "marks_of",
    "open_or_close",
    "rule_of",
    "trains_now",
]


_MARKS = ("row_rule", "row_rule_claimed", "row_gate", "row_epoch", "closed_by_strategy")


@dataclass(frozen=True, eq=False)
class RowRule:
    """Which rows of a table `(V, D)` train, and how far they may go.

    The operations are done after the optimizer's own update of a row, on the rows of the batch
    only, in this order: update x scale x gate, decay, shrink, radius, max_norm.

    Attributes:
        train: bool `(V,)`, the rows that train; None for all.
        opens: int `(V,)`, the epoch from which each row trains; None for 0.
        scale: float `(V,)`, a factor on each row's update; None for 1.
        anchor: `(V, D)`, what decay, shrink and radius are measured from; None for zero.
        decay: decoupled decay toward the anchor, times the learning rate, made up for the steps
            that a row has missed since it was last in a batch. Not together with `weight_decay` of
            the optimizer on the same table, which would be an error.
        shrink: the distance to the anchor shrinks by this times the learning rate, to exactly
            zero (group soft threshold).
        radius: the largest distance to the anchor; one for all rows, or float `(V,)`.
        max_norm: the largest norm of a row.
    """

    train: torch.Tensor | None = None
    opens: torch.Tensor | None = None
    scale: torch.Tensor | None = None
    anchor: torch.Tensor | None = None
    decay: float = 0.0
    shrink: float = 0.0
    radius: float | torch.Tensor = float("inf")
    max_norm: float = float("inf")

    @property
    def trivial(self) -> bool:
        """Whether the rule says nothing."""
        said = ((getattr(self, field.name), field.default) for field in fields(self))
        return all(not isinstance(value, torch.Tensor) and value == none for value, none in said)

    @property
    def bounds_distance(self) -> bool:
        """Whether there is a radius."""
        return isinstance(self.radius, torch.Tensor) or math.isfinite(self.radius)

    def on(self, device: torch.device) -> RowRule:
        """Return the rule with its tensors on a device; itself, if they are there."""
        said = ((field.name, getattr(self, field.name)) for field in fields(self))
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in said
            if isinstance(value, torch.Tensor) and value.device != device
        }
        return replace(self, **moved) if moved else self


def attach_rule(weight: nn.Parameter, rule: RowRule) -> None:
    """Put a rule on a weight, or take a former one off."""
    vars(weight).update(row_rule=None if rule.trivial else rule, row_rule_claimed=False)


def attach_gate(weight: nn.Parameter, gate: float, strategy: Strategy, epoch: int) -> None:
    """Put a gate on a weight, and the epoch that `opens` is compared with.

    Raises:
        StrategyError: the weight has a rule, or the gate is a ramp, and no optimizer has claimed
            them.
    """
    vars(weight).update(row_gate=gate, row_epoch=epoch)
    ramp = 0 < gate < 1
    if (rule_of(weight) is not None or ramp) and not getattr(weight, "row_rule_claimed", False):
        raise StrategyError(
            f"{strategy} needs fe.RowAdamW(strategy.param_groups(...)); another optimizer would "
            "ignore what it says about single rows, or about a share of the rate"
        )


def hold_rows(embedding: nn.Module, weight: nn.Parameter) -> None:
    """Hold the rows that a module says never train; its weight loses the hook when it is copied."""
    held: Any = getattr(embedding, "fixed_rows", None)
    if held is not None:
        held.attach(weight)


def open_or_close(params: Iterable[nn.Parameter], is_open: bool) -> None:
    """Freeze parameters, or open those again that were frozen by this, and no others."""
    for parameter in params:
        if is_open and getattr(parameter, "closed_by_strategy", False):
            parameter.requires_grad_(True)
            vars(parameter)["closed_by_strategy"] = False
        elif not is_open and parameter.requires_grad:
            parameter.requires_grad_(False)
            parameter.grad = None  # a leftover gradient would still move it
            vars(parameter)["closed_by_strategy"] = True


def claim(weight: torch.Tensor) -> None:
    """Say that an optimizer applies the rule and the gate of a weight."""
    vars(weight)["row_rule_claimed"] = True


def rule_of(weight: torch.Tensor) -> RowRule | None:
    """Return the rule on a weight, if any, on its device: a model may have been moved since."""
    rule: RowRule | None = getattr(weight, "row_rule", None)
    if rule is None or (here := rule.on(weight.device)) is rule:
        return rule
    vars(weight)["row_rule"] = here
    return here


def marks_of(weight: torch.Tensor) -> dict[str, Any]:
    """Return what strategies and optimizers have put on a weight, which its copies lack."""
    return {name: vars(weight)[name] for name in _MARKS if name in vars(weight)}


def gate_of(weight: torch.Tensor) -> float:
    """Return the gate on a weight, 1 where none was set."""
    return float(getattr(weight, "row_gate", 1.0))


def trains_now(weight: torch.Tensor, rule: RowRule, rows: torch.Tensor) -> torch.Tensor | None:
    """Return which of some rows `(U,)` a rule lets train now, bool `(U,)`; None for all."""
    trains = None if rule.train is None else rule.train[rows]
    if rule.opens is None:
        return trains
    open_ = rule.opens[rows] <= getattr(weight, "row_epoch", 0)
    return open_ if trains is None else trains & open_
