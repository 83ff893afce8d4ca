"""Taggers over a table, which label every word: `model(ids, lengths) -> logits (B, L, C)`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn

from ..errors import DataError
from .cnn import check_filters
from .options import check_dropout, check_size, check_table, dtype_of

__all__ = ["BiLSTMTagger", "CNNTagger"]


class BiLSTMTagger(nn.Module):
    """A bidirectional LSTM over the words, with a linear layer on each of its states.

    The BI-LSTM of Huang et al. (2015) with dropout on its input and output as in Lample et al.
    (2016), without their CRF and characters.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of tags `C`.
        hidden: the number of LSTM units in each direction.
        layers: the number of stacked LSTMs.
        dropout: the dropout rate on the word vectors, between layers, and on the last layer's
            output.

    Raises:
        DataError: an option is not a number or out of its range.

    Example:
        >>> embedding = torch.nn.Embedding(9, 4)
        >>> model = fe.BiLSTMTagger(embedding, num_labels=5)
        >>> model(torch.ones(2, 3, dtype=torch.long), torch.tensor([3, 2])).shape
        torch.Size([2, 3, 5])
    """

    per_word: ClassVar[bool] = True
    only_looks_up: ClassVar[bool] = True

    def __init__(
        self,
        embedding: nn.Embedding,
        num_labels: int,
        hidden: int = 100,
        layers: int = 1,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        check_table(embedding, num_labels)
        check_size("hidden", hidden)
        check_size("layers", layers)
        check_dropout(dropout)
        self.embedding, dtype = embedding, dtype_of(embedding)
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            embedding.embedding_dim,
            hidden,
            layers,
            batch_first=True,
            bidirectional=True,
            dropout=dropout if layers > 1 else 0.0,
            dtype=dtype,
        )
        self.output = nn.Linear(2 * hidden, num_labels, dtype=dtype)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, L, C)` for ids `(B, L)`; ignore those of padding."""
        words = self.dropout(self.embedding(ids))
        if not words.numel():
            return torch.zeros(
                *ids.shape, self.output.out_features, dtype=words.dtype, device=ids.device
            )
        packed = nn.utils.rnn.pack_padded_sequence(
            words, lengths.clamp(min=1).cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = nn.utils.rnn.pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=ids.shape[1]
        )
        logits: torch.Tensor = self.output(self.dropout(states))
        return logits


class CNNTagger(nn.Module):
    """Convolutions over the words, with a linear layer on the features of each.

    The window approach of Collobert et al. (2011), a layer over the words around each word, with
    windows of several widths side by side; with more layers, as in Strubell et al. (2017), each
    word has a wider context.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of tags `C`.
        filters: the number of feature maps of each width.
        widths: the window sizes in words, odd: the same number of words on the left and the right.
        layers: the number of stacked convolutions.
        dropout: the dropout rate on the word vectors and on each layer's output.

    Raises:
        DataError: an option is not a number or out of its range; there is no window, or an even
            one.

    Example:
        >>> embedding = torch.nn.Embedding(9, 4)
        >>> model = fe.CNNTagger(embedding, num_labels=5)
        >>> model(torch.ones(2, 3, dtype=torch.long), torch.tensor([3, 2])).shape
        torch.Size([2, 3, 5])
    """

    per_word: ClassVar[bool] = True
    only_looks_up: ClassVar[bool] = True

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
        check_table(embedding, num_labels)
        check_filters(filters, widths)
        check_size("layers", layers)
        check_dropout(dropout)
        if not all(width % 2 for width in widths):
            raise DataError(
                "must be odd, for a window around each word",
                option="widths",
                value=widths,
                remedy="give, for example, widths=(3, 5)",
            )
        self.embedding, dtype = embedding, dtype_of(embedding)
        self.dropout = nn.Dropout(dropout)
        size = filters * len(widths)
        sizes = [embedding.embedding_dim, *[size] * (layers - 1)]
        self.layers = nn.ModuleList(
            CenteredWindows(given, filters, widths, dtype) for given in sizes
        )
        self.output = nn.Linear(size, num_labels, dtype=dtype)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, L, C)` for ids `(B, L)`; ignore those of padding."""
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
        size: the dimension `D` of the word vectors.
        filters: the number of feature maps of each width.
        widths: the window sizes in words.
        dtype: the number type; torch's default when left out.
    """

    def __init__(
        self, size: int, filters: int, widths: Sequence[int], dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        self.widths = nn.ModuleList(
            nn.Conv1d(size, filters, width, padding=width // 2, dtype=dtype) for width in widths
        )

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Return features `(B, filters x widths, L)` of words `(B, D, L)`."""
        return torch.cat([torch.relu(convolve(words)) for convolve in self.widths], dim=1)
