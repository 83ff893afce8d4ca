"""The checks of the optimizers: options, states and gradients that don't fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch

from ..errors import StrategyError
from .row_state import Moment, State

__all__ = ["check_group", "check_state", "check_states", "takes_part"]

#: Options that are numbers of 0 or more, and those that must also be below 1.
NOT_NEGATIVE = ("lr", "eps", "weight_decay", "initial_accumulator_value")
BELOW_ONE = "must be 0 or more and below 1"


def check_group(group: State, max_grad_norm: float | None) -> None:
    """Check the numbers of a parameter group.

    Raises:
        StrategyError: one is out of its range.
    """
    for name in NOT_NEGATIVE:
        if name in group and not group[name] >= 0:  # not a number fails too
            raise StrategyError("must be 0 or more", option=name, value=group[name])
    if not 0 <= group.get("momentum", 0) < 1:
        raise StrategyError(BELOW_ONE, option="momentum", value=group["momentum"])
    betas = group.get("betas", (0, 0))
    if len(betas) != 2:
        raise StrategyError("must be two numbers", option="betas", value=betas)
    if not all(0 <= beta < 1 for beta in betas):
        raise StrategyError(BELOW_ONE, option="betas", value=betas)
    if not isinstance(group.get("per_row", False), bool):
        raise StrategyError("must be True or False", option="per_row", value=group["per_row"])
    limits = {"max_grad_norm": max_grad_norm, "max_row_grad_norm": group["max_row_grad_norm"]}
    for name, limit in limits.items():
        if limit is not None and not limit > 0:
            raise StrategyError("must be above 0, or None for no limit", option=name, value=limit)


def takes_part(parameter: torch.Tensor, group: State, exchange: bool, optimizer: str) -> bool:
    """Return whether a step concerns a row-wise parameter: on all ranks or on none.

    Raises:
        StrategyError: its gradient would have to be exchanged, and its group is not row-wise.
    """
    if not exchange:
        return parameter.grad is not None
    if not group["row_wise"]:
        raise StrategyError(
            f"a table {tuple(parameter.shape)} with a sparse gradient is in a group without "
            "row_wise=True; with exchange=True all processes must know of it, also those without "
            "a gradient",
            value=tuple(parameter.shape),
            remedy=(
                f"build {optimizer}",
                "([{'params': [weight], 'row_wise': True}, ...], exchange=True)",
            ),
        )
    return parameter.requires_grad


class Loading(Protocol):
    """What the checks ask of an optimizer that is about to load a state."""

    options: tuple[str, ...]
    param_groups: list[State]

    def moments(self, group: State) -> Mapping[str, Moment]:
        """Return what it keeps of each gradient."""


def check_states(saved: State, optimizer: Loading) -> None:
    """Check a `state_dict` that an optimizer is about to load.

    Raises:
        StrategyError: it comes from an optimizer of another class, or from parameters of other
            shapes.
    """
    kind = type(optimizer).__name__
    for group in saved["param_groups"]:
        for name in optimizer.options:
            if name not in group:
                raise StrategyError(
                    f"the state comes from another optimizer: a group has no {name}",
                    remedy=f"load the state of a {kind}",
                )
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    known = [(i, group) for group in saved["param_groups"] for i in group["params"]]
    if len(known) == len(parameters):  # otherwise torch says what is wrong
        for (i, group), parameter in zip(known, parameters, strict=True):
            entries = saved["state"].get(i, {})
            check_state(entries, parameter, i, optimizer.moments(group))


def check_state(
    entries: State, weight: torch.Tensor, number: int, moments: Mapping[str, Moment]
) -> None:
    """Check entries that are about to be loaded for a weight `(V, D)`.

    Raises:
        StrategyError: they don't fit the weight.
    """
    if "rows" not in entries:
        return
    where = f"optimizer state of parameter {number}"
    rows = entries["rows"]
    shapes = {name: moment.shape(weight, len(rows)) for name, moment in moments.items()}
    for name, shape in {"rows": (len(rows),), "step": (len(rows),), **shapes}.items():
        _check_shape(entries.get(name), name, shape, weight, where)
    if "decay_seen" in entries:
        _check_shape(entries["decay_seen"], "decay_seen", (len(rows),), weight, where)
    if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= len(weight)):
        raise StrategyError(
            f"rows up to {int(rows.max()):,}, but the table has {len(weight):,} rows",
            where=where,
            value=int(rows.max()),
            remedy="load it into an optimizer over the table it was saved with",
        )
    if len(rows.unique()) < len(rows):
        raise StrategyError("a row occurs twice, so it is damaged", where=where)


def _check_shape(
    value: Any, name: str, shape: tuple[int, ...], weight: torch.Tensor, where: str
) -> None:
    if value is None:
        raise StrategyError(
            f"rows, but no {name}", where=where, remedy="load a complete optimizer state"
        )
    if tuple(value.shape) != shape:
        raise StrategyError(
            f"{name} has shape {tuple(value.shape)}, which for {shape[0]:,} rows of a table "
            f"{tuple(weight.shape)} must be {shape}",
            where=where,
            value=tuple(value.shape),
            remedy="load it into an optimizer over the parameters it was saved with",
        )
