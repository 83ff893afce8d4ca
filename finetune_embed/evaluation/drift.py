"""How far each word has moved from its start, and what its neighbours have become."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError
from ..table import EmbeddingTable, RevisedRows, Rows, Vectors, begins_with

__all__ = ["Band", "Drift", "Mover", "drift"]

Floats = npt.NDArray[np.float64]
Ranges = tuple[tuple[int, int | None], ...]
COUNT_BANDS: Ranges = ((0, 0), (1, 1), (2, 9), (10, 99), (100, 999), (1_000, None))
RANK_BANDS: Ranges = ((0, 999), (1_000, 9_999), (10_000, 99_999), (100_000, None))
BLOCK = 1 << 11


@dataclass(frozen=True)
class Band:
    """The rows of a range of frequencies or of row numbers.

    Attributes:
        name: the range, such as `seen 10 to 99 times`.
        rows: rows in it.
        moved: those that moved at all.
        median_movement: of the rows that moved, relative to the length of the start vector.
        median_cosine: between start and end, of the rows that moved.
    """

    name: str
    rows: int
    moved: int
    median_movement: float
    median_cosine: float


@dataclass(frozen=True)
class Mover:
    """A word that moved, with its neighbours before and after.

    Attributes:
        word: the word.
        movement: the distance between start and end, relative to the length of the start vector.
        cosine: between start and end.
        before: the nearest words and their cosines in the base table.
        after: the same in the tuned table.
    """

    word: str
    movement: float
    cosine: float
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]

    def __str__(self) -> str:
        before = ", ".join(word for word, _ in self.before)
        after = ", ".join(word for word, _ in self.after)
        return (
            f"{self.word}: moved {self.movement:.1%}, cosine to its start {self.cosine:.3f}\n"
            f"  before: {before}\n"
            f"  after:  {after}"
        )


@dataclass(frozen=True, eq=False)
class Drift:
    """What tuning did to a table. Prints as a report.

    Attributes:
        base: the table before, `V` rows.
        tuned: the table after.
        movement: float64 `(V,)`, each base row's distance to where it ended, relative to its
            length (for a zero row: the distance itself).
        cosine: float64 `(V,)`, between each base row and where it ended.
        moved: bool `(V,)`, whether a row changed by a single bit.
        new_rows: words of the tuned table that the base table lacks.
        bands: the rows by frequency, or by row number.
        banded_by: `frequency` or `row`.
    """

    base: EmbeddingTable
    tuned: EmbeddingTable
    movement: Floats
    cosine: Floats
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
        """Return what became of one word.

        Raises:
            VocabularyError: the base table lacks the word.
        """
        row = int(self.base.rows_of([word])[0])
        if row < 0:
            raise VocabularyError(f"{word!r} is not in the base table ({self.base!r})")
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
        """Return the figures of the report without any neighbours."""
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
            f"{rows - self.rows_moved:,} are bit for bit as they were; {self.new_rows:,} new rows",
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
            told = f"{band.median_movement:>11.1%}{band.median_cosine:>9.4f}" if band.moved else ""
            lines.append(f"{band.name:<26}{band.rows:>10,}{band.moved:>10,}{told}")
        movers = self.top(5)
        if movers:
            lines += ["", "farthest:", *(str(mover) for mover in movers)]
        return "\n".join(lines)


def drift(
    base: EmbeddingTable, tuned: EmbeddingTable, counts: Mapping[str, int] | None = None
) -> Drift:
    """Measure how far the rows of a table have moved.

    Args:
        base: the table before tuning, `(V, D)`.
        tuned: the table after; rows are matched by word, so order and further words don't matter.
        counts: how often each word occurs in the training data, for the frequency bands. Without,
            the bands go by row number, since files are often sorted by frequency.

    Raises:
        VocabularyError: the tables differ in dimension, or the tuned one lacks words of the base.
    """
    if base.vector_size != tuned.vector_size:
        raise VocabularyError(
            f"the base table has {base.vector_size} dimensions, the tuned one "
            f"{tuned.vector_size}; drift compares a table with its own tuned form"
        )
    starts, ends = _pairs(base, tuned)
    movement, cosine = np.zeros(len(base)), np.ones(len(base))
    moved = np.zeros(len(base), bool)
    for first in range(0, len(starts), BLOCK):
        at = starts[first : first + BLOCK]
        after = tuned.rows(ends[first : first + BLOCK])
        _measure(base.rows(at), after, at, movement, cosine, moved)
    if counts is None:
        frequency, bands, form = np.arange(len(base)), RANK_BANDS, "rows {}"
    else:
        frequency, rows = np.zeros(len(base), np.int64), base.rows_of(counts)
        frequency[rows[rows >= 0]] = np.array([*counts.values()], np.int64)[rows >= 0]
        bands, form = COUNT_BANDS, "seen {} times"
    return Drift(
        base,
        tuned,
        movement,
        cosine,
        moved,
        len(tuned) - len(base),
        tuple(
            _band(form, low, high, frequency, movement, cosine, moved)
            for low, high in bands
            if (frequency >= low).any()
        ),
        "row" if counts is None else "frequency",
    )


def _pairs(base: EmbeddingTable, tuned: EmbeddingTable) -> tuple[Rows, Rows]:
    """Return the rows of the base that may have moved, and where in the tuned table they ended.

    Raises:
        VocabularyError: the tuned table lacks words of the base.
    """
    stored = tuned.stored
    if (
        isinstance(stored, RevisedRows)
        and stored.base is base.stored
        and begins_with(tuned.words, base.words)
    ):
        return stored.at, stored.at
    ends = np.empty(len(base), np.int64)
    for first in range(0, len(base), BLOCK):
        ends[first : first + BLOCK] = tuned.rows_of(base.words[first : first + BLOCK])
    lost = np.flatnonzero(ends < 0)
    if len(lost):
        raise VocabularyError(
            f"the tuned table lacks {len(lost):,} of {len(base):,} words of the base, "
            f"{base.words[lost[0]]!r} the first; compare with "
            "base.subset(w for w in base.index_to_key if w in tuned)"
        )
    return np.arange(len(base)), ends


def _measure(
    before: Vectors,
    after: Vectors,
    at: Rows,
    movement: Floats,
    cosine: Floats,
    moved: npt.NDArray[np.bool_],
) -> None:
    """Fill in the rows `at`; one without a changed bit keeps movement 0, cosine 1."""
    before, after = np.ascontiguousarray(before), np.ascontiguousarray(after)
    changed = np.flatnonzero((before.view(np.uint32) != after.view(np.uint32)).any(axis=1))
    a, b = before[changed].astype(np.float64), after[changed].astype(np.float64)
    a_norm, b_norm = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    at = at[changed]
    moved[at] = True
    movement[at] = np.linalg.norm(b - a, axis=1) / np.where(a_norm > 0, a_norm, 1)
    norms = a_norm * b_norm
    cosine[at] = (a * b).sum(axis=1) / np.where(norms > 0, norms, 1)


def _band(
    form: str,
    low: int,
    high: int | None,
    frequency: npt.NDArray[np.int64],
    movement: Floats,
    cosine: Floats,
    moved: npt.NDArray[np.bool_],
) -> Band:
    inside = (frequency >= low) & (frequency <= (math.inf if high is None else high))
    if form.startswith("seen") and high == 0:
        name = "never seen in training"
    elif high is None:
        name = form.format(f"{low:,} or more")
    else:
        name = form.format(f"{low:,}" if low == high else f"{low:,} to {high:,}")
    at = inside & moved
    return Band(
        name.replace("seen 1 times", "seen once"),
        int(inside.sum()),
        int(at.sum()),
        float(np.median(movement[at])) if at.any() else 0.0,
        float(np.median(cosine[at])) if at.any() else 1.0,
    )
