"""`RowOptimizer`: the step of an optimizer by rows, whatever its update is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import overload

import torch
from torch.optim.optimizer import ParamsT

from ..errors import StrategyError
from ..strategies import RowRule
from ..strategies.gates import gate_of
from ..strategies.row_rules import claim, marks_of, rule_of
from ..strategies.watch import check_step, note_write
from .checks import check_group, check_states, takes_part
from .exchange import world_size
from .gradients import RowGradient, clip_coefficient, total_norm
from .plain_optimizer import PlainOptimizer
from .row_operations import apply_rule, log_decay, pull_to_anchor
from .row_state import Moment, RowState, State, exact
from .touched import Touched

__all__ = ["RowOptimizer"]


class RowOptimizer(PlainOptimizer):
    r"""The base of `RowAdamW`, `RowAdagrad` and `RowSGD`, which move only the rows of a batch.

    A parameter is treated by rows if its gradient is sparse (`nn.Embedding(sparse=True)`), if its
    group has `row_wise=True`, as the table's group of `strategy.param_groups(...)` has, or if it
    has a `RowRule`; all others are treated as in torch's optimizer of that name. For a row-wise
    parameter `(V, D)`:

    - A row is *touched* by a step if its summed gradient is not all zero. Rows that are not
      touched don't move, and their moments don't age. Only rows that were ever touched have
      moments, so the costs of a step, of the state and of a checkpoint depend on those rows only.
    - Each row has its own step count. When every row is touched in every step, this is torch's
      optimizer.
    - Weight decay is decoupled, as in AdamW: before the update, a row is multiplied by one minus
      the rate times the decay. A row makes up for the steps it has missed, each at the rate of that
      step, when it is touched again; `flush()` does so for all rows that owe decay. A row that was
      never touched never decays.
    - The decay of a `RowRule` is made up for in the same way, but comes after the update. A table
      has either it or weight decay: with both, `step` raises, since their order in missed steps is
      not defined. The rate times the decay must be below 1.
    - The weight's `RowRule` and gate apply after the update, to touched rows: update x scale x
      gate, decay toward the anchor, shrink, radius, max_norm. Rows outside the mask `train`, and
      those that are not open yet, are not touched.

    For all other parameters the gate is a factor on the learning rate.

    The same gradient gives the same numbers whether it is dense or sparse, coalesced or not. (If
    a word occurs twice in a batch, torch itself may sum a dense gradient in another order than a
    sparse one, which shows in the last bit.)

    Gradients are clipped here, since `torch.nn.utils.clip_grad_norm_` refuses sparse ones: first
    each touched row by itself to `max_row_grad_norm`, then all gradients together to
    `max_grad_norm`, both by that function's formula. `parameter.grad` stays unchanged. A
    `torch.amp.GradScaler` works as usual: `scaler.step(optimizer)` unscales first.

    With several processes, `DistributedDataParallel` averages dense gradients. Keep a table out of
    it; with `exchange=True`, `step` averages the rows that the ranks touched, before clipping.
    Every rank must call `step` the same number of times, even if its batch has no gradient for the
    table. Gradient scalers skip steps by what their own rank sees, so you must make them agree.

    A subclass defines `moments`, `step_rows` and `step_dense`.

    Args:
        params: parameters or groups, as for any torch optimizer.
        defaults: the options of groups that don't set them, with `lr` and `weight_decay`.
        max_row_grad_norm: the largest norm of a row's gradient; None for no limit.
        max_grad_norm: the largest norm of all gradients together, those of row-wise and of other
            parameters, in all groups; None for no limit.
        exchange: whether the gradients of groups with `row_wise=True` are averaged over the
            processes of `torch.distributed`, if there are several.

    Attributes:
        grad_norm: the norm of all gradients in the last step, after the clipping of rows and before
            that of all, float64 `()`; None without `max_grad_norm` (`math.inf` measures and clips
            nothing).

    Raises:
        StrategyError: an option is out of its range. It is also a `ValueError`.
    """

    applies_row_rules = True  #: for the check before a step of any optimizer

    def __init__(
        self,
        params: ParamsT,
        defaults: State,
        max_row_grad_norm: float | None,
        max_grad_norm: float | None,
        exchange: bool,
    ) -> None:
        self.max_grad_norm, self.exchange = max_grad_norm, exchange
        self.grad_norm: torch.Tensor | None = None
        self._row_states: dict[torch.Tensor, RowState] = {}
        every = {**defaults, "row_wise": False, "max_row_grad_norm": max_row_grad_norm}
        self.options = tuple(every)  #: of a group; torch adds to `defaults` when it loads a state
        super().__init__(params, every)

    def moments(self, group: State) -> Mapping[str, Moment]:
        """Return what is kept of each gradient of a group's parameters, by name."""
        raise NotImplementedError

    def step_rows(self, touched: Touched, group: State) -> None:
        """Update the touched rows of a table and their moments: decay, then update x scale x lr."""
        raise NotImplementedError

    def step_dense(
        self,
        parameters: list[torch.Tensor],
        grads: list[torch.Tensor],
        states: list[State],
        lr: float,
        group: State,
    ) -> None:
        """Update parameters of a group that are not treated by rows.

        Args:
            parameters: updated in place.
            grads: the clipped gradient of each.
            states: the moments of each, updated in place, and the number of its steps with this
                one.
            lr: the learning rate times the gate.
            group: its options.
        """
        raise NotImplementedError

    def add_param_group(self, param_group: State) -> None:
        """Add a group of parameters; see `torch.optim.Optimizer`.

        Raises:
            StrategyError: an option of the group is out of its range.
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
            closure: a function that evaluates the model again and returns the loss; optional.

        Raises:
            StrategyError: the rate of a row-wise parameter times its decay is 1 or more, or it has
                both weight decay and a rule with decay; or a sparse gradient would have to be
                exchanged, but its group does not have `row_wise=True`.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
            check_step(self, (), {})  # again, now that there are gradients
        tables: list[tuple[torch.Tensor, RowGradient, State]] = []
        others: list[tuple[torch.Tensor, torch.Tensor, State]] = []
        exchange = self.exchange and world_size() > 1
        for group in self.param_groups:
            for parameter in group["params"]:
                grad = parameter.grad
                if self._is_row_wise(parameter, group):
                    if takes_part(parameter, group, exchange, type(self).__name__):
                        rule = rule_of(parameter)
                        log_decay(group["lr"], group["weight_decay"], rule or RowRule())
                        rows = RowGradient.of(parameter, grad, rule, exchange)
                        if rows is not None:
                            tables.append((parameter, rows, group))
                elif grad is not None:
                    others.append((parameter, grad, group))
        others = self._clip(tables, others)
        for table, rows, group in tables:
            self._step_table(table, rows, group)
        for (_, gate), members in groupby(others, lambda one: (id(one[2]), gate_of(one[0]))):
            parameters, grads, (group, *_) = map(list, zip(*members, strict=True))
            states = [self._dense_state(parameter, group) for parameter in parameters]
            self.step_dense(parameters, grads, states, group["lr"] * gate, group)
        return loss

    def _clip(
        self,
        tables: list[tuple[torch.Tensor, RowGradient, State]],
        others: list[tuple[torch.Tensor, torch.Tensor, State]],
    ) -> list[tuple[torch.Tensor, torch.Tensor, State]]:
        """Clip rows, then everything; return the other parameters with clipped copies."""
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

    def _step_table(self, weight: torch.Tensor, grad: RowGradient, group: State) -> None:
        """Update the touched rows of a weight `(V, D)`."""
        state, rows = self._row_state(weight, group), grad.rows
        rule, lr = rule_of(weight) or RowRule(), group["lr"]
        today = log_decay(lr, group["weight_decay"], rule)
        if today:
            state.advance_decay(today)
        if not len(rows):
            return
        slots = state.slots(rows)
        counts = state.count_step(slots)
        decay = None
        if "decay_seen" in state.entries:
            owed = state.owed(slots, counts == 1, today)
            if rule.decay:  # that of this step comes after the update
                pull_to_anchor(weight, rows, owed - today, rule)
            else:  # AdamW decays, then updates
                decay = owed.exp().to(weight.dtype)
        touched = Touched(
            weight,
            rows,
            grad.parts,
            grad.groups,
            None if grad.clip is None else grad.clip.to(weight.dtype),
            state.entries,
            slots,
            counts,
            lr * gate_of(weight),
            None if rule.scale is None else rule.scale[rows],
            decay,
        )
        self.step_rows(touched, group)
        apply_rule(weight, rows, rule, lr)
        note_write(weight)

    def _is_row_wise(self, parameter: torch.Tensor, group: State) -> bool:
        grad = parameter.grad
        return (
            group["row_wise"]
            or rule_of(parameter) is not None
            or (grad is not None and grad.is_sparse)
            or "rows" in self.state.get(parameter, {})
        )

    def _dense_state(self, parameter: torch.Tensor, group: State) -> State:
        """Return the state of a parameter that is not treated by rows, with this step counted."""
        state: State = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.int64)
        for name, moment in self.moments(group).items():
            if name not in state:
                state[name] = torch.full_like(parameter, moment.start)
        state["step"].fill_(int(state["step"]) + 1)  # faster than to add
        return state

    def _row_state(self, weight: torch.Tensor, group: State) -> RowState:
        entries, known = self.state[weight], self._row_states.get(weight)
        if entries and "rows" not in entries:
            raise StrategyError(
                f"a table {tuple(weight.shape)} has a sparse gradient after dense ones, whose "
                "moments are of another kind",
                value=tuple(weight.shape),
                remedy="set row_wise=True in its group from the start: "
                f"{type(self).__name__}([{{'params': [weight], 'row_wise': True}}])",
            )
        moments = self.moments(group)
        if known is None or not known.holds(entries, moments):
            known = self._row_states[weight] = RowState(weight, entries, moments)
        return known

    @torch.no_grad()
    def flush(self) -> None:
        """Make up for the decay that rows have missed since they were last touched.

        The rule's radius and max_norm then apply once more to the rows that owed some. Call it
        before a table is measured or saved. Without decay it does nothing. A frozen table stays
        unchanged; what it owes is made up for once it is open again.
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
                note_write(weight)

    def state_dict(self) -> State:
        """Return a copy of the state, with tensors of touched rows and groups of plain values."""
        packed = super().state_dict()
        packed["state"] = {i: exact(entries) for i, entries in packed["state"].items()}
        return packed

    def load_state_dict(self, state_dict: State) -> None:
        """Load what `state_dict()` returned: moments in the parameter's dtype, the rest unchanged.

        As in every torch optimizer, it contains the options of groups, but not those of the
        optimizer itself (`max_grad_norm`, `exchange`).

        Args:
            state_dict: the state of an optimizer over the same parameters.

        Raises:
            StrategyError: the state comes from parameters of other shapes or from an optimizer of
                another class.
        """
        check_states(state_dict, self)
        super().load_state_dict(state_dict)  # which casts all state to the parameter's dtype
        for saved, group in zip(state_dict["param_groups"], self.param_groups, strict=True):
            moments = self.moments(group)
            for i, parameter in zip(saved["params"], group["params"], strict=True):
                entries = state_dict["state"].get(i, {})
                for name, value in entries.items():
                    if isinstance(value, torch.Tensor):
                        kind = value.dtype
                        if name in moments:
                            by_row = "rows" in entries
                            kind = moments[name].dtype(parameter) if by_row else parameter.dtype
                        self.state[parameter][name] = value.to(parameter.device, kind, copy=True)

    def __getstate__(self) -> State:
        names = ("max_grad_norm", "exchange", "grad_norm", "options")
        marks = [marks_of(p) for group in self.param_groups for p in group["params"]]
        ours = {name: getattr(self, name) for name in names}
        return {**super().__getstate__(), **ours, "marks": marks}

    def __setstate__(self, state: State) -> None:
        marks = state.pop("marks", [])  # copies of parameters have none
        super().__setstate__(state)
        parameters = (p for group in self.param_groups for p in group["params"])
        for parameter, given in zip(parameters, marks, strict=False):
            vars(parameter).update(given)
        self._row_states = {}
