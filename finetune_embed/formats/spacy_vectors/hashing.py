"""The keys that spaCy gives to strings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .murmur import murmur64a
from .symbols import SYMBOLS

__all__ = ["spacy_keys"]

SEED = 1


def spacy_keys(words: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Return the keys of words, uint64 `(n,)`."""
    keys = murmur64a([word.encode() for word in words], SEED)
    for row, word in enumerate(words):
        if word in SYMBOLS:
            keys[row] = SYMBOLS[word]
    return keys
