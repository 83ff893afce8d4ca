"""Which texts go together: batches with a given number of texts or of tokens.

Each function is pure, so that a run that is resumed sees the same batches.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..errors import DataError

__all__ = ["MOST_PADDED", "batch_indices", "split_by_tokens", "token_batches", "without_waste"]

#: The most tokens with padding that texts of different lengths are padded to together.
MOST_PADDED = 1 << 16
WASTE = 4  # a batch may be so many times its tokens, if it is larger
BUCKET = 64  # batches whose texts are sorted by length together


def batch_indices(texts: int, batch_size: int, seed: int, epoch: int) -> Iterator[torch.Tensor]:
    """Yield the indices of the texts in each batch of an epoch, in random order."""
    order = torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(texts))
    yield from torch.split(order, batch_size)


def token_batches(
    lengths: torch.Tensor, max_tokens: int, seed: int, epoch: int, padded: bool
) -> list[torch.Tensor]:
    """Return the indices of the texts in each batch of an epoch, with at most `max_tokens` tokens.

    Every text is in one batch, in a new order in every epoch. A text that is longer than
    `max_tokens` is a batch by itself, and an empty text counts as one token. The number of batches
    varies a little between epochs.

    Args:
        lengths: `(texts,)`, the number of tokens of each text.
        max_tokens: the maximum number of tokens in a batch.
        seed: the seed of the order.
        epoch: the epoch, counted from 0.
        padded: whether texts are padded to the longest of the batch, and padding counts. If so,
            texts of similar length go together: each large random part of the data is sorted by
            length and split into batches, which are then shuffled (bucketing). Without padding,
            batches are random samples.

    Raises:
        DataError: `max_tokens` is less than 1.
    """
    if max_tokens < 1:
        raise DataError("must be 1 or more", option="max_tokens", value=max_tokens)
    random = np.random.default_rng((seed, epoch))
    order = random.permutation(len(lengths))
    if padded:
        order = _sorted_in_buckets(order, lengths.numpy(), max_tokens)
    batches = split_by_tokens(torch.from_numpy(order), lengths, max_tokens, padded)
    return [batches[at] for at in random.permutation(len(batches))] if padded else batches


def split_by_tokens(
    texts: torch.Tensor,
    lengths: torch.Tensor,
    max_tokens: int,
    padded: bool,
    batch_size: int | None = None,
) -> list[torch.Tensor]:
    """Split texts, without reordering them, into batches of at most `max_tokens` tokens.

    Args:
        texts: `(n,)`, the indices of the texts.
        lengths: `(texts,)`, the number of tokens of each text; an empty one counts as one token.
        max_tokens: the maximum number of tokens in a batch; a longer text is a batch by itself.
        padded: whether every text counts with the length of the longest in its batch.
        batch_size: the maximum number of texts in a batch.
    """
    if not padded:
        return _split_unpadded(texts, lengths, max_tokens, batch_size or len(texts))
    starts: list[int] = []
    longest = 0
    for at, length in enumerate(lengths[texts].clamp(min=1).tolist()):
        size = at - starts[-1] if starts else 0
        longest = max(longest, length)
        if not starts or (size + 1) * longest > max_tokens or size == batch_size:
            starts.append(at)
            longest = length
    return list(torch.tensor_split(texts, starts[1:])) if starts else []


def _split_unpadded(
    texts: torch.Tensor, lengths: torch.Tensor, max_tokens: int, batch_size: int
) -> list[torch.Tensor]:
    """Do what `split_by_tokens` does without padding, in time that grows with the batches."""
    ends, batches, start, before = lengths[texts].clamp(min=1).cumsum(0).numpy(), [], 0, 0
    while start < len(texts):
        end = int(np.searchsorted(ends, before + max_tokens, "right"))
        end = min(max(end, start + 1), start + batch_size)
        batches.append(texts[start:end])
        start, before = end, int(ends[end - 1])
    return batches


def without_waste(texts: torch.Tensor, lengths: torch.Tensor) -> list[torch.Tensor]:
    """Split a batch in which a long text would pad many short ones; other batches stay whole.

    Split are batches that padding makes larger than `MOST_PADDED` and `WASTE` times their tokens.
    Texts of similar length then go together, in parts of at most `MOST_PADDED`.

    Args:
        texts: `(n,)`, the indices of the texts of a batch.
        lengths: `(texts,)`, the number of tokens of each text; an empty one counts as one token.
    """
    sizes = lengths[texts].clamp(min=1)
    if not len(texts):
        return []
    if len(texts) * int(sizes.max()) <= max(MOST_PADDED, WASTE * int(sizes.sum())):
        return [texts]
    return split_by_tokens(texts[sizes.argsort(stable=True)], lengths, MOST_PADDED, padded=True)


def _sorted_in_buckets(order: np.ndarray, lengths: np.ndarray, max_tokens: int) -> np.ndarray:
    """Sort each part of a random order by length; every other part has the longest texts first.

    There are at least four parts, so that the batches of small data also differ between epochs.
    """
    batches = max(1, int(lengths.sum()) // max_tokens)
    parts = max(min(4, batches), -(-batches // BUCKET))
    part = np.arange(len(order)) * parts // max(1, len(order))
    size = lengths[order]
    return order[np.lexsort((np.where(part % 2, -size, size), part))]
