"""A classifier over the mean of word vectors: `model(ids, lengths) -> logits (B, C)`."""

from __future__ import annotations

import torch
from torch import nn

from ..errors import DataError
from ..optim import mean_bag, text_features
from .options import check_dropout, check_size, check_table, dtype_of
from .plain import is_plain, without_padding
from .pooling import check_pooling, features_of

__all__ = ["BagOfEmbeddings"]


class BagOfEmbeddings(nn.Module):
    """Pooled word vectors, optionally hidden layers, then a linear layer.

    With hidden layers this is the deep averaging network of Iyyer et al. (2015), who use two or
    three; without, it is the classifier of fastText (Joulin et al. 2017) over pretrained vectors.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of classes `C`.
        hidden: the number of units in each hidden layer; 0 for no such layer.
        dropout: the dropout rate on the mean vector.
        layers: the number of hidden layers, if `hidden` is not 0.
        pooling: `mean`, `max` or `min` of the word vectors, or several joined by `+`, whose results
            stand side by side (Shen et al. 2018).

    Attributes:
        packed: True, since it takes texts one after the other without padding.
        combined: how many vectors are made of the pooled ones.
        only_looks_up: True, since it uses an id only to look up its row.

    Raises:
        DataError: an option is not a number or out of its range.

    Example:
        >>> embedding = torch.nn.Embedding(9, 4)
        >>> model = fe.BagOfEmbeddings(embedding, num_labels=2)
        >>> model(torch.ones(2, 3, dtype=torch.long), torch.tensor([3, 2])).shape
        torch.Size([2, 2])
    """

    packed = True
    only_looks_up = True
    combined = 1

    def __init__(
        self,
        embedding: nn.Embedding,
        num_labels: int,
        hidden: int = 0,
        dropout: float = 0.0,
        layers: int = 1,
        pooling: str = "mean",
    ) -> None:
        super().__init__()
        check_table(embedding, num_labels)
        check_size("hidden", hidden, least=0)
        if layers == 0:
            raise DataError(
                "must be 1 or more",
                option="layers",
                value=layers,
                remedy="for no hidden layer give hidden=0",
            )
        check_size("layers", layers)
        check_dropout(dropout)
        self.embedding = embedding
        self.dropout = nn.Dropout(dropout)
        self.pools = check_pooling(pooling)
        size = embedding.embedding_dim * len(self.pools) * self.combined
        dtype = dtype_of(embedding)
        self.hidden: nn.Module | None = nn.Linear(size, hidden, dtype=dtype) if hidden else None
        if self.hidden is not None and layers > 1:
            upper = (
                part
                for _ in range(layers - 1)
                for part in (nn.ReLU(), nn.Linear(hidden, hidden, dtype=dtype))
            )
            self.hidden = nn.Sequential(self.hidden, *upper)
        self.output = nn.Linear(hidden or size, num_labels, dtype=dtype)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, C)`; padding does not count in the mean.

        Args:
            ids: int64 `(B, L)`, padded, or packed `(N,)`: the tokens of all texts, one after the
                other.
            lengths: int64 `(B,)`, the number of tokens in each text; may be 0.
        """
        ids, lengths = without_padding(ids, lengths, self.embedding)
        if self.pools == ("mean",):
            pooled = _means(self.embedding, ids, lengths)
        else:
            pooled = features_of(self.embedding, ids, lengths, self.pools)
        return self._classified(self.dropout(self._combined(pooled)))

    def from_rows(
        self, rows: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Return what `forward` does in evaluation mode, if the table were `rows` `(U, D)`.

        Args:
            rows: the rows.
            ids: int64 `(N,)`, packed; none is padding.
            lengths: int64 `(B,)`.
        """
        if self.pools == ("mean",):
            pooled = mean_bag(rows, ids, lengths)
        else:
            pooled = text_features(rows, ids, lengths, self.pools)
        return self._classified(self._combined(pooled))

    def _combined(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return what is classified, from the pooled words of each text."""
        return pooled

    def _classified(self, units: torch.Tensor) -> torch.Tensor:
        if self.hidden is not None:
            units = torch.relu(self.hidden(units))
        logits: torch.Tensor = self.output(units)
        return logits


def _means(embedding: nn.Module, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the mean vector `(B, D)` of each text; a custom embedding's forward is called."""
    if is_plain(embedding):
        return mean_bag(embedding.weight, ids, lengths, embedding.sparse)
    vectors = embedding(ids)
    sums = vectors.new_zeros(len(lengths), vectors.shape[1])
    sums = sums.index_add(0, torch.repeat_interleave(lengths), vectors)
    means: torch.Tensor = sums / lengths.clamp(min=1)[:, None]
    return means
