"""Where the values of a row come from."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Origin"]


class Origin(IntEnum):
    """Where a row's values come from; the codes of `EmbeddingTable.origin`.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> longer = fe.extend(table, ["fine"], oov="mean")
        >>> [fe.Origin(code).name for code in longer.origin]
        ['PRETRAINED', 'PRETRAINED', 'NEW']
    """

    PRETRAINED = 0
    TUNED = 1
    NEW = 2
    COMPOSED = 3
