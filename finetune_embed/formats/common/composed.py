"""What the readers of models with subwords share: words that are composed, behind those read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...table import EmbeddingTable, Origin, Vectors

__all__ = ["with_composed"]


def with_composed(
    table: EmbeddingTable, words: Sequence[str], vectors: Vectors, made: npt.NDArray[np.bool_]
) -> EmbeddingTable:
    """Return a table with those words behind its own that could be composed.

    Args:
        table: the words that were read.
        words: `n` words that it lacks.
        vectors: float32 `(n, D)`.
        made: bool `(n,)`, which words could be composed.
    """
    added = [word for word, could in zip(words, made.tolist(), strict=True) if could]
    origin = np.full(len(table) + len(added), Origin.COMPOSED, np.uint8)
    origin[: len(table)] = table.origin
    return table.revised(np.empty(0, np.int64), vectors[made], added, origin)
