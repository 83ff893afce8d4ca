"""The arguments of heads, checked before torch sees them."""

from __future__ import annotations

from operator import index
from typing import Any

import torch
from torch import nn

from ..errors import DataError

__all__ = ["check_dropout", "check_size", "check_table", "dtype_of"]

MOST = 1_000_000


def check_table(embedding: Any, num_labels: Any) -> None:
    """Check what every head is made from: a table and the number of labels.

    Raises:
        DataError: the table is not a module with vectors, or there are no labels.
    """
    if not isinstance(embedding, nn.Module) or not hasattr(embedding, "embedding_dim"):
        raise DataError(
            f"must be an nn.Embedding, not {type(embedding).__name__}",
            option="embedding",
            value=...,
            remedy="make one from a table: to_embedding(table, vocab)",
        )
    check_size("num_labels", num_labels)


def check_size(name: str, value: Any, least: int = 1) -> None:
    """Check that a value is a whole number of at least `least`.

    Raises:
        DataError: it is not.
    """
    try:
        is_whole, size = not isinstance(value, bool), index(value)
    except (TypeError, ValueError, RuntimeError):  # tensors raise all three
        is_whole, size = False, 0
    if not is_whole or size > MOST:
        what = f"must be a whole number from {least} to {MOST:,}"
    elif size < least:
        what = f"must be {least} or more"
    else:
        return
    raise DataError(what, option=name, value=value)


def check_dropout(value: Any) -> None:
    """Check that a value is a dropout rate.

    Raises:
        DataError: it is not.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < 1:
        raise DataError("must be a number of 0 or more and below 1", option="dropout", value=value)


def dtype_of(embedding: nn.Module) -> torch.dtype | None:
    """Return the number type of a table, which that of its head is; None if it does not say."""
    weight = getattr(embedding, "weight", None)
    return weight.dtype if isinstance(weight, torch.Tensor) else None
