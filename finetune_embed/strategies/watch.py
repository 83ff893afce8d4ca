"""What is checked before each step of a torch optimizer that holds a table.

A strategy acts through hooks that a loop has to call, on a weight that an optimizer has to hold.
`param_groups` puts a watch on that weight, and torch calls `check_step` before every step of every
optimizer; it looks only at weights with a watch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ..errors import StrategyError
from .clock import Timing
from .row_rules import rule_of, trains_now

__all__ = [
    "Watch",
    "check_step",
    "forget_module",
    "is_marked",
    "mark_module",
    "note_write",
    "put_watch",
    "set_gate",
]


@dataclass
class Watch:
    """What a table has to obey, as plain values, so that the weight can be pickled.

    Attributes:
        strategy: the text form of the strategy that made the groups.
        timing: which of its hooks a loop has to call.
        needs_hook: whether what trains depends on the hook.
        gate: the gate that the last hook set; None if none has run.
        version: torch's count of writes to the weight, when its sums were last known to be right.
        sums: int64 `(V,)`, the checksum of each row, right for rows that are frozen; None if none
            is.
        stepped: whether an optimizer has made a step since the last hook.
    """

    strategy: str
    timing: Timing
    needs_hook: bool
    gate: float | None = None
    version: int = -1
    sums: torch.Tensor | None = None
    stepped: bool = False

    def is_current(self, weight: torch.Tensor) -> bool:
        """Return whether the weight was not written to since its checksums were taken."""
        known = self.sums is not None and self.sums.device == weight.device
        return known and self.version == weight._version


_installed = False


def put_watch(weight: nn.Parameter, watch: Watch) -> None:
    """Put a watch on a weight, in place of any earlier one."""
    global _installed
    vars(weight)["row_watch"] = watch
    if not _installed:
        register_optimizer_step_pre_hook(check_step)
        _installed = True


def mark_module(module: nn.Module) -> None:
    """Mark a module as one that `param_groups` was given."""
    vars(module)["seen_by_strategy"] = True


def is_marked(module: nn.Module | None) -> bool:
    """Return whether `param_groups` was given a module, or what it is a copy of."""
    return module is not None and "seen_by_strategy" in vars(module)


def forget_module(module: nn.Module) -> None:
    """Take the mark of `mark_module` off a module."""
    vars(module).pop("seen_by_strategy", None)


def set_gate(weight: nn.Parameter, watch: Watch, gate: float) -> None:
    """Note the gate that a hook has set, and remember the bits of the rows that are frozen now.

    Raises:
        StrategyError: since the last step, other code has changed rows that stay frozen.
    """
    before, watch.gate = watch.gate, gate
    stepped, watch.stepped = watch.stepped and before is not None, False
    if gate > 0 and not _holds_rows(weight):
        watch.sums = None
    elif (gate <= 0 and before != gate) or not (stepped or watch.is_current(weight)):
        watch.sums, watch.version = _sums(weight), weight._version
    elif not watch.is_current(weight):
        _check_bits(weight, watch)


def note_write(weight: torch.Tensor) -> None:
    """Note that an optimizer that applies rules has written to rows of a weight that train."""
    watch: Watch | None = vars(weight).get("row_watch")
    if watch is not None:
        watch.version = weight._version


def check_step(optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
    """Check before a step that it obeys the strategies of the tables that an optimizer holds.

    A step that is itself compiled is not checked, since torch's compiler sees no attributes.

    Raises:
        StrategyError: it does not.
    """
    if torch.compiler.is_compiling():
        return
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if "row_watch" in parameter.__dict__:
                watch: Watch = parameter.__dict__["row_watch"]
                _check(optimizer, parameter, watch)
                watch.stepped = True


def _check(optimizer: torch.optim.Optimizer, weight: nn.Parameter, watch: Watch) -> None:
    table = f"the table {tuple(weight.shape)}"
    if watch.gate is None and (watch.needs_hook or not weight.requires_grad):
        hook = {
            "epoch": "at the start of each epoch call strategy.on_epoch_start(embedding, epoch)",
            "step": "before each forward pass call strategy.on_step_start(embedding, step)",
        }
        state = "open" if weight.requires_grad else "frozen"
        raise StrategyError(
            f"no hook of {watch.strategy} has run on {table}, which is {state}, before the first "
            f"step of {type(optimizer).__name__}",
            value=watch.strategy,
            remedy=hook[watch.timing],
        )
    needs_rules = rule_of(weight) is not None or 0 < (watch.gate or 0) < 1
    if needs_rules and not _applies_row_rules(optimizer):
        raise StrategyError(
            f"{watch.strategy} sets single rows or a share of the rate of {table}, which "
            f"{type(optimizer).__name__} ignores",
            value=watch.strategy,
            remedy="use RowAdamW(strategy.param_groups(...)); to end it, build the optimizer from "
            "FullTune().param_groups(model, embedding, lr=lr)",
        )
    if watch.gate is not None and watch.gate <= 0:
        if weight.requires_grad or weight.grad is not None:
            raise StrategyError(
                f"{watch.strategy} has frozen {table}, but since then requires_grad or a gradient "
                "was set on it, so this step would move it",
                value=watch.strategy,
                remedy="leave the table's requires_grad to the strategy; to end it, build the "
                "optimizer from FullTune().param_groups(model, embedding, lr=lr)",
            )
    elif not _holds_rows(weight):
        return
    if not watch.is_current(weight):
        _check_bits(weight, watch)


def _applies_row_rules(optimizer: torch.optim.Optimizer) -> bool:
    """Return whether an optimizer, or the one that it wraps and lets step, applies row rules.

    `ZeroRedundancyOptimizer` has the wrapped one as `optim`.
    """
    stepping = getattr(optimizer, "optim", optimizer)
    return bool(getattr(stepping, "applies_row_rules", False))


def _check_bits(weight: nn.Parameter, watch: Watch) -> None:
    """Check that what was written to a weight left its frozen rows as they were.

    Raises:
        StrategyError: it did not.
    """
    sums, rule = _sums(weight), rule_of(weight)
    if watch.sums is not None and watch.sums.device == weight.device:
        changed = sums != watch.sums
        if rule is not None and (watch.gate is None or watch.gate > 0):
            trains = trains_now(weight, rule, torch.arange(len(weight), device=weight.device))
            changed &= ~(changed if trains is None else trains)
        if bool(changed.any()):
            row = int(changed.nonzero()[0])
            raise StrategyError(
                f"{watch.strategy} has frozen row {row} of the table {tuple(weight.shape)}, but "
                "its values were changed since: in the forward pass (max_norm), by an optimizer "
                "that moves parameters without a gradient (LBFGS), or by other code",
                value=row,
                remedy="remove what changes it; load weights before the first hook runs",
            )
    watch.sums, watch.version = sums, weight._version


def _holds_rows(weight: nn.Parameter) -> bool:
    """Return whether a rule keeps some rows of a weight frozen."""
    rule = rule_of(weight)
    return rule is not None and not (rule.train is None and rule.opens is None)


def _sums(weight: torch.Tensor) -> torch.Tensor:
    """Return a checksum `(V,)` of each row: its bits as integers, summed.

    Integer sums do not depend on the order.
    """
    values = weight.detach().contiguous()
    size = values.element_size()
    whole = values.shape[1] * size % 8 == 0 and values.storage_offset() * size % 8 == 0
    kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    # int64 is summed ten times as fast as int32
    return values.view(torch.int64 if whole else kinds[size]).sum(dim=1)
