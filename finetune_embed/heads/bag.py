"""A classifier over the mean of word vectors: `model(ids, lengths) -> logits (B, C)`."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import nn

from ..errors import DataError
from ..optim import mean_bag
from .options import check_dropout, check_size, check_table, dtype_of

__all__ = ["BagOfEmbeddings"]


class BagOfEmbeddings(nn.Module):
    """The mean of a text's word vectors, optionally hidden layers, then a linear layer.

    With hidden layers this is the deep averaging network of Iyyer et al. (2015), who use two or
    three; without, it is the classifier of fastText (Joulin et al. 2017) over pretrained vectors.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of classes `C`.
        hidden: the number of units in each hidden layer; 0 for no such layer.
        dropout: the dropout rate on the mean vector.
        layers: the number of hidden layers, if `hidden` is not 0.

    Attributes:
        packed: True, since it takes texts one after the other without padding.
        only_looks_up: True, since it uses an id only to look up its row.

    Raises:
        DataError: an option is not a number or out of its range.
    """

    packed = True
    only_looks_up = True

    def __init__(
        self,
        embedding: nn.Embedding,
        num_labels: int,
        hidden: int = 0,
        dropout: float = 0.0,
        layers: int = 1,
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
        size, dtype = embedding.embedding_dim, dtype_of(embedding)
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
        units = self.dropout(_means(self.embedding, *_packed(ids, lengths, self.embedding)))
        if self.hidden is not None:
            units = torch.relu(self.hidden(units))
        logits: torch.Tensor = self.output(units)
        return logits


def _packed(
    ids: torch.Tensor, lengths: torch.Tensor, embedding: nn.Module
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids `(N,)` without any padding, and the number of them in each text, `(B,)`."""
    padding = getattr(embedding, "padding_idx", None)
    if ids.ndim == 2:
        columns = torch.arange(ids.shape[1], device=ids.device)
        words = columns < lengths[:, None] if padding is None else ids != padding
        return ids[words], words.sum(dim=1)
    if padding is None or bool((words := ids != padding).all()):
        return ids, lengths
    texts = torch.repeat_interleave(lengths)
    return ids[words], torch.zeros_like(lengths).index_add_(0, texts, words.to(lengths.dtype))


def _means(embedding: nn.Module, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the mean vector `(B, D)` of each text; a custom embedding's forward is called."""
    if _is_plain(embedding):
        return mean_bag(embedding.weight, ids, lengths, embedding.sparse)
    vectors = embedding(ids)
    sums = vectors.new_zeros(len(lengths), vectors.shape[1])
    sums = sums.index_add(0, torch.repeat_interleave(lengths), vectors)
    means: torch.Tensor = sums / lengths.clamp(min=1)[:, None]
    return means


def _is_plain(embedding: nn.Module) -> TypeGuard[nn.Embedding]:
    hooks = (
        embedding._forward_hooks,
        embedding._forward_pre_hooks,
        embedding._backward_hooks,
        embedding._backward_pre_hooks,
    )
    return (
        isinstance(embedding, nn.Embedding)
        and type(embedding).forward is nn.Embedding.forward
        and embedding.max_norm is None
        and not embedding.scale_grad_by_freq
        and not any(hooks)
    )
