"""Word dropout: training texts without some of their tokens, others in every epoch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ..errors import DataError
from ..vocabulary import UNK_ID

__all__ = ["drop_words"]


def drop_words(
    ids: torch.Tensor,
    lengths: torch.Tensor,
    p: float = 0.3,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Drop each token of a batch with probability `p` (Iyyer et al. 2015, word dropout).

    A text that is not empty keeps at least one token, the one with the highest draw. The result
    depends only on the arguments and the generator's state; texts in packed and in padded form lose
    the same tokens.

    Args:
        ids: int64, the texts one after the other `(N,)`, from which tokens are removed; or padded
            `(B, L)`, in which tokens are replaced by `<unk>` to keep the positions of the others.
        lengths: int64 `(B,)`, the number of tokens of each text.
        p: the probability, from 0 to 1.
        generator: the generator of the draws, one for each token; by default torch's own.

    Returns:
        New ids and lengths, packed or padded like those given.

    Raises:
        DataError: `p` is not from 0 to 1.
    """
    if not 0 <= p <= 1:
        raise DataError("must be a probability from 0 to 1", option="p", value=p)
    sizes = lengths.numpy()
    keep, left = _kept(sizes, p, generator)
    if ids.dim() == 1:
        return torch.from_numpy(ids.numpy()[keep]), torch.from_numpy(left)
    is_token = np.arange(ids.shape[1]) < sizes[:, None]
    changed = ids.numpy().copy()
    changed[is_token] = np.where(keep, changed[is_token], UNK_ID)
    return torch.from_numpy(changed), lengths


def _kept(
    lengths: npt.NDArray[np.int64], p: float, generator: torch.Generator | None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return which tokens `(N,)` are kept, and how many of each text `(B,)`."""
    draws = torch.rand(int(lengths.sum()), generator=generator, dtype=torch.float32).numpy()
    left = np.zeros_like(lengths)
    if not len(draws):
        return np.zeros(0, np.bool_), left
    filled = lengths > 0
    starts = (np.cumsum(lengths) - lengths)[filled]
    highest = np.maximum.reduceat(draws, starts)
    keep = (draws >= p) | (draws == np.repeat(highest, lengths[filled]))
    left[filled] = np.add.reduceat(keep, starts, dtype=np.int64)
    return keep, left
