"""Ready heads: small modules over a table, `model(ids, lengths) -> logits`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn
from torch.nn import functional

from .errors import DataError
from .spelling import parse_call

__all__ = ["HEADS", "BagOfEmbeddings", "KimCNN", "build_head"]


class BagOfEmbeddings(nn.Module):
    """The mean of a text's word vectors, optionally a hidden layer, then a linear layer.

    With a hidden layer this is the deep averaging network of Iyyer et al. (2015) with one layer;
    without, the classifier of fastText (Joulin et al. 2017) over given vectors.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of classes `C`.
        hidden: units of the hidden layer, 0 for none.
        dropout: on the mean vector.
    """

    def __init__(
        self, embedding: nn.Embedding, num_labels: int, hidden: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.dropout = nn.Dropout(dropout)
        size = embedding.embedding_dim
        self.hidden = nn.Linear(size, hidden) if hidden else None
        self.output = nn.Linear(hidden or size, num_labels)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, C)` for ids `(B, L)`; padding does not count for the mean."""
        bag = functional.embedding_bag(
            ids,
            self.embedding.weight,
            mode="mean",
            padding_idx=self.embedding.padding_idx,
            sparse=self.embedding.sparse,
        )
        bag = self.dropout(bag)
        if self.hidden is not None:
            bag = torch.relu(self.hidden(bag))
        logits: torch.Tensor = self.output(bag)
        return logits


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


#: Every head that can be spelled: `bag`, `bag(hidden=100)`, `cnn(filters=50, widths=(2, 3))`.
HEADS: dict[str, Callable[..., nn.Module]] = {"bag": BagOfEmbeddings, "cnn": KimCNN}


def build_head(spelling: str, embedding: nn.Embedding, num_labels: int) -> nn.Module:
    """Return the head that a spelling such as `bag(hidden=100)` means.

    Raises:
        DataError: a name or an option is unknown.
    """
    return parse_call(spelling, HEADS, "head", DataError, embedding, num_labels)
