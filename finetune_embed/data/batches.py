"""Which texts go together: batches of so many texts, or of so many words.

Each is a pure function of its arguments, so that a run that is resumed sees the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..errors import DataError

__all__ = ["batch_indices", "split_by_words", "token_batches"]

BUCKET = 64  # batches that are sorted by length together


def batch_indices(texts: int, batch_size: int, seed: int, epoch: int) -> Iterator[torch.Tensor]:
    """Yield the row numbers of each batch of an epoch: a pure function of seed and epoch."""
    order = torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(texts))
    yield from torch.split(order, batch_size)


def token_batches(
    lengths: torch.Tensor, max_tokens: int, seed: int, epoch: int, padded: bool
) -> list[torch.Tensor]:
    """Return the row numbers of each batch of an epoch, of at most `max_tokens` words.

    Every text is in one batch, in a new order in every epoch. A text that is longer than
    `max_tokens` is a batch by itself, and an empty text counts as one word. The number of batches
    differs a little from epoch to epoch: `len()` tells it.

    Args:
        lengths: `(texts,)`, the words of each text.
        max_tokens: the most words of a batch.
        seed: of the order.
        epoch: counted from 0.
        padded: whether texts are padded to the longest of the batch, and padding counts. If so,
            texts of like length go together: those of a large random part of the data are sorted
            by length and cut into batches, which are shuffled (bucketing). Without padding there
            is nothing to save by it, and batches are random samples.

    Raises:
        DataError: `max_tokens` is less than 1.
    """
    if max_tokens < 1:
        raise DataError(f"max_tokens={max_tokens}: a batch has one word or more")
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(len(lengths))
    sizes = lengths.numpy()
    if padded:
        order = _sorted_in_buckets(order, sizes, max_tokens)
    rows = torch.from_numpy(order)
    batches = split_by_words(rows, lengths, max_tokens, padded)
    return [batches[at] for at in random.permutation(len(batches))] if padded else batches


def split_by_words(
    rows: torch.Tensor,
    lengths: torch.Tensor,
    max_tokens: int,
    padded: bool,
    batch_size: int | None = None,
) -> list[torch.Tensor]:
    """Split row numbers, in their order, into batches of at most `max_tokens` words.

    Args:
        rows: `(n,)`, row numbers.
        lengths: `(texts,)`, the words of each text; an empty one counts as one word.
        max_tokens: the most words of a batch, but for a longer text by itself.
        padded: whether every text counts as long as the longest of its batch.
        batch_size: the most texts of a batch.
    """
    starts: list[int] = []
    total = longest = 0
    for at, length in enumerate(lengths[rows].clamp(min=1).tolist()):
        size = at - starts[-1] if starts else 0
        total, longest = total + length, max(longest, length)
        words = (size + 1) * longest if padded else total
        if not starts or words > max_tokens or size == batch_size:
            starts.append(at)
            total = longest = length
    return list(torch.tensor_split(rows, starts[1:])) if starts else []


def _sorted_in_buckets(order: np.ndarray, lengths: np.ndarray, max_tokens: int) -> np.ndarray:
    """Sort each part of a random order by length; every other part, the longest texts first.

    There are four parts at least, so that the batches of small data differ between epochs too.
    """
    batches = max(1, int(lengths.sum()) // max_tokens)
    parts = max(min(4, batches), -(-batches // BUCKET))
    part = np.arange(len(order)) * parts // max(1, len(order))
    size = lengths[order]
    return order[np.lexsort((np.where(part % 2, -size, size), part))]
