"""Ready heads: small modules over a table, `model(ids, lengths) -> logits`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import nn
from torch.nn import functional

from ..errors import DataError
from ..optim import mean_bag

__all__ = ["BagOfEmbeddings", "KimCNN"]


class BagOfEmbeddings(nn.Module):
    """The mean of a text's word vectors, optionally hidden layers, then a linear layer.

    With hidden layers this is the deep averaging network of Iyyer et al. (2015), who use two or
    three; without, the classifier of fastText (Joulin et al. 2017) over given vectors.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of classes `C`.
        hidden: units of each hidden layer, 0 for no such layer.
        dropout: on the mean vector.
        layers: how many hidden layers, if `hidden` is not 0.

    Attributes:
        packed: whether it takes texts one after the other, without padding; it does.

    Raises:
        DataError: `layers` is below 1.
    """

    packed = True

    def __init__(
        self,
        embedding: nn.Embedding,
        num_labels: int,
        hidden: int = 0,
        dropout: float = 0.0,
        layers: int = 1,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise DataError(f"layers={layers}: give one or more; hidden=0 is for none")
        self.embedding = embedding
        self.dropout = nn.Dropout(dropout)
        size = embedding.embedding_dim
        self.hidden: nn.Module | None = nn.Linear(size, hidden) if hidden else None
        if self.hidden is not None and layers > 1:
            further = (
                part for _ in range(layers - 1) for part in (nn.ReLU(), nn.Linear(hidden, hidden))
            )
            self.hidden = nn.Sequential(self.hidden, *further)
        self.output = nn.Linear(hidden or size, num_labels)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, C)`; padding does not count for the mean.

        Args:
            ids: int64 `(B, L)`, padded, or packed `(N,)`: the words of all texts in a row.
            lengths: int64 `(B,)`, the words of each text; may be 0.
        """
        units = self.dropout(_means(self.embedding, *_packed(ids, lengths, self.embedding)))
        if self.hidden is not None:
            units = torch.relu(self.hidden(units))
        logits: torch.Tensor = self.output(units)
        return logits


def _packed(
    ids: torch.Tensor, lengths: torch.Tensor, embedding: nn.Module
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids `(N,)` without any padding, and how many each text has, `(B,)`."""
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
    """Return the mean vector `(B, D)` of each text; through the module, if it is no plain table."""
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


class ConvolutionBank(nn.Module):
    """Filters of several widths side by side: one layer, and one part to a strategy.

    Args:
        size: the dimension `D` of a word.
        filters: feature maps of each width.
        widths: window sizes in words.
    """

    def __init__(self, size: int, filters: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = nn.ModuleList(
            nn.Conv1d(size, filters, width, padding=width - 1) for width in widths
        )

    def forward(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the maxima over time `(B, filters x widths)` for words `(B, D, L)`."""
        maxima = []
        for convolve in self.widths:
            features = torch.relu(convolve(words))
            windows = torch.arange(features.shape[2], device=words.device)
            touching = windows < (lengths + features.shape[2] - words.shape[2])[:, None]
            maxima.append((features * touching[:, None]).amax(dim=2))
        return torch.cat(maxima, dim=1)


class KimCNN(nn.Module):
    """The convolutional network of Kim (2014).

    Filters of several widths over the word vectors, the maximum over time, dropout, and a linear
    layer. With two channels, one is the table, the other stays as the table is when the head is
    made; every filter is applied to both and the results are added, which is the filter of their
    sum. A word behind the `V` rows, put there to predict, was never tuned and is the same in both.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of classes `C`.
        filters: feature maps of each width.
        widths: window sizes in words.
        dropout: on the maxima.
        channels: 1, or 2 for the multichannel model.

    Raises:
        DataError: there is no filter, no window, or a window of no words; or neither one channel
            nor two.
    """

    start: torch.Tensor | None

    def __init__(
        self,
        embedding: nn.Embedding,
        num_labels: int,
        filters: int = 100,
        widths: Sequence[int] = (3, 4, 5),
        dropout: float = 0.5,
        channels: int = 1,
    ) -> None:
        super().__init__()
        if channels not in (1, 2):
            raise DataError(
                f"channels={channels}: give 1, or 2 for a second one that keeps the table's start"
            )
        if filters < 1 or not widths or min(widths) < 1:
            raise DataError(
                f"filters={filters}, widths={widths}: give one filter or more, and one window of "
                "one word or more, such as widths=(3, 4, 5)"
            )
        self.embedding = embedding
        self.convolutions = ConvolutionBank(embedding.embedding_dim, filters, widths)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters * len(widths), num_labels)
        start = embedding.weight.detach().clone() if channels == 2 else None
        self.register_buffer("start", start)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, C)` for ids `(B, L)`; windows of padding alone do not count."""
        words = self.embedding(ids)
        if self.start is not None:
            words = words + self._static(self.start, ids, words.detach())
        maxima = self.convolutions(words.transpose(1, 2), lengths)
        logits: torch.Tensor = self.output(self.dropout(maxima))
        return logits

    def _static(self, start: torch.Tensor, ids: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Return the start rows `(B, L, D)` of ids; of ids behind them, the words as they are."""
        rows, held = len(start), self.embedding.num_embeddings
        if held != rows:
            raise DataError(
                f"the second channel has {rows:,} rows, the embedding {held:,}: its rows were "
                "replaced after the head was made; pass a function that makes it, "
                "head=lambda embedding, num_labels: KimCNN(embedding, num_labels, channels=2)"
            )
        known = functional.embedding(ids.clamp(max=rows - 1), start)
        if len(self.embedding.weight) == rows:
            return known
        return torch.where((ids < rows)[..., None], known, words)
