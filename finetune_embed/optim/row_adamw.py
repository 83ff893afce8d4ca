"""`RowAdamW`: AdamW by rows for tables, AdamW as ever for all the rest."""

from __future__ import annotations

from collections.abc import Callable
from typing import overload

import torch
from torch.optim.optimizer import ParamsT

from ..strategies import RowRule
from ..strategies.gates import gate_of
from ..strategies.row_rules import claim, marks_of, rule_of
from .checks import check_group, check_state, takes_part
from .dense import step_dense
from .exchange import world_size
from .gradients import RowGradient, clip_coefficient, total_norm
from .kernels import adam_rows, count_steps
from .plain_optimizer import PlainOptimizer
from .row_operations import apply_rule, log_decay, pull_to_anchor
from .row_state import RowState, State, exact

__all__ = ["RowAdamW"]


class RowAdamW(PlainOptimizer):
    r"""AdamW (Loshchilov and Hutter 2019) that moves only the rows a batch has a gradient for.

    A parameter is treated by rows if its gradient is sparse (`nn.Embedding(sparse=True)`) or its
    group has `row_wise=True`, as the table's group of `strategy.param_groups(...)` has; all others
    are treated as `torch.optim.AdamW` does. For a row-wise parameter `(V, D)`:

    - A row is *touched* by a step if its summed gradient is not all zero. Rows that are not
      touched don't move, and their moments don't age. Only rows that were ever touched have
      moments at all, so that a step, the state and a checkpoint cost what those rows cost.
    - Each row has its own step count `n`, which bias correction uses. When every row is touched in
      every step, this is AdamW.
    - With `second_moment="row"` a row has one second moment, the moving mean of the mean of its
      squared gradient over `D`, in place of `D` of them, as `PARTIAL_ROWWISE_ADAM` of FBGEMM's
      embedding tables (`fbgemm_gpu`) has it. State is about half; the numbers are other ones.
    - Weight decay is that of AdamW, with the steps that a row has missed since it was last touched
      made up for when it is touched again, each at the rate of its time, and for all such rows by
      `flush()`. A row that was never touched never decays.
    - A `RowRule` with decay is made up for in the same way, but its decay comes after the update.
      A table has either it or weight decay: with both, `step` raises, since the order of the two
      in missed steps is not defined. The rate times the decay must be below 1.
    - The weight's `RowRule` and gate are applied after the update, to touched rows: update x
      scale x gate, decay toward the anchor, shrink, radius, max_norm. Rows outside the mask
      `train`, and those that are not open yet, are not touched.

    Of any other parameter the gate is a factor on the learning rate.

    The same gradient gives the same numbers whether it is dense or sparse, coalesced or not. (Where
    a word occurs twice in a batch, torch itself may sum a dense gradient in another order than a
    sparse one, which shows in the last bit.)

    Gradients are clipped here, since `torch.nn.utils.clip_grad_norm_` refuses sparse ones: first
    each touched row by itself to `max_row_grad_norm`, then all gradients together to
    `max_grad_norm`, both by that function's formula. `parameter.grad` stays as it was. Under a
    `torch.amp.GradScaler` nothing is special: `scaler.step(optimizer)` unscales first.

    With several processes, `DistributedDataParallel` averages dense gradients; a table is kept out
    of it, and `exchange=True` averages the rows that the ranks touched inside `step`, before
    clipping. Every rank has to call `step` equally often, also one whose batch has no gradient for
    the table; under a gradient scaler, which skips steps by what its own rank sees, that is for the
    caller to see to.

    Args:
        params: parameters or groups, as for any torch optimizer.
        lr: the learning rate.
        betas: the decay rates of the two moments.
        eps: added to the root of the second moment.
        weight_decay: decoupled weight decay.
        second_moment: of row-wise parameters, `element` or `row`.
        max_row_grad_norm: the largest norm of a row's gradient; None for no limit.
        max_grad_norm: the largest norm of all gradients together, those of row-wise and of other
            parameters; None for no limit. For all groups.
        exchange: whether the gradients of groups with `row_wise=True` are averaged over the
            processes of `torch.distributed`, where there are several.

    Attributes:
        grad_norm: the norm of all gradients in the last step, after the clipping of rows and before
            that of all, float64 `()`; None without `max_grad_norm` (`math.inf` measures and clips
            nothing).
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        second_moment: str = "element",
        max_row_grad_norm: float | None = None,
        max_grad_norm: float | None = None,
        exchange: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "row_wise": False,
            "second_moment": second_moment,
            "max_row_grad_norm": max_row_grad_norm,
        }
        self.max_grad_norm, self.exchange = max_grad_norm, exchange
        self.grad_norm: torch.Tensor | None = None
        self._row_states: dict[torch.Tensor, RowState] = {}
        super().__init__(params, defaults)

    def add_param_group(self, param_group: State) -> None:
        """Add a group of parameters; see `torch.optim.Optimizer`.

        Raises:
            ValueError: an option of the group is out of its range.
        """
        check_group(self.defaults | param_group, self.max_grad_norm)
        super().add_param_group(param_group)
        for parameter in self.param_groups[-1]["params"]:
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
                both weight decay and a rule with decay; or a sparse gradient would have to be
                exchanged, but its group does not have `row_wise=True`.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        tables: list[tuple[torch.Tensor, RowGradient, State]] = []
        others: list[tuple[torch.Tensor, torch.Tensor, State]] = []
        exchange = self.exchange and world_size() > 1
        for group in self.param_groups:
            for parameter in group["params"]:
                grad = parameter.grad
                if self._is_row_wise(parameter, group):
                    if takes_part(parameter, group, exchange):
                        rule = rule_of(parameter)
                        log_decay(group["lr"], group["weight_decay"], rule or RowRule())
                        rows = RowGradient.of(parameter, grad, rule, exchange)
                        if rows is not None:
                            tables.append((parameter, rows, group))
                elif grad is not None:
                    others.append((parameter, grad, group))
        others = self._clip(tables, others)
        for table, rows, group in tables:
            self._step_rows(table, rows, group)
        for parameter, grad, group in others:
            step_dense(parameter, grad, self.state[parameter], group)
        return loss

    def _clip(
        self,
        tables: list[tuple[torch.Tensor, RowGradient, State]],
        others: list[tuple[torch.Tensor, torch.Tensor, State]],
    ) -> list[tuple[torch.Tensor, torch.Tensor, State]]:
        """Clip rows, then everything; the gradients of the other parameters are copied for it."""
        for _, rows, group in tables:
            if group["max_row_grad_norm"] is not None:
                rows.scale(clip_coefficient(rows.squares.sqrt(), group["max_row_grad_norm"]))
        if self.max_grad_norm is None:
            return others
        self.grad_norm = total_norm([rows for _, rows, _ in tables], [g for _, g, _ in others])
        factor = clip_coefficient(self.grad_norm, self.max_grad_norm)
        for _, rows, _ in tables:
            rows.scale(factor)
        return [(p, grad * factor.to(grad), group) for p, grad, group in others]

    def _step_rows(self, weight: torch.Tensor, grad: RowGradient, group: State) -> None:
        """Update the touched rows of a weight `(V, D)`."""
        state, rows = self._row_state(weight, group), grad.rows
        rule, lr = rule_of(weight) or RowRule(), group["lr"]
        today = log_decay(lr, group["weight_decay"], rule)
        if today:
            state.advance_decay(today)
        if not len(rows):
            return
        slots, entries, betas = state.slots(rows), state.entries, group["betas"]
        rate, eps = count_steps(
            entries["step"], slots, betas, lr * gate_of(weight), group["eps"], weight.dtype
        )
        decay = None
        if "decay_seen" in entries:
            owed = state.owed(slots, entries["step"].index_select(0, slots) == 1, today)
            if rule.decay:  # today's comes after the update
                pull_to_anchor(weight, rows, owed - today, rule)
            else:  # AdamW decays, then updates
                decay = owed.exp().to(weight.dtype)
        if rule.scale is not None:
            rate = rate * rule.scale[rows].to(rate.dtype)
        second: torch.Tensor | None = entries["exp_avg_sq"]
        if second is not None and second.ndim == 1:
            mean = (grad.squares / weight.shape[1]).to(second.dtype)
            moments = second.index_select(0, slots).lerp_(mean, 1 - betas[1])
            second.index_copy_(0, slots, moments)
            rate, second = rate / (moments.sqrt() + eps).to(rate.dtype), None
        clip = None if grad.clip is None else grad.clip.to(weight.dtype)
        first = entries["exp_avg"]
        adam_rows(
            weight,
            rows,
            grad.parts,
            grad.groups,
            first,
            second,
            slots,
            rate,
            eps,
            clip,
            decay,
            betas,
        )
        apply_rule(weight, rows, rule, lr)

    def _is_row_wise(self, parameter: torch.Tensor, group: State) -> bool:
        grad = parameter.grad
        return (
            group["row_wise"]
            or (grad is not None and grad.is_sparse)
            or "rows" in self.state.get(parameter, {})
        )

    def _row_state(self, weight: torch.Tensor, group: State) -> RowState:
        entries, known = self.state[weight], self._row_states.get(weight)
        if entries and "rows" not in entries:
            raise ValueError(
                f"a table {tuple(weight.shape)} has a sparse gradient after dense ones, whose "
                "moments are of another kind; give its group row_wise=True from the start"
            )
        if known is None or not known.holds(entries):
            known = self._row_states[weight] = RowState(weight, entries, group["second_moment"])
        return known

    @torch.no_grad()
    def flush(self) -> None:
        """Make up for the decay that rows have missed since they were last touched.

        Rows that owed some are held to the rule's radius and max_norm once more. Call it before a
        table is measured or saved. Without decay it does nothing. A table that is frozen stays as
        it is, and what it owes is made up for once it is open again.
        """
        for group in self.param_groups:
            for weight in group["params"]:
                entries = self.state.get(weight)
                if not entries or "decay_seen" not in entries or not weight.requires_grad:
                    continue
                rows, rule = entries["rows"], rule_of(weight) or RowRule()
                slots = torch.arange(len(rows), device=rows.device)
                owed = self._row_state(weight, group).owed(slots)
                pull_to_anchor(weight, rows, owed, rule if rule.decay else RowRule())
                apply_rule(weight, rows[owed != 0], rule, lr=0.0)

    def state_dict(self) -> State:
        """Return a copy of the state, tensors of rows ever touched, and groups of plain values."""
        packed = super().state_dict()
        packed["state"] = {i: exact(entries) for i, entries in packed["state"].items()}
        return packed

    def load_state_dict(self, state_dict: State) -> None:
        """Load what `state_dict()` returned: moments in the parameter's dtype, all else as it was.

        As in every torch optimizer, the options of groups come with it, and those of the optimizer
        itself (`max_grad_norm`, `exchange`) do not.

        Args:
            state_dict: the state of an optimizer over the same parameters.

        Raises:
            ValueError: the state has a slot for every row of a table, as older versions had, is of
                parameters of other shapes, or of an optimizer of another class.
        """
        saved_ids = [i for group in state_dict["param_groups"] for i in group["params"]]
        parameters = [p for group in self.param_groups for p in group["params"]]
        if len(saved_ids) == len(parameters):  # otherwise torch says what is wrong
            for i, parameter in zip(saved_ids, parameters, strict=True):
                check_state(state_dict["state"].get(i, {}), parameter, i)
        if not all("row_wise" in group for group in state_dict["param_groups"]):
            raise ValueError(
                "the state is that of another optimizer: a group has no row_wise; load the "
                "state_dict() of a RowAdamW"
            )
        super().load_state_dict(state_dict)  # which casts all state to the parameter's dtype
        for i, parameter in zip(saved_ids, parameters, strict=True):
            for name, value in state_dict["state"].get(i, {}).items():
                if isinstance(value, torch.Tensor):
                    alike = name.startswith("exp_avg") and value.ndim == parameter.ndim
                    kind = parameter.dtype if alike else value.dtype
                    self.state[parameter][name] = value.to(parameter.device, kind, copy=True)

    def __getstate__(self) -> State:
        ours = ("max_grad_norm", "exchange", "grad_norm")
        marks = [marks_of(p) for group in self.param_groups for p in group["params"]]
        told = {name: getattr(self, name) for name in ours}
        return {**super().__getstate__(), **told, "marks": marks}

    def __setstate__(self, state: State) -> None:
        marks = state.pop("marks", [])  # copies of parameters have none
        super().__setstate__(state)
        parameters = (p for group in self.param_groups for p in group["params"])
        for parameter, given in zip(parameters, marks, strict=False):
            vars(parameter).update(given)
        self._row_states = {}
