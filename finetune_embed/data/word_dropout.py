"""Word dropout: other versions of the training texts in every epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ..errors import DataError
from ..vocabulary import Vocabulary

__all__ = ["drop_words"]


def drop_words(
    ids: torch.Tensor,
    lengths: torch.Tensor,
    p: float = 0.3,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Leave out each word of a batch with probability `p` (Iyyer et al. 2015, word dropout).

    Of a text that is not empty one word stays at least, the one with the highest draw. The result
    is a pure function of the arguments and of the generator's state; texts in packed and in padded
    form lose the same words.

    Args:
        ids: int64, the texts one after the other `(N,)`, of which words are left out; or padded
            `(B, L)`, of which words are replaced by `<unk>`, so that the others keep their places.
        lengths: int64 `(B,)`, the words of each text.
        p: the probability, 0 to 1.
        generator: of the draws, one for each word; torch's own when left out.

    Returns:
        New ids and lengths in the form of those given.

    Raises:
        DataError: `p` is not from 0 to 1.
    """
    if not 0 <= p <= 1:
        raise DataError(f"p={p}: the probability that a word is dropped is from 0 to 1")
    sizes = lengths.numpy()
    keep, left = _kept(sizes, p, generator)
    if ids.dim() == 1:
        return torch.from_numpy(ids.numpy()[keep]), torch.from_numpy(left)
    real = np.arange(ids.shape[1]) < sizes[:, None]
    changed = ids.numpy().copy()
    changed[real] = np.where(keep, changed[real], Vocabulary.unk_idx)
    return torch.from_numpy(changed), lengths


def _kept(
    lengths: npt.NDArray[np.int64], p: float, generator: torch.Generator | None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return which words `(N,)` stay, and how many of each text `(B,)`."""
    draws = torch.rand(int(lengths.sum()), generator=generator).numpy()
    left = np.zeros_like(lengths)
    if not len(draws):
        return np.zeros(0, np.bool_), left
    filled = lengths > 0
    starts = (np.cumsum(lengths) - lengths)[filled]
    highest = np.maximum.reduceat(draws, starts)
    keep = (draws >= p) | (draws == np.repeat(highest, lengths[filled]))
    left[filled] = np.add.reduceat(keep, starts, dtype=np.int64)
    return keep, left
