"""Gates on the parameters of a model: what is frozen, what is open, and what trains at a share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import nn

from ..errors import StrategyError
from .clock import Clock
from .layout import EMBEDDING, Part, model_layout
from .row_rules import forget_marks, rule_of
from .watch import Watch, forget_module, is_marked, put_watch, set_gate
from .weights import check_not_renormed, table_weight

__all__ = [
    "apply_gates",
    "attach_gate",
    "forget_gates",
    "forget_strategy",
    "gate_of",
    "open_or_close",
]


def apply_gates(
    embedding: nn.Module,
    model: nn.Module | None,
    clock: Clock,
    gate_at: Callable[[str, Clock], float],
    strategy: object,
    new_watch: Callable[[], Watch],
) -> None:
    """Open or freeze the table and, if the model is given, its other parts.

    Args:
        embedding: the embedding that is tuned.
        model: the model, or None for the table alone.
        clock: the current moment.
        gate_at: the gate of a part at a moment.
        strategy: the strategy, for messages.
        new_watch: returns the watch of a weight that `param_groups` has not seen.

    Raises:
        StrategyError: `param_groups` has seen another weight, a module would change frozen rows in
            the forward pass, nothing of the model is open, or no optimizer would apply the gate.
    """
    weight = table_weight(embedding)
    watch: Watch | None = vars(weight).get("row_watch")
    if watch is None:
        if any(is_marked(module) for module in (embedding, model)):
            raise StrategyError(
                f"param_groups was not given the embedding's weight {tuple(weight.shape)}, but "
                "that of another table of the model, or the one before it was replaced (by a copy "
                "of the model, load_state_dict(assign=True) or embedding.weight = ...)",
                value=tuple(weight.shape),
                remedy="build the optimizer again: strategy.param_groups(model, embedding, lr=lr)",
            )
        watch = new_watch()
        put_watch(weight, watch)
    check_not_renormed(embedding, [weight])
    parts = model_layout(model, weight) if model is not None else []
    deepest = parts[0].depth if parts else None
    gate = _checked(gate_at(EMBEDDING, clock.of_part(deepest, deepest)), strategy)
    weight.requires_grad_(gate > 0)
    vars(weight)["closed_by_strategy"] = gate <= 0
    attach_gate(weight, gate, strategy, clock.epoch)
    if gate <= 0:
        weight.grad = None  # a leftover gradient would still move the table
    set_gate(weight, watch, gate)
    closed = [weight] if gate <= 0 else []
    for part in parts[1:]:
        at = clock.of_part(part.depth, deepest)
        gate = _checked(gate_at(part.name, at), strategy)
        open_or_close(part.params, gate > 0)
        for parameter in part.params:
            attach_gate(parameter, gate, strategy, clock.epoch)
        closed += part.params if gate <= 0 else []
    if model is not None:
        check_not_renormed(model, [weight, *closed])
        _check_some_open(model, parts, strategy, clock)


def _checked(gate: float, strategy: object) -> float:
    """Return a gate, if it is one.

    Raises:
        StrategyError: it is above 1, not a number or None.
    """
    if gate is None or not gate <= 1:
        raise StrategyError(
            f"a gate must be from 0 to 1, and is {gate}",
            where=str(strategy),
            value=gate,
            remedy="for a larger rate override rate",
        )
    return gate


def _check_some_open(
    model: nn.Module, parts: Sequence[Part], strategy: object, clock: Clock
) -> None:
    """Check that a model with more than a table has something to train.

    Raises:
        StrategyError: all its parts are frozen.
    """
    if len(parts) > 1 and not any(p.requires_grad for part in parts for p in part.params):
        raise StrategyError(
            f"every part of {type(model).__name__} is frozen in epoch {clock.epoch + 1}, so "
            f"nothing would train: {', '.join(part.name for part in parts)}",
            where=str(strategy),
            value=clock.epoch,
            remedy="let the gate of one part be above 0, and don't freeze all others yourself",
        )


def attach_gate(weight: nn.Parameter, gate: float, strategy: object, epoch: int) -> None:
    """Put a gate on a weight, and the epoch with which a rule's `opens` is compared.

    Args:
        weight: the weight.
        gate: 0 frozen, 1 open, or a share of the rate between.
        strategy: the strategy, for messages.
        epoch: finished epochs.

    Raises:
        StrategyError: the weight has a rule, or the gate is a share of the rate, and no optimizer
            has claimed them.
    """
    vars(weight).update(row_gate=gate, row_epoch=epoch)
    needs_claim = rule_of(weight) is not None or 0 < gate < 1
    if needs_claim and not getattr(weight, "row_rule_claimed", False):
        raise StrategyError(
            f"{strategy} sets single rows or a share of the rate, which torch's optimizers ignore",
            value=str(strategy),
            remedy="use RowAdamW(strategy.param_groups(...))",
        )


def forget_gates(params: Iterable[nn.Parameter]) -> None:
    """Take off the gates that an earlier strategy has put on parameters, and open what it froze."""
    for parameter in params:
        if vars(parameter).pop("closed_by_strategy", False):
            parameter.requires_grad_(True)
        for name in ("row_gate", "row_epoch"):
            vars(parameter).pop(name, None)


def forget_strategy(model: nn.Module) -> None:
    """Take everything off a model that strategies have put on it, and open what they froze."""
    for module in model.modules():
        forget_module(module)
    forget_gates(model.parameters())
    for parameter in model.parameters():
        forget_marks(parameter)


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
