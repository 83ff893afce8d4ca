"""`Drift`: how far each word moved from its start, and how its neighbours changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import printable
from ..table import EmbeddingTable, missing_word
from .bands import Band

__all__ = ["Drift", "Mover"]


@dataclass(frozen=True)
class Mover:
    """A word that moved, with its neighbours before and after.

    Attributes:
        word: the word.
        movement: the distance between start and end, relative to the length of the start vector.
        cosine: between start and end.
        before: the nearest words and their cosines in the base table.
        after: the nearest words and their cosines in the tuned table.
    """

    word: str
    movement: float
    cosine: float
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        before = ", ".join(printable(word) for word, _ in self.before)
        after = ", ".join(printable(word) for word, _ in self.after)
        return (
            f"{printable(self.word)}: moved {self.movement:.1%}, "
            f"cosine to its start {self.cosine:.3f}\n"
            f"  before: {before}\n"
            f"  after:  {after}"
        )


@dataclass(frozen=True, eq=False)
class Drift:
    """How tuning changed a table. Prints as a report.

    Attributes:
        base: the table before, `V` rows.
        tuned: the table after.
        movement: float64 `(V,)`, the distance of each base row to its end, relative to its length
            (for a zero row, the distance itself).
        cosine: float64 `(V,)`, between each base row and its end.
        moved: bool `(V,)`, whether a row changed by a single bit.
        new_rows: the number of words of the tuned table that the base table lacks.
        bands: the rows by frequency, or by row number.
        banded_by: `frequency` or `row`.
    """

    base: EmbeddingTable
    tuned: EmbeddingTable
    movement: npt.NDArray[np.float64]
    cosine: npt.NDArray[np.float64]
    moved: npt.NDArray[np.bool_]
    new_rows: int
    bands: tuple[Band, ...]
    banded_by: str = "frequency"

    @property
    def rows_moved(self) -> int:
        """The number of base rows that moved at all."""
        return int(self.moved.sum())

    @property
    def median_movement(self) -> float:
        """The median relative movement of the rows that moved; 0 if none did."""
        return float(np.median(self.movement[self.moved])) if self.rows_moved else 0.0

    @property
    def median_cosine(self) -> float:
        """The median cosine between start and end of the rows that moved; 1 if none did."""
        return float(np.median(self.cosine[self.moved])) if self.rows_moved else 1.0

    def word(self, word: str, topn: int = 8) -> Mover:
        """Return how far one word moved, with `topn` neighbours before and after.

        Raises:
            VocabularyError: the base table lacks the word.
        """
        row = int(self.base.rows_of([word])[0])
        if row < 0:
            where = f"the base table ({self.base!r})"
            raise missing_word(word, where, self.base.words, self.base.__contains__)
        return self._movers([row], topn)[0]

    def top(self, n: int = 10, topn: int = 8) -> list[Mover]:
        """Return the `n` words that moved farthest, with `topn` neighbours before and after.

        Words whose vector became NaN come first.
        """
        far = np.nan_to_num(self.movement, nan=np.inf, posinf=np.inf)
        order = np.argsort(-far, kind="stable")[:n]
        return self._movers([int(row) for row in order if self.moved[row]], topn)

    def _movers(self, rows: list[int], topn: int) -> list[Mover]:
        if not rows:
            return []
        words = [self.base.words[row] for row in rows]
        starts, ends = np.array(rows, np.int64), self.tuned.rows_of(words)
        before = self.base.nearest(self.base.rows(starts), topn, [[row] for row in rows])
        after = self.tuned.nearest(self.tuned.rows(ends), topn, [[int(end)] for end in ends])
        return [
            Mover(word, float(self.movement[row]), float(self.cosine[row]), tuple(b), tuple(a))
            for word, row, b, a in zip(words, rows, before, after, strict=True)
        ]

    def to_dict(self, top: int = 10) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return {**self.summary(), "top": [asdict(mover) for mover in self.top(top)]}

    def summary(self) -> dict[str, Any]:
        """Return the figures of the report, without neighbours."""
        return {
            "rows": len(self.base),
            "rows_moved": self.rows_moved,
            "new_rows": self.new_rows,
            "median_movement": self.median_movement,
            "median_cosine": self.median_cosine,
            "bands": [asdict(band) for band in self.bands],
        }

    def __str__(self) -> str:
        rows = len(self.base)
        lines = [
            f"{self.rows_moved:,} of {rows:,} rows moved ({self.rows_moved / max(rows, 1):.2%}), "
            f"{rows - self.rows_moved:,} are bit-identical; {self.new_rows:,} new "
            f"row{'s' * (self.new_rows != 1)}",
        ]
        if self.rows_moved:
            lines.append(
                f"rows that moved: median movement {self.median_movement:.1%} of their length, "
                f"median cosine to their start {self.median_cosine:.4f}"
            )
        lines += [
            "",
            f"{self.banded_by:<26}{'rows':>10}{'moved':>10}{'movement':>11}{'cosine':>9}",
        ]
        for band in self.bands:
            medians = f"{band.median_movement:>11.1%}{band.median_cosine:>9.4f}"
            moved = f"{band.moved:>10,}{medians if band.moved else ''}"
            lines.append(f"{band.name:<26}{band.rows:>10,}{moved}")
        movers = self.top(5)
        if movers:
            lines += ["", "farthest:", *(str(mover) for mover in movers)]
        return "\n".join(lines)
