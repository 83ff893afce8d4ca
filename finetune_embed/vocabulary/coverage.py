"""`Coverage`: how much of a vocabulary a table has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..errors import printable
from .fallback import LookupResult

__all__ = ["Coverage"]

MISSING_SHOWN = 10


@dataclass(frozen=True)
class Coverage:
    """How much of a vocabulary a table has.

    Attributes:
        types: the number of distinct words in the vocabulary.
        types_found: how many of them the table has.
        tokens: the number of tokens in the data set.
        tokens_found: how many of them are words that the table has.
        missing: the words that the table lacks with their counts, the most frequent first.
        by_step: if a fallback chain was used, the `types` and `tokens` found by `exact` and by each
            step of the chain.

    Example:
        >>> vocab = fe.Vocabulary.from_texts(["a good film", "a bad film"])
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> coverage = vocab.coverage(table)
        >>> coverage.types_found, coverage.types
        (2, 4)
    """

    types: int
    types_found: int
    tokens: int
    tokens_found: int
    missing: tuple[tuple[str, int], ...]
    by_step: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @classmethod
    def of(
        cls, words: Sequence[str], counts: npt.NDArray[np.int64], lookup: LookupResult
    ) -> Coverage:
        """Return the coverage of words that were looked up.

        Args:
            words: `n` words.
            counts: int64 `(n,)`, how often each occurs.
            lookup: how each was found.
        """
        found = lookup.is_found
        by_step = {
            step: {"types": int(by.sum()), "tokens": int(counts[by].sum())}
            for step, by in ((step, lookup.found_by(step)) for step in lookup.step_names)
        }
        missing = np.flatnonzero(~found)
        missing = missing[np.argsort(-counts[missing], kind="stable")]
        missing_words = [words[at] for at in missing.tolist()]
        return cls(
            types=len(words),
            types_found=int(found.sum()),
            tokens=int(counts.sum()),
            tokens_found=int(counts[found].sum()),
            missing=tuple(zip(missing_words, counts[missing].tolist(), strict=True)),
            by_step=by_step if len(by_step) > 1 else {},
        )

    def __str__(self) -> str:
        text = (
            f"coverage: {self.types_found:,} of {self.types:,} words "
            f"({self.types_found / max(self.types, 1):.1%}), "
            f"{self.tokens_found / max(self.tokens, 1):.1%} of {self.tokens:,} tokens"
        )
        if self.by_step:
            text += "\nfound: " + ", ".join(
                f"{step} {n['types']:,} ({n['tokens'] / max(self.tokens, 1):.1%})"
                for step, n in self.by_step.items()
            )
        if self.missing:
            shown = ", ".join(
                f"{printable(word)} ({n:,})" for word, n in self.missing[:MISSING_SHOWN]
            )
            text += f"\nnot in the table: {shown}"
            text += ", ..." if len(self.missing) > MISSING_SHOWN else ""
        return text
