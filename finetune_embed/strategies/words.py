"""What a strategy needs of a vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

__all__ = ["Words"]


class Words(Protocol):
    """The words of a table's `V` rows; `Vocabulary` is one."""

    def __len__(self) -> int: ...

    @property
    def key_to_index(self) -> Mapping[str, int]:
        """The row of each word."""

    @property
    def counts(self) -> Any:
        """How often the word of each row occurs, an int64 array `(V,)`."""

    @property
    def unk_idx(self) -> int | None:
        """The row of unknown words, None if there is none."""
