"""The weight of the embedding that is tuned, and the values it starts from."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from ..errors import StrategyError

__all__ = [
    "check_not_renormed",
    "forget_start",
    "hold_rows",
    "keep_start",
    "start_of",
    "table_weight",
]


def table_weight(embedding: nn.Module) -> nn.Parameter:
    """Return the weight `(V, D)` of an embedding module.

    Raises:
        StrategyError: the module has no two-dimensional parameter `weight`.
    """
    weight = getattr(embedding, "weight", None)
    if isinstance(weight, torch.Tensor) and not isinstance(weight, nn.Parameter):
        raise StrategyError(
            f"the weight of {type(embedding).__name__} is no parameter but computed, as by "
            "weight_norm, pruning or another parametrization, so its rows can't be tuned by rows",
            value=embedding,
            remedy="take the parametrization off, such as with "
            "torch.nn.utils.parametrize.remove_parametrizations(embedding, 'weight')",
        )
    if not isinstance(weight, nn.Parameter) or weight.ndim != 2:
        raise StrategyError(
            f"{type(embedding).__name__} has no weight of shape (V, D)",
            value=embedding,
            remedy="pass the nn.Embedding itself, such as model.embedding",
        )
    return weight


def check_not_renormed(model: nn.Module, weights: Collection[nn.Parameter]) -> None:
    """Check that no module with one of these weights changes its rows in the forward pass.

    Raises:
        StrategyError: an `nn.Embedding` or `nn.EmbeddingBag` has a `max_norm`.
    """
    for module in model.modules():
        if "max_norm" not in module.__dict__ and not hasattr(type(module), "max_norm"):
            continue  # in a fraction of the time that torch takes for an attribute that is missing
        most = getattr(module, "max_norm", None)
        if most is not None and not set(weights).isdisjoint(module.parameters(recurse=False)):
            name = next(name for name, one in model.named_modules() if one is module)
            raise StrategyError(
                f"{name or 'the embedding'} has max_norm={most}, which rescales rows of its table "
                "in the forward pass, frozen ones too",
                value=most,
                remedy=f"build it without max_norm; MaxNorm(max_norm={most:g}) limits rows as they "
                "train: strategy | MaxNorm(...)",
            )


def hold_rows(embedding: nn.Module, weight: nn.Parameter) -> None:
    """Put the hook that freezes special tokens back on the weight.

    A copy of the embedding has lost it.
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
