"""The checks of `RowAdamW`: options, states and gradients that don't fit."""

from __future__ import annotations

from typing import Any

import torch

from ..errors import StrategyError
from .row_state import BY_ROW, State

__all__ = ["check_group", "check_state", "check_states", "takes_part"]


def check_group(group: State, max_grad_norm: float | None) -> None:
    """Check the numbers of a parameter group.

    Raises:
        StrategyError: one is out of its range.
    """
    for name in ("lr", "eps", "weight_decay"):
        if not group[name] >= 0:  # not a number fails too
            raise StrategyError("must be 0 or more", option=name, value=group[name])
    if not all(0 <= beta < 1 for beta in group["betas"]):
        raise StrategyError("must be 0 or more and below 1", option="betas", value=group["betas"])
    limits = {"max_grad_norm": max_grad_norm, "max_row_grad_norm": group["max_row_grad_norm"]}
    for name, limit in limits.items():
        if limit is not None and not limit > 0:
            raise StrategyError("must be above 0, or None for no limit", option=name, value=limit)


def takes_part(parameter: torch.Tensor, group: State, exchange: bool) -> bool:
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
            remedy="build RowAdamW([{'params': [weight], 'row_wise': True}, ...], exchange=True)",
        )
    return parameter.requires_grad


def check_states(saved: State, groups: list[State]) -> None:
    """Check a `state_dict` that is about to be loaded for the parameters of groups.

    Raises:
        StrategyError: it comes from an optimizer of another class, or from parameters of other
            shapes.
    """
    if not all("row_wise" in group for group in saved["param_groups"]):
        raise StrategyError(
            "the state comes from another optimizer: a group has no row_wise",
            remedy="load the state of a RowAdamW",
        )
    ids = [i for group in saved["param_groups"] for i in group["params"]]
    parameters = [p for group in groups for p in group["params"]]
    if len(ids) == len(parameters):  # otherwise torch says what is wrong
        for i, parameter in zip(ids, parameters, strict=True):
            check_state(saved["state"].get(i, {}), parameter, i)


def check_state(entries: State, weight: torch.Tensor, number: int) -> None:
    """Check entries that are about to be loaded for a weight `(V, D)`.

    Raises:
        StrategyError: they don't fit the weight.
    """
    if "rows" not in entries:
        return
    where = f"optimizer state of parameter {number}"
    rows = entries["rows"]
    for name in BY_ROW:
        if name in entries or name != "decay_seen":
            _check_shape(entries.get(name), name, len(rows), weight, where)
    if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= len(weight)):
        raise StrategyError(
            f"rows up to {int(rows.max()):,}, but the table has {len(weight):,} rows",
            where=where,
            value=int(rows.max()),
            remedy="load it into an optimizer over the table it was saved with",
        )
    if len(rows.unique()) < len(rows):
        raise StrategyError("a row occurs twice, so it is damaged", where=where)


def _check_shape(value: Any, name: str, count: int, weight: torch.Tensor, where: str) -> None:
    if value is None:
        raise StrategyError(
            f"rows, but no {name}", where=where, remedy="load a complete optimizer state"
        )
    shape = (count, *weight.shape[1:]) if name.startswith("exp_avg") else (count,)
    if tuple(value.shape) != shape:
        raise StrategyError(
            f"{name} has shape {tuple(value.shape)}, which for {count:,} rows of a table "
            f"{tuple(weight.shape)} must be {shape}",
            where=where,
            value=tuple(value.shape),
            remedy="load it into an optimizer over the parameters it was saved with",
        )
