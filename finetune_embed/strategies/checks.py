"""The checks that catch a table that silently never trains."""

from __future__ import annotations

import torch
from torch import nn

from ..errors import StrategyError
from .base import Strategy
from .layout import EMBEDDING
from .row_rules import rule_of
from .weights import table_weight

__all__ = ["check_moved", "check_optimizer"]


def check_optimizer(
    optimizer: torch.optim.Optimizer, embedding: nn.Module, strategy: Strategy | None = None
) -> None:
    """Check that an optimizer will train a table as a strategy requires.

    The table may be frozen now. But an optimizer that was built without it, because it took only
    the parameters with `requires_grad`, would never train it, silently.

    Args:
        optimizer: the optimizer.
        embedding: the `nn.Embedding` that is tuned.
        strategy: the strategy its groups should come from.

    Raises:
        StrategyError: the table is in none of the optimizer's groups, is there by value but not
            by identity, or is in a group that `strategy.param_groups` did not make.

    Example:
        >>> words, output = torch.nn.Embedding(9, 4), torch.nn.Linear(4, 2)
        >>> forgotten = fe.RowAdamW(output.parameters())
        >>> try:
        ...     fe.check_optimizer(forgotten, words)
        ... except fe.StrategyError as error:
        ...     print(error.what)
        the embedding (9, 4) is in none of the optimizer's 1 groups, so it would never train
    """
    weight = table_weight(embedding)
    groups = optimizer.param_groups
    group = next((g for g in groups if any(p is weight for p in g["params"])), None)
    if group is None:
        raise StrategyError(
            f"the embedding {tuple(weight.shape)} is in none of the optimizer's {len(groups)} "
            "groups, so it would never train",
            value=optimizer,
            remedy="build it with strategy.param_groups(model, embedding, lr=lr)",
        )
    if strategy is not None and group.get("name") != EMBEDDING:
        raise StrategyError(
            f"the embedding {tuple(weight.shape)} is in the optimizer's group "
            f"{group.get('name')!r}, which {strategy} did not make, so its rate would be lost",
            value=optimizer,
            remedy="build it with strategy.param_groups(model, embedding, lr=lr)",
        )


def check_moved(embedding: nn.Module, before: torch.Tensor, lr: float) -> int:
    """Check after the first epoch with an open table that training has moved it.

    Args:
        embedding: the `nn.Embedding` that is tuned.
        before: a copy of its weight `(V, D)` from before that epoch.
        lr: the learning rate of the table in that epoch. At 0 nothing is expected to move.

    Returns:
        The number of rows that moved.

    Raises:
        StrategyError: the table is open, its rate is above 0, and not one row moved.

    Example:
        >>> embedding = torch.nn.Embedding(9, 4)
        >>> before = embedding.weight.detach().clone()
        >>> _ = torch.nn.init.zeros_(embedding.weight[:2].detach())  # training
        >>> fe.check_moved(embedding, before, lr=0.1)
        2
    """
    weight = table_weight(embedding)
    moved = int((weight.detach() != before).any(dim=1).sum())
    if moved or lr <= 0 or not weight.requires_grad:
        return moved
    rule = rule_of(weight)
    if rule is not None and rule.train is not None and not bool(rule.train.any()):
        reason = "the strategy's row mask is False for every row"
        remedy = "choose rows that are in the table"
    elif weight.grad is None:
        reason = "it has no gradient, so the loss does not depend on it"
        remedy = "use the embedding in the model's forward pass"
    elif not bool(weight.grad.to_dense().any()):
        reason = "its gradient is exactly 0, as after units that no longer activate"
        remedy = "use a smaller learning rate, or another head"
    else:
        reason = "it has a gradient, so no optimizer steps it"
        remedy = "find out why with check_optimizer(optimizer, embedding)"
    raise StrategyError(
        f"the table {tuple(weight.shape)} was open for an epoch at lr={lr:g} and not one of its "
        f"rows moved: {reason}",
        value=lr,
        remedy=remedy,
    )
