"""Where the values of a row come from."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Origin"]


class Origin(IntEnum):
    """Where a row's values come from; the codes of `EmbeddingTable.origin`."""

    PRETRAINED = 0
    TUNED = 1
    NEW = 2
    COMPOSED = 3
