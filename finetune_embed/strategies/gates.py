"""Gates on the parameters of a model: what is frozen, what is open, and what trains at a share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import nn

from ..errors import StrategyError
from .clock import Clock
from .layout import EMBEDDING, model_layout
from .row_rules import rule_of
from .weights import table_weight

__all__ = ["apply_gates", "attach_gate", "gate_of", "open_or_close"]


def apply_gates(
    embedding: nn.Module,
    model: nn.Module | None,
    clock: Clock,
    gate_at: Callable[[str, Clock], float],
    strategy: str,
) -> None:
    """Open or freeze the table and, if the model is given, its other parts.

    Args:
        embedding: the embedding that is tuned.
        model: the model, or None for the table alone.
        clock: the current moment.
        gate_at: the gate of a part at a moment.
        strategy: the text form of the strategy, for messages.
    """
    weight = table_weight(embedding)
    parts = model_layout(model, weight) if model is not None else []
    deepest = parts[0].depth if parts else None
    gate = gate_at(EMBEDDING, replace(clock, depth=deepest, deepest=deepest))
    weight.requires_grad_(gate > 0)
    if gate <= 0:
        weight.grad = None  # a leftover gradient would still move the table
    attach_gate(weight, gate, strategy, clock.epoch)
    for part in parts[1:]:
        gate = gate_at(part.name, replace(clock, depth=part.depth, deepest=deepest))
        open_or_close(part.params, gate > 0)
        for parameter in part.params:
            attach_gate(parameter, gate, strategy, clock.epoch)


def attach_gate(weight: nn.Parameter, gate: float, strategy: str, epoch: int) -> None:
    """Put a gate on a weight, and the epoch with which a rule's `opens` is compared.

    Args:
        weight: the weight.
        gate: 0 frozen, 1 open, or a share of the rate between.
        strategy: the text form of the strategy, for messages.
        epoch: finished epochs.

    Raises:
        StrategyError: the weight has a rule, or the gate is a share of the rate, and no optimizer
            has claimed them.
    """
    vars(weight).update(row_gate=gate, row_epoch=epoch)
    needs_claim = rule_of(weight) is not None or 0 < gate < 1
    if needs_claim and not getattr(weight, "row_rule_claimed", False):
        raise StrategyError(
            f"{strategy} sets single rows or a share of the rate, which other optimizers than "
            "RowAdamW ignore",
            value=strategy,
            remedy="use RowAdamW(strategy.param_groups(...))",
        )


def gate_of(weight: torch.Tensor) -> float:
    """Return the gate on a weight, 1 if none was set."""
    return float(getattr(weight, "row_gate", 1.0))


def open_or_close(params: Iterable[nn.Parameter], is_open: bool) -> None:
    """Freeze parameters, or open those that this function has frozen, and no others."""
    for parameter in params:
        if is_open and getattr(parameter, "closed_by_strategy", False):
            parameter.requires_grad_(True)
            vars(parameter)["closed_by_strategy"] = False
        elif not is_open and parameter.requires_grad:
            parameter.requires_grad_(False)
            parameter.grad = None  # a leftover gradient would still move it
            vars(parameter)["closed_by_strategy"] = True
