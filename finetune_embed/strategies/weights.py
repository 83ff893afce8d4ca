"""The weight of the embedding that is tuned, and the values it starts from."""

from __future__ import annotations

from typing import Any

from torch import nn

from ..errors import StrategyError

__all__ = ["forget_start", "hold_rows", "keep_start", "start_of", "table_weight"]


def table_weight(embedding: nn.Module) -> nn.Parameter:
    """Return the weight `(V, D)` of an embedding module.

    Raises:
        StrategyError: the module has no two-dimensional parameter `weight`.
    """
    weight = getattr(embedding, "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.ndim != 2:
        raise StrategyError(
            f"{type(embedding).__name__} has no weight of shape (V, D)",
            value=embedding,
            remedy="pass the nn.Embedding itself, such as model.embedding",
        )
    return weight


def hold_rows(embedding: nn.Module, weight: nn.Parameter) -> None:
    """Make sure that rows of special tokens that don't train are held.

    They are held by a hook on the weight, which a copy of the embedding has lost.
    """
    held: Any = getattr(embedding, "fixed_rows", None)
    if held is not None:
        held.attach(weight)


def keep_start(embedding: nn.Module) -> None:
    """Keep a copy of a table, which `param_groups` then uses as its start."""
    weight = table_weight(embedding)
    start = nn.Parameter(weight.detach().clone(), requires_grad=False)
    vars(start).update(vars(weight))
    vars(weight)["row_start"] = start


def forget_start(embedding: nn.Module) -> None:
    """Drop the copy that `keep_start` made, if there is one."""
    vars(table_weight(embedding)).pop("row_start", None)


def start_of(weight: nn.Parameter) -> nn.Parameter:
    """Return the copy that `keep_start` made, or else the weight itself."""
    start: nn.Parameter = getattr(weight, "row_start", weight)
    return start
