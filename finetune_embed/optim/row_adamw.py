"""`RowAdamW`: AdamW by rows for tables, AdamW as ever for all the rest."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, overload

import torch
from torch.optim.optimizer import ParamsT

from ..strategies.rules import RowRule, claim, gate_of, rule_of

__all__ = ["RowAdamW"]

State = dict[str, Any]


class RowAdamW(torch.optim.Optimizer):
    r"""AdamW (Loshchilov and Hutter 2019) that moves only the rows a batch has a gradient for.

    A parameter is treated by rows if its gradient is sparse (`nn.Embedding(sparse=True)`) or its
    group has `row_wise=True`, as the table's group of `strategy.param_groups(...)` has; all others
    are treated as `torch.optim.AdamW` does. For a row-wise parameter `(V, D)`:

    - A row is *touched* by a step if its summed gradient is not all zero. Rows that are not
      touched don't move, and their moments don't age.
    - Each row has its own step count `n`, which bias correction uses. When every row is touched in
      every step, this is AdamW.
    - Weight decay is that of AdamW, with the steps that a row has missed since it was last touched
      made up for when it is touched again, each at the rate of its time, and for all such rows by
      `flush()`. A row that was never touched never decays.
    - A `RowRule` with decay is made up for in the same way, but its decay comes after the update.
      A table has either it or weight decay: with both, `step` raises, since the order of the two
      in missed steps is not defined. The rate times the decay must be below 1.
    - The weight's `RowRule` and gate are applied after the update, to touched rows: update x
      scale x gate, decay toward the anchor, shrink, radius, max_norm. Rows outside the mask
      `train` are not touched.

    The same gradient gives the same numbers whether it is dense or sparse, coalesced or not. (Where
    a word occurs twice in a batch, torch itself may sum a dense gradient in another order than a
    sparse one, which shows in the last bit.)

    Args:
        params: parameters or groups, as for any torch optimizer.
        lr: the learning rate.
        betas: the decay rates of the two moments.
        eps: added to the root of the second moment.
        weight_decay: decoupled weight decay.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if lr < 0 or eps < 0 or weight_decay < 0 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"lr={lr}, eps={eps} and weight_decay={weight_decay} must be 0 or more, and "
                f"betas={betas} at least 0 and below 1"
            )
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "row_wise": False,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for parameter in group["params"]:
                claim(parameter)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Do one optimization step.

        Args:
            closure: evaluates the model again and returns the loss; optional.

        Raises:
            ValueError: the rate of a row-wise parameter times its decay is 1 or more, or it has
                both weight decay and a rule with decay.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                grad = parameter.grad
                if grad is None:
                    continue
                if grad.is_sparse or group["row_wise"]:
                    rows, values = touched_rows(grad, rule_of(parameter))
                    self._step_rows(parameter, rows, values, group)
                else:
                    self._step_dense(parameter, grad, group)
        return loss

    def _step_dense(self, parameter: torch.Tensor, grad: torch.Tensor, group: State) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.int64)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        beta1, beta2 = group["betas"]
        n = int(state["step"])
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        state["exp_avg"].lerp_(grad, 1 - beta1)
        state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        root = (state["exp_avg_sq"].sqrt() / math.sqrt(1 - beta2**n)).add_(group["eps"])
        parameter.addcdiv_(state["exp_avg"], root, value=-group["lr"] / (1 - beta1**n))

    def _step_rows(
        self, weight: torch.Tensor, rows: torch.Tensor, grad: torch.Tensor, group: State
    ) -> None:
        """Update `rows` `(U,)` of a weight `(V, D)` by their gradients `(U, D)`."""
        state = self.state[weight]
        if not state:
            state["step"] = torch.zeros(len(weight), dtype=torch.int64, device=weight.device)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        rule, lr = rule_of(weight) or RowRule(), group["lr"]
        today = _log_decay(lr, group["weight_decay"], rule.decay)
        if today:
            _advance_decay(state, weight, today)
        if not len(rows):
            return
        n = state["step"].index_select(0, rows) + 1
        values = weight.index_select(0, rows)
        if "decay_seen" in state:
            values = _catch_up(values, state, rows, rule, n == 1, today)
        beta1, beta2 = group["betas"]
        first = state["exp_avg"].index_select(0, rows).lerp_(grad, 1 - beta1)
        second = state["exp_avg_sq"].index_select(0, rows).mul_(beta2)
        second.addcmul_(grad, grad, value=1 - beta2)
        state["step"].index_copy_(0, rows, n)
        state["exp_avg"].index_copy_(0, rows, first)
        state["exp_avg_sq"].index_copy_(0, rows, second)
        n = n.to(torch.float64)
        root = second.sqrt_().div_((1 - beta2**n).sqrt().to(second.dtype)[:, None])
        size = (-lr * gate_of(weight) / (1 - beta1**n)).to(values.dtype)
        if rule.scale is not None:
            size = size * rule.scale[rows].to(values.dtype)
        values.add_(first.div_(root.add_(group["eps"])).mul_(size[:, None]))
        weight.index_copy_(0, rows, _apply_rule(values, rows, rule, lr))

    @torch.no_grad()
    def flush(self) -> None:
        """Make up for the decay that rows have missed since they were last touched.

        Call it before a table is measured or saved. Without decay it does nothing. A table that is
        frozen stays as it is, and what it owes is made up for once it is open again.
        """
        for group in self.param_groups:
            for parameter in group["params"]:
                state = self.state.get(parameter)
                if not state or "decay_seen" not in state or not parameter.requires_grad:
                    continue
                rows = state["step"].nonzero().squeeze(1)
                values = parameter.index_select(0, rows)
                rule = rule_of(parameter) or RowRule()
                parameter.index_copy_(0, rows, _catch_up(values, state, rows, rule))

    def load_state_dict(self, state_dict: State) -> None:
        """Load what `state_dict()` returned, every tensor in the dtype it was saved in.

        Args:
            state_dict: the state of an optimizer over the same parameters.
        """
        super().load_state_dict(state_dict)  # which casts all state to the parameter's dtype
        saved_ids = [i for group in state_dict["param_groups"] for i in group["params"]]
        parameters = [p for group in self.param_groups for p in group["params"]]
        for i, parameter in zip(saved_ids, parameters, strict=True):
            for name, value in state_dict["state"].get(i, {}).items():
                if isinstance(value, torch.Tensor):
                    self.state[parameter][name] = value.to(parameter.device, copy=True)


def _log_decay(lr: float, weight_decay: float, rule_decay: float) -> float:
    """Return the log of a step's factor on a row, or on its distance to the anchor of a rule."""
    if weight_decay and rule_decay:
        raise ValueError(
            f"the table has weight_decay={weight_decay:g} and a RowRule with decay={rule_decay:g}, "
            "and in steps that a row has missed their order is not defined; keep one of them"
        )
    decay = weight_decay or rule_decay
    if lr * decay >= 1:
        raise ValueError(
            f"lr={lr:g} times decay={decay:g} is {lr * decay:g}, which would turn rows over; it "
            "must be below 1, so take a smaller lr or a smaller decay"
        )
    return math.log1p(-lr * decay)


def _advance_decay(state: State, weight: torch.Tensor, today: float) -> None:
    """Add a step to the running log of decay."""
    if "decay_seen" not in state:
        state["log_decay"] = torch.zeros((), dtype=torch.float64, device=weight.device)
        state["decay_seen"] = torch.zeros(len(weight), dtype=torch.float64, device=weight.device)
    state["log_decay"] += today


def _catch_up(
    values: torch.Tensor,
    state: State,
    rows: torch.Tensor,
    rule: RowRule,
    new: torch.Tensor | None = None,
    today: float = 0.0,
) -> torch.Tensor:
    """Decay rows for the steps since they were last touched, and note that they have been.

    Within a step, `new` marks rows never touched before, which owe nothing for the past. Today's
    weight decay is done here, as AdamW does it before its update; today's decay of the rule comes
    after the update.
    """
    now, seen = state["log_decay"], state["decay_seen"].index_select(0, rows)
    if new is not None:
        seen[new] = now - today
    owed = now - seen
    state["decay_seen"].index_copy_(0, rows, now.expand(len(rows)))
    if not rule.decay:
        factor: torch.Tensor = owed.exp().to(values.dtype)[:, None]
        return values * factor
    pull = -torch.expm1(owed - today).to(values.dtype)[:, None]
    return values + (_anchor(values, rows, rule) - values) * pull


def _apply_rule(values: torch.Tensor, rows: torch.Tensor, rule: RowRule, lr: float) -> torch.Tensor:
    """Do a rule's operations on updated rows: decay, shrink, radius, max_norm."""
    anchored = rule.decay or rule.shrink or math.isfinite(rule.radius)
    if anchored:
        anchor = _anchor(values, rows, rule)
        delta = (values - anchor) * (1 - lr * rule.decay)
        norm = delta.norm(dim=1, keepdim=True)
        shrunk = (norm - lr * rule.shrink).clamp(min=0, max=rule.radius)
        delta = torch.where(shrunk < norm, delta * (shrunk / norm), delta)
        values = anchor + delta
    if math.isfinite(rule.max_norm):
        norm = values.norm(dim=1, keepdim=True)
        values = torch.where(norm > rule.max_norm, values * (rule.max_norm / norm), values)
    return values


def _anchor(values: torch.Tensor, rows: torch.Tensor, rule: RowRule) -> torch.Tensor:
    if rule.anchor is None:
        return torch.zeros_like(values)
    return rule.anchor[rows].to(values)


def touched_rows(
    grad: torch.Tensor, rule: RowRule | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows `(U,)` of a gradient `(V, D)` that are not all zero, and their values."""
    if grad.is_sparse:
        grad = grad.coalesce()
        rows, values = grad.indices()[0], grad.values()
    else:
        rows, values = torch.arange(len(grad), device=grad.device), grad
    touched = (values != 0).any(dim=1)
    if rule is not None and rule.train is not None:
        touched &= rule.train[rows]
    kept = touched.nonzero().squeeze(1)
    if len(kept) < len(rows):
        rows, values = rows.index_select(0, kept), values.index_select(0, kept)
    return rows, values
