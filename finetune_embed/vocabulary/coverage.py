"""`Coverage`: how much of a vocabulary a table has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Coverage"]

MISSING_SHOWN = 10


@dataclass(frozen=True)
class Coverage:
    """How much of a vocabulary a table has.

    Attributes:
        types: distinct words in the vocabulary.
        types_found: those that the table has.
        tokens: running words in the data set.
        tokens_found: those whose word the table has.
        missing: the words the table lacks with their counts, the most frequent first.
        by_step: where a fallback was used, for `exact` and each of its steps the `types` and the
            `tokens` that it found.
    """

    types: int
    types_found: int
    tokens: int
    tokens_found: int
    missing: tuple[tuple[str, int], ...]
    by_step: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        text = (
            f"coverage: {self.types_found:,} of {self.types:,} words "
            f"({self.types_found / max(self.types, 1):.1%}), "
            f"{self.tokens_found / max(self.tokens, 1):.1%} of {self.tokens:,} running words"
        )
        if self.by_step:
            text += "\nfound: " + ", ".join(
                f"{step} {n['types']:,} ({n['tokens'] / max(self.tokens, 1):.1%})"
                for step, n in self.by_step.items()
            )
        if self.missing:
            shown = ", ".join(f"{word} ({n:,})" for word, n in self.missing[:MISSING_SHOWN])
            text += f"\nnot in the table: {shown}"
            text += ", ..." if len(self.missing) > MISSING_SHOWN else ""
        return text
