"""Row rules: what a strategy does to single rows of a table, in the form an optimizer applies.

A rule and a gate travel on the weight itself, as plain attributes that the type of a parameter
does not declare (hence `vars`); a `RowOptimizer` claims them. Others would ignore them, so a
rule without a claim is an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import nn

from ..errors import StrategyError

__all__ = [
    "RowRule",
    "attach_rule",
    "claim",
    "forget_marks",
    "marks_of",
    "merge_rules",
    "rule_of",
    "trains_now",
]


_MARKS = (
    "row_rule",
    "row_rule_claimed",
    "row_gate",
    "row_epoch",
    "row_watch",
    "closed_by_strategy",
)


@dataclass(frozen=True, eq=False)
class RowRule:
    """Which rows of a table `(V, D)` train, and how far they may go.

    The operations come after the optimizer's own update of a row, on the rows of the batch only,
    in this order: update x scale x gate, decay, shrink, radius, max_norm.

    Attributes:
        train: bool `(V,)`, the rows that train; None for all.
        opens: int `(V,)`, the number of epochs before each row trains; None for 0.
        scale: float `(V,)`, a factor on each row's update; None for 1.
        anchor: `(V, D)`, what decay, shrink and radius are measured from; None for zero.
        decay: decoupled decay toward the anchor, times the learning rate. The steps that a row has
            missed since it was last in a batch are made up for. An error together with the
            optimizer's `weight_decay` on the same table.
        shrink: the distance to the anchor shrinks by this times the learning rate, to exactly
            zero (group soft threshold).
        radius: the largest distance to the anchor; one for all rows, or float `(V,)`.
        max_norm: the largest norm of a row.

    Example:
        >>> vocab = fe.Vocabulary({"film": 100, "good": 25, "bad": 4})  # rows 2, 3, 4
        >>> weight = torch.nn.Parameter(torch.ones(5, 2))
        >>> rule = (fe.TrainRows(keys=["good"]) | fe.MaxNorm(2.0)).rows(weight, vocab)
        >>> rule.train.tolist(), rule.max_norm
        ([False, False, False, True, False], 2.0)
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
        """Whether the rule changes nothing."""
        return not any(self.sets(field.name) for field in fields(self))

    @property
    def bounds_distance(self) -> bool:
        """Whether there is a radius."""
        return isinstance(self.radius, torch.Tensor) or math.isfinite(self.radius)

    def sets(self, name: str) -> bool:
        """Return whether a field differs from its default."""
        value = getattr(self, name)
        return isinstance(value, torch.Tensor) or bool(value != getattr(RowRule, name))

    def on(self, device: torch.device) -> RowRule:
        """Return the rule with its tensors on a device; itself, if they are there."""
        values = ((field.name, getattr(self, field.name)) for field in fields(self))
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in values
            if isinstance(value, torch.Tensor) and value.device != device
        }
        return replace(self, **moved) if moved else self


def merge_rules(rules: Sequence[RowRule]) -> RowRule:
    """Return rules as one: masks AND, scales multiply, radius and max_norm take the minimum.

    Raises:
        StrategyError: two rules set the anchor, the decay or the shrink.
    """
    for name in ("anchor", "decay", "shrink"):
        if sum(rule.sets(name) for rule in rules) > 1:
            raise StrategyError(
                f"two strategies set the rows' {name}", value=name, remedy="keep one of them"
            )
    return RowRule(
        train=_combined([rule.train for rule in rules], torch.logical_and),
        opens=_combined([rule.opens for rule in rules], torch.maximum),
        scale=_combined([rule.scale for rule in rules], torch.mul),
        anchor=next((rule.anchor for rule in rules if rule.anchor is not None), None),
        decay=max(rule.decay for rule in rules),
        shrink=max(rule.shrink for rule in rules),
        radius=_least([rule.radius for rule in rules]),
        max_norm=min(rule.max_norm for rule in rules),
    )


def _combined(values: list[Any], combine: Callable[[Any, Any], Any]) -> Any:
    """Combine the values that are not None; None if there are none."""
    combined = None
    for value in values:
        if value is not None:
            combined = value if combined is None else combine(combined, value)
    return combined


def _least(radii: list[float | torch.Tensor]) -> float | torch.Tensor:
    """Return the smallest radius, row by row if one has a number for each row."""
    least: float | torch.Tensor = math.inf
    for radius in radii:
        if isinstance(least, torch.Tensor) or isinstance(radius, torch.Tensor):
            least = torch.minimum(torch.as_tensor(least), torch.as_tensor(radius))
        else:
            least = min(least, radius)
    return least


def attach_rule(weight: nn.Parameter, rule: RowRule) -> None:
    """Put a rule on a weight in place of any earlier one."""
    vars(weight).update(row_rule=None if rule.trivial else rule, row_rule_claimed=False)


def claim(weight: torch.Tensor) -> None:
    """Mark a weight as one whose rule and gate an optimizer applies."""
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


def forget_marks(weight: torch.Tensor) -> None:
    """Take off a weight what strategies and optimizers have put on it."""
    for name in marks_of(weight):
        del vars(weight)[name]


def trains_now(weight: torch.Tensor, rule: RowRule, rows: torch.Tensor) -> torch.Tensor | None:
    """Return which of some rows `(U,)` a rule lets train now, bool `(U,)`; None for all."""
    trains = None if rule.train is None else rule.train[rows]
    if rule.opens is None:
        return trains
    is_open = rule.opens[rows] <= getattr(weight, "row_epoch", 0)
    return is_open if trains is None else trains & is_open
