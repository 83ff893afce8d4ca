"""A convolutional classifier over word vectors: `model(ids, lengths) -> logits (B, C)`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from ..errors import DataError, Option
from .options import check_dropout, check_size, check_table, dtype_of

__all__ = ["KimCNN", "check_filters"]


class ConvolutionBank(nn.Module):
    """Filters of several widths side by side; one layer, and one part for strategies.

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
            nn.Conv1d(size, filters, width, padding=width - 1, dtype=dtype) for width in widths
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


def check_filters(filters: int, widths: Sequence[int]) -> None:
    """Check that there is a filter and a window.

    Raises:
        DataError: there is none, or a window has no words.
    """
    check_size("filters", filters)
    is_list = isinstance(widths, (list, tuple)) and len(widths) > 0
    if not is_list or any(isinstance(width, int) and width < 1 for width in widths):
        raise DataError(
            "must be one or more numbers of words",
            option="widths",
            value=widths,
            remedy="give, for example, widths=(3, 5)",
        )
    for width in widths:
        check_size("widths", width)


class KimCNN(nn.Module):
    """The convolutional network of Kim (2014).

    Filters of several widths over the word vectors, the maximum over time, dropout, and a linear
    layer. With two channels, one is the table, and the other keeps the values that the table has
    when the head is made; every filter is applied to both and the results are added, which equals
    the filter of their sum. A word beyond the `V` rows, added for prediction, was never tuned and
    is the same in both.

    Args:
        embedding: the table `(V, D)`.
        num_labels: the number of classes `C`.
        filters: the number of feature maps of each width.
        widths: the window sizes in words.
        dropout: the dropout rate on the maxima.
        channels: 1, or 2 for the multichannel model.

    Attributes:
        only_looks_up: whether it uses an id only to look up its row; not with two channels.

    Raises:
        DataError: an option is not a number or out of its range; there are no windows.

    Example:
        >>> embedding = torch.nn.Embedding(9, 4)
        >>> model = fe.KimCNN(embedding, num_labels=2)
        >>> model(torch.ones(2, 3, dtype=torch.long), torch.tensor([3, 2])).shape
        torch.Size([2, 2])
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
        check_table(embedding, num_labels)
        if isinstance(channels, bool) or channels not in (1, 2):
            raise DataError(
                "must be 1, or 2 for a second one that keeps the start",
                option="channels",
                value=channels,
            )
        check_filters(filters, widths)
        check_dropout(dropout)
        self.embedding, dtype = embedding, dtype_of(embedding)
        self.convolutions = ConvolutionBank(embedding.embedding_dim, filters, widths, dtype)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(filters * len(widths), num_labels, dtype=dtype)
        self.only_looks_up = channels == 1
        start = embedding.weight.detach().clone() if channels == 2 else None
        self.register_buffer("start", start)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return logits `(B, C)` for ids `(B, L)`; windows with only padding do not count."""
        words = self.embedding(ids)
        if self.start is not None:
            words = words + self._static(self.start, ids, words.detach())
        maxima = self.convolutions(words.transpose(1, 2), lengths)
        logits: torch.Tensor = self.output(self.dropout(maxima))
        return logits

    def _static(self, start: torch.Tensor, ids: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        """Return the start rows `(B, L, D)` of ids; for ids beyond them, `words` unchanged."""
        rows, held = len(start), self.embedding.num_embeddings
        if held != rows:
            raise DataError(
                f"the second channel has {rows:,} rows, the embedding {held:,}, since its rows "
                "were replaced after the head was made",
                value=held,
                remedy=(
                    "pass a function that makes the head: ",
                    Option("head"),
                    "=lambda embedding, num_labels: KimCNN(embedding, num_labels, channels=2)",
                ),
            )
        known = functional.embedding(ids.clamp(max=rows - 1), start)
        if len(self.embedding.weight) == rows:
            return known
        return torch.where((ids < rows)[..., None], known, words)
