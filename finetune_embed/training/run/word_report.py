"""What became of one word in a run."""

from __future__ import annotations

from dataclasses import dataclass

from ...evaluation import Mover
from ...vocabulary import EXACT
from .summary import MISSING, SPECIAL

__all__ = ["FOUND", "WordReport"]

#: What the column `found` of `words.parquet` means; any other value is a fallback step.
FOUND = {
    EXACT: "in the vectors",
    MISSING: "not in the vectors, a new row",
    SPECIAL: "a special token",
}


@dataclass(frozen=True)
class WordReport:
    """What became of one word. Prints as two or three lines.

    Attributes:
        word: the word.
        found: where its vector came from: the vectors, a new row, or nowhere.
        count: its number of occurrences in the training texts.
        movement: the distance it moved, relative to the norm of its initial vector; None without
            one.
        cosine: the cosine of its initial and its tuned vector; None without one.
        neighbours: the nearest words in the tuned table.
        mover: its neighbours before and after, if the base table is known.
    """

    word: str
    found: str
    count: int
    movement: float | None
    cosine: float | None
    neighbours: tuple[tuple[str, float], ...]
    mover: Mover | None

    def __str__(self) -> str:
        text = f"{self.word}: {self.found}, {self.count:,} times in the training texts"
        if self.mover is not None:
            return f"{text}\n{self.mover}"
        if self.movement is not None:
            text += f", moved {self.movement:.1%}, cosine to its start {self.cosine:.3f}"
        if self.neighbours:
            text += "\n  nearest: " + ", ".join(word for word, _ in self.neighbours)
        return text
