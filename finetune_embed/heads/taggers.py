"""Ready heads that label every word: `model(ids, lengths) -> logits (B, L, C)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn

from ..errors import DataError

__all__ = ["BiLSTMTagger", "CNNTagger"]


class BiLSTMTagger(nn.Module):
    """A bidirectional LSTM over the words, and a linear layer at each of them.

    The BI-LSTM of Huang et al. (2015) with dropout on its input and output as in Lample et al.
    (2016), without their CRF and characters.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of tags `C`.
        hidden: units of the LSTM in each direction.
        layers: LSTMs one above the other.
        dropout: on the word vectors, between layers, and on the last layer's output.

    Raises:
        DataError: there is no unit or no layer.
    """

    per_word: ClassVar[bool] = True

    def __init__(
        self,
        embedding: nn.Embedding,
        num_labels: int,
        hidden: int = 100,
        layers: int = 1,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if hidden < 1 or layers < 1:
            raise DataError(f"hidden={hidden}, layers={layers}: give one or more of both")
        self.embedding = embedding
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            embedding.embedding_dim,
            hidden,
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.output = nn.Linear(2 * hidden, num_labels)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, L, C)` for ids `(B, L)`; those of padding mean nothing."""
        words = self.dropout(self.embedding(ids))
        if not words.numel():
            return torch.zeros(*ids.shape, self.output.out_features, device=ids.device)
        packed = nn.utils.rnn.pack_padded_sequence(
            words, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=ids.shape[1]
        )
        logits: torch.Tensor = self.output(self.dropout(states))
        return logits


class CNNTagger(nn.Module):
    """Convolutions over the words, and a linear layer at each of them.

    The window approach of Collobert et al. (2011), a layer over the words around each, with windows
    of several widths side by side; more layers, as in Strubell et al. (2017), see further.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of tags `C`.
        filters: feature maps of each width.
        widths: window sizes in words, odd: as many words on the left as on the right.
        layers: convolutions one above the other.
        dropout: on the word vectors and on each layer's output.

    Raises:
        DataError: there is no filter, no layer, no window, or an even one.
    """

    per_word: ClassVar[bool] = True

    def __init__(
        self,
        embedding: nn.Embedding,
        num_labels: int,
        filters: int = 100,
        widths: Sequence[int] = (3, 5),
        layers: int = 1,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        odd = [width for width in widths if width > 0 and width % 2]
        if filters < 1 or layers < 1 or not widths or len(odd) < len(widths):
            raise DataError(
                f"filters={filters}, widths={widths}, layers={layers}: give one filter and one "
                "layer or more, and windows of an odd number of words, such as widths=(3, 5)"
            )
        self.embedding = embedding
        self.dropout = nn.Dropout(dropout)
        size = filters * len(widths)
        sizes = [embedding.embedding_dim, *[size] * (layers - 1)]
        self.layers = nn.ModuleList(CenteredWindows(given, filters, widths) for given in sizes)
        self.output = nn.Linear(size, num_labels)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, L, C)` for ids `(B, L)`; those of padding mean nothing."""
        columns = torch.arange(ids.shape[1], device=ids.device)
        inside = (columns < lengths[:, None])[:, None]
        words = self.dropout(self.embedding(ids)).transpose(1, 2)
        for layer in self.layers:
            words = self.dropout(layer(words * inside))
        logits: torch.Tensor = self.output(words.transpose(1, 2))
        return logits


class CenteredWindows(nn.Module):
    """Filters of several odd widths side by side, each window around a word.

    Args:
        size: the dimension `D` of a word.
        filters: feature maps of each width.
        widths: window sizes in words.
    """

    def __init__(self, size: int, filters: int, widths: Sequence[int]) -> None:
        super().__init__()
        self.widths = nn.ModuleList(
            nn.Conv1d(size, filters, width, padding=width // 2) for width in widths
        )

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Return features `(B, filters x widths, L)` of words `(B, D, L)`."""
        return torch.cat([torch.relu(convolve(words)) for convolve in self.widths], dim=1)
