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
from .row_rules import rule_of

__all__ = ["Watch", "freeze_bits", "put_watch", "see", "was_seen"]


@dataclass
class Watch:
    """What a table has to obey, as plain values, so that the weight can be pickled.

    Attributes:
        strategy: the text form of the strategy that made the groups.
        timing: which of its hooks a loop has to call.
        needs_hook: whether what trains depends on the hook.
        gate: the gate that the last hook set; None if none has run.
        frozen: the version and the checksum of the weight when the hook froze it; None if it is
            open.
    """

    strategy: str
    timing: Timing
    needs_hook: bool
    gate: float | None = None
    frozen: tuple[int, int] | None = None


_installed = False


def put_watch(weight: nn.Parameter, watch: Watch) -> None:
    """Put a watch on a weight, in place of any earlier one."""
    global _installed
    vars(weight)["row_watch"] = watch
    if not _installed:
        register_optimizer_step_pre_hook(check_step)
        _installed = True


def see(*modules: nn.Module) -> None:
    """Mark modules as those that `param_groups` was given."""
    for module in modules:
        vars(module)["seen_by_strategy"] = True


def was_seen(module: nn.Module | None) -> bool:
    """Return whether `param_groups` was given a module, or what it is a copy of."""
    return module is not None and "seen_by_strategy" in vars(module)


def freeze_bits(weight: nn.Parameter, watch: Watch) -> None:
    """Remember the bits of a weight that is now frozen."""
    version = weight._version
    if watch.frozen is None or watch.frozen[0] != version:
        watch.frozen = version, _checksum(weight)


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
                _check(optimizer, parameter, parameter.__dict__["row_watch"])


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
    if (rule_of(weight) is not None or 0 < (watch.gate or 0) < 1) and not getattr(
        optimizer, "applies_row_rules", False
    ):
        raise StrategyError(
            f"{watch.strategy} sets single rows or a share of the rate of {table}, which "
            f"{type(optimizer).__name__} ignores",
            value=watch.strategy,
            remedy="use RowAdamW(strategy.param_groups(...))",
        )
    if watch.frozen is None:
        return
    if weight.requires_grad or weight.grad is not None:
        raise StrategyError(
            f"{watch.strategy} has frozen {table}, but since then requires_grad or a gradient was "
            "set on it, so this step would move it",
            value=watch.strategy,
            remedy="leave the table's requires_grad to the strategy",
        )
    version, checksum = watch.frozen
    if weight._version != version:
        if _checksum(weight) != checksum:
            raise StrategyError(
                f"{watch.strategy} has frozen {table}, but its values were changed since: in the "
                "forward pass (max_norm), by an optimizer that moves parameters without a "
                "gradient (LBFGS), or by other code",
                value=watch.strategy,
                remedy="remove what changes it; load weights before the hook runs",
            )
        watch.frozen = weight._version, checksum


def _checksum(weight: torch.Tensor) -> int:
    """Return the sum of the bits of a weight as integers, which no order of addition changes."""
    values = weight.detach().flatten()
    whole = values.nbytes % 8 == 0 and values.storage_offset() * values.element_size() % 8 == 0
    kinds = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    # int64 is summed ten times as fast as int32
    return int(values.view(torch.int64 if whole else kinds[values.element_size()]).sum())
