"""A classifier over two texts, each in its place: `model(ids, lengths) -> logits (B, C)`."""

from __future__ import annotations

import torch

from .bag import BagOfEmbeddings

__all__ = ["PairOfBags"]


class PairOfBags(BagOfEmbeddings):
    """The pooled words `u` and `v` of two texts, `|u - v|` and `u * v`, then a linear layer.

    These are the features of InferSent (Conneau et al. 2017). They keep the order of the two texts:
    a question is not an answer. It takes the `2B` texts of a batch one after the other without
    padding, the first and the second of each pair in turn, and has the options of
    `BagOfEmbeddings`.

    Attributes:
        pairs: True, since it takes pairs of texts.

    Example:
        >>> embedding = torch.nn.Embedding(9, 4)
        >>> model = fe.PairOfBags(embedding, num_labels=2)
        >>> model(torch.ones(5, dtype=torch.long), torch.tensor([3, 2])).shape
        torch.Size([1, 2])
    """

    pairs = True
    combined = 4

    def _combined(self, pooled: torch.Tensor) -> torch.Tensor:
        first, second = pooled[0::2], pooled[1::2]
        return torch.cat([first, second, (first - second).abs(), first * second], dim=1)
