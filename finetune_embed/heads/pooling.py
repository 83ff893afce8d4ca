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
from ..optim import distinct_rows
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
        rows = -bags.rows if name == "min" else bags.rows
        mode = "mean" if name == "mean" else "max"
        found = functional.embedding_bag(bags.numbers, rows, bags.offsets, mode=mode)
        features.append(-found if name == "min" else found)
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
        rows = torch.cat([bags.rows, bags.rows.new_zeros(1, bags.rows.shape[1])])
        parts = [part for part in self.widths if isinstance(part, nn.Conv1d)]
        windows = _windows(bags, max(part.kernel_size[0] for part in parts))
        tokens = torch.arange(len(windows), device=windows.device)
        features = []
        for part in parts:
            width, filters = part.kernel_size[0], part.out_channels
            assert part.bias is not None
            # what each word adds to a window in each of its places: (U + 1) x width, F
            weight = part.weight.permute(1, 2, 0).reshape(rows.shape[1], width * filters)
            added = (rows @ weight).view(-1, filters)
            places = windows[:, :width] * width + torch.arange(width, device=windows.device)
            sums = functional.embedding_bag(places, added, mode="sum")
            maxima = functional.embedding_bag(tokens, sums, bags.offsets, mode="max")
            features.append(torch.relu(maxima + part.bias))
        return torch.cat(features, dim=1)


def _windows(bags: Bags, width: int) -> torch.Tensor:
    """Return the row numbers of the window at each token, `(N, width)`; `U` beyond a text."""
    count, device = len(bags.numbers), bags.numbers.device
    ends = torch.repeat_interleave(bags.lengths.cumsum(0), bags.lengths)
    places = torch.arange(count, device=device)[:, None] + torch.arange(width, device=device)
    inside = places < ends[:, None]
    return torch.where(inside, bags.numbers[places.clamp(max=max(count - 1, 0))], len(bags.rows))
