"""Features of texts without padding: pooled word vectors and pooled convolutions.

The `N` tokens of a batch have `U` different words. Every function takes the rows `(U, D)` of these
words once, and the number of each token's row, so that work and gradients grow with `U`, not `N`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from ..errors import DataError
from ..optim import distinct_rows, window_maxima
from .plain import is_plain

__all__ = ["POOLS", "Bags", "Filters", "bags_of", "check_pooling", "pooled"]

#: What `pooling` may join by `+`.
POOLS = ("mean", "max", "min")


class Bags(NamedTuple):
    """The texts of a batch, one after the other without padding.

    Attributes:
        rows: `(U, D)`, the vectors of the different words.
        numbers: int64 `(N,)`, the row of each token.
        lengths: int64 `(B,)`, the number of tokens of each text; may be 0.
    """

    rows: torch.Tensor
    numbers: torch.Tensor
    lengths: torch.Tensor

    @property
    def offsets(self) -> torch.Tensor:
        """Where each text begins, `(B,)`."""
        return self.lengths.cumsum(0) - self.lengths


def bags_of(embedding: nn.Module, ids: torch.Tensor, lengths: torch.Tensor) -> Bags:
    """Return the texts of packed ids `(N,)`; a custom embedding's forward is called."""
    if is_plain(embedding):
        rows, numbers = distinct_rows(embedding.weight, ids, embedding.sparse)
        return Bags(rows, numbers, lengths)
    return Bags(embedding(ids), torch.arange(len(ids), device=ids.device), lengths)


def pooled(bags: Bags, pools: Sequence[str]) -> list[torch.Tensor]:
    """Return the mean, maximum or minimum `(B, D)` of each text's vectors; 0 for an empty text."""
    features = []
    for name in pools:
        if name == "mean":
            rows, numbers = bags.rows, bags.numbers
            features.append(functional.embedding_bag(numbers, rows, bags.offsets, mode="mean"))
        else:
            sign = -1 if name == "min" else 1
            values = (sign * bags.rows)[:, None]
            features.append(sign * window_maxima(values, bags.numbers, bags.lengths))
    return features


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


class Filters(nn.Module):
    """Convolution filters of several widths over texts without padding.

    A filter is applied to the words of every window, a window begins at every word, and positions
    beyond the end of a text are zero. A text's feature is the maximum over its windows (Kim 2014),
    after ReLU.

    Args:
        size: the dimension `D` of the word vectors.
        filters: the number of filters `F` of each width.
        widths: the window sizes in words.
        dtype: the number type; torch's default when left out.
    """

    def __init__(
        self, size: int, filters: int, widths: Sequence[int], dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.widths = nn.ModuleList(
            nn.Conv1d(size, filters, width, dtype=dtype) for width in widths
        )

    def forward(self, bags: Bags) -> torch.Tensor:
        """Return the features `(B, F x widths)`."""
        features = []
        for part in self.widths:
            assert isinstance(part, nn.Conv1d)
            assert part.bias is not None
            filters, size, width = part.weight.shape
            # what each word adds to a window in each of its places
            added = bags.rows @ part.weight.permute(1, 2, 0).reshape(size, width * filters)
            values = added.view(-1, width, filters)
            maxima = window_maxima(values, bags.numbers, bags.lengths)
            features.append(torch.relu(maxima + part.bias))
        return torch.cat(features, dim=1)
