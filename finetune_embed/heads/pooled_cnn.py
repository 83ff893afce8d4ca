"""Pooled words beside pooled windows: `model(ids, lengths) -> logits (B, C)`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from ..optim import Filters, text_features
from .cnn import check_filters
from .options import check_dropout, check_table, dtype_of
from .plain import without_padding
from .pooling import check_pooling, features_of

__all__ = ["PooledCNN"]


class Convolutions(nn.Module):
    """The filters of several widths; one layer, and one part for strategies.

    Args:
        size: the dimension `D` of the word vectors.
        filters: the number of filters of each width.
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

    def forward(self) -> list[Filters]:
        """Return the filters of each width."""
        parts: Iterable[Any] = self.widths
        return [(part.weight, part.bias) for part in parts]


class PooledCNN(nn.Module):
    """Pooled word vectors (Shen et al. 2018) and convolutions (Kim 2014) under one linear layer.

    The words as a whole say what a text is about, filters over two and three words what a negation
    or a phrase makes of them. It takes texts without padding, and looks every different word of a
    batch up once.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of classes `C`.
        filters: the number of filters of each width.
        widths: the window sizes in words.
        dropout: the dropout rate on the features of the filters.
        pooling: `mean`, `max` or `min` of the word vectors, or several joined by `+`.

    Attributes:
        packed: True, since it takes texts one after the other without padding.
        only_looks_up: True, since it uses an id only to look up its row.

    Raises:
        DataError: an option is not a number or out of its range; there are no windows.

    Example:
        >>> embedding = torch.nn.Embedding(9, 4)
        >>> model = fe.PooledCNN(embedding, num_labels=2)
        >>> model(torch.ones(5, dtype=torch.long), torch.tensor([3, 2])).shape
        torch.Size([2, 2])
    """

    packed = True
    only_looks_up = True

    def __init__(
        self,
        embedding: nn.Embedding,
        num_labels: int,
        filters: int = 50,
        widths: Sequence[int] = (2, 3),
        dropout: float = 0.3,
        pooling: str = "mean+max+min",
    ) -> None:
        super().__init__()
        check_table(embedding, num_labels)
        check_filters(filters, widths)
        check_dropout(dropout)
        self.pools = check_pooling(pooling)
        self.embedding, dtype = embedding, dtype_of(embedding)
        size = embedding.embedding_dim
        self.convolutions = Convolutions(size, filters, widths, dtype)
        self.dropout = nn.Dropout(dropout)
        self.sizes = [len(self.pools) * size, filters * len(widths)]
        self.output = nn.Linear(sum(self.sizes), num_labels, dtype=dtype)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, C)`; padding does not count.

        Args:
            ids: int64 `(B, L)`, padded, or packed `(N,)`: the tokens of all texts, one after the
                other.
            lengths: int64 `(B,)`, the number of tokens in each text; may be 0.
        """
        texts = without_padding(ids, lengths, self.embedding)
        features = features_of(self.embedding, *texts, self.pools, self.convolutions())
        if self.dropout.training:
            words, windows = features.split_with_sizes(self.sizes, dim=1)
            features = torch.cat([words, self.dropout(windows)], dim=1)
        logits: torch.Tensor = self.output(features)
        return logits

    def from_rows(
        self, rows: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Return what `forward` does in evaluation mode; see `BagOfEmbeddings.from_rows`."""
        features = text_features(rows, ids, lengths, self.pools, self.convolutions())
        logits: torch.Tensor = self.output(features)
        return logits
