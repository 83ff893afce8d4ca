"""Features of texts without padding: pooled word vectors beside pooled convolutions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ..errors import DataError
from ..optim import POOLS, Filters, text_features
from .plain import is_plain

__all__ = ["check_pooling", "features_of"]


def features_of(
    embedding: nn.Module,
    ids: torch.Tensor,
    lengths: torch.Tensor,
    pools: Sequence[str],
    filters: Sequence[Filters] = (),
) -> torch.Tensor:
    """Return the features of packed texts by `text_features`.

    A custom embedding's forward is called; otherwise every different word is looked up once.
    """
    if is_plain(embedding):
        weight, sparse = embedding.weight, embedding.sparse
        return text_features(weight, ids, lengths, pools, filters, sparse)
    positions = torch.arange(len(ids), device=ids.device)
    return text_features(embedding(ids), positions, lengths, pools, filters)


def check_pooling(pooling: object) -> tuple[str, ...]:
    """Return the names that `pooling` joins by `+`.

    Raises:
        DataError: one is unknown, or is there twice.
    """
    names = tuple(pooling.split("+")) if isinstance(pooling, str) else ()
    if not names or len(set(names)) < len(names) or not set(names) <= set(POOLS):
        raise DataError(
            f"must be one or more of {', '.join(POOLS)}, joined by +",
            option="pooling",
            value=pooling,
            remedy="give, for example, pooling='mean+max'",
        )
    return names
