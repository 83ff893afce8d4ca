"""Words that a subword model composes, added to a table after those read from its file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...table import EmbeddingTable, Origin, Vectors

__all__ = ["with_composed"]


def with_composed(
    table: EmbeddingTable, words: Sequence[str], vectors: Vectors, composed: npt.NDArray[np.bool_]
) -> EmbeddingTable:
    """Return a table with the composed words added after its own.

    Args:
        table: the words that were read.
        words: `n` words that are not in the table.
        vectors: float32 `(n, D)`.
        composed: bool `(n,)`, which of the words could be composed.
    """
    added = [word for word, made in zip(words, composed.tolist(), strict=True) if made]
    origin = np.full(len(table) + len(added), Origin.COMPOSED, np.uint8)
    origin[: len(table)] = table.origin
    return table.patched(np.empty(0, np.int64), vectors[composed], added, origin)
