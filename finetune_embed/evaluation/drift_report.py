"""`Drift`: how far each word moved from its start, and how its neighbours changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError, printable
from ..table import EmbeddingTable, Rows, Vectors, missing_word
from .bands import Band
from .geometry import Geometry, geometry_of
from .grid import Grid
from .neighbour_overlap import Kept, kept_neighbours
from .plain import finite

__all__ = ["Drift", "Mover", "Neighbours"]


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


@dataclass(frozen=True)
class Neighbours:
    """The share of their nearest neighbours that words keep.

    Attributes:
        k: the number of neighbours of each word.
        moved: the share that words keep whose vectors moved.
        others: the share that the others keep, whose neighbours may have moved.
    """

    k: int
    moved: Kept
    others: Kept


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
        origins: the rows by where their values come from: untouched, trained, new, composed.
        at_end: int64 `(V,)`, the row of each base row in the tuned table.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> tuned = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 2]])
        >>> found = fe.drift(table, tuned)
        >>> found.movement.tolist(), found.rows_moved
        ([0.0, 1.0], 1)
    """

    base: EmbeddingTable
    tuned: EmbeddingTable
    movement: npt.NDArray[np.float64]
    cosine: npt.NDArray[np.float64]
    moved: npt.NDArray[np.bool_]
    new_rows: int
    bands: tuple[Band, ...]
    banded_by: str
    origins: tuple[Band, ...]
    at_end: Rows

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

    @cached_property
    def geometry(self) -> Geometry | None:
        """How the space of the rows that moved differs as a whole; None if fewer than two moved."""
        rows, ends = np.flatnonzero(self.moved), self.at_end
        base, tuned = self.base, self.tuned
        return geometry_of(
            rows, lambda at: (base.rows(at), tuned.rows(ends[at])), base.vector_size, base.words
        )

    def neighbours(self, k: int = 10, *, sample: int = 500, seed: int = 0) -> Neighbours:
        """Return the share of their nearest neighbours, by cosine, that words keep.

        Args:
            k: the number of neighbours of each word, among all words of the base table.
            sample: the number of words to measure, of those that moved and of those that did not:
                each is compared with the whole table. The interval states the error of that.
            seed: the seed of the sample.

        Raises:
            VocabularyError: `k` or `sample` is below 1.
        """
        for name, value in (("k", k), ("sample", sample)):
            if value < 1:
                raise VocabularyError("must be 1 or more", option=name, value=value)
        ends, tuned = self.at_end, self.tuned

        def after(part: slice) -> Vectors:
            at = ends[part]
            if at[-1] - at[0] == len(at) - 1 and (np.diff(at) == 1).all():
                return tuned.stored[int(at[0]) : int(at[-1]) + 1]
            return tuned.rows(at)

        found = [
            kept_neighbours(
                np.flatnonzero(group),
                self.base.stored.__getitem__,
                after,
                len(self.base),
                k=k,
                sample=sample,
                seed=seed,
            )
            for group in (self.moved, ~self.moved)
        ]
        return Neighbours(k, *found)

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
        """Return the whole report as plain values, ready for JSON."""
        found: dict[str, Any] = finite(self._found(top))
        return found

    def _found(self, top: int) -> dict[str, Any]:
        return {
            **self.summary(),
            "origins": [asdict(band) for band in self.origins],
            "geometry": None if self.geometry is None else asdict(self.geometry),
            "neighbours": asdict(self.neighbours()),
            "top": [asdict(mover) for mover in self.top(top)],
        }

    def summary(self) -> dict[str, Any]:
        """Return the figures of movement, which take no search and no second look at the rows."""
        return {
            "rows": len(self.base),
            "rows_moved": self.rows_moved,
            "new_rows": self.new_rows,
            "median_movement": self.median_movement,
            "median_cosine": self.median_cosine,
            "bands": [asdict(band) for band in self.bands],
        }

    def overview(self) -> str:
        """Return the part of the report that takes no second look at all rows that moved."""
        return "\n".join(map(str, [*self._figures(), *self._farthest()]))

    def lines(self) -> Iterator[str | Grid]:
        """Yield the lines and tables of the printed report."""
        parts = (self._figures, self._space, self._neighbours, self._directions, self._farthest)
        for part in parts:
            yield from part()

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines()))

    def _figures(self) -> list[str | Grid]:
        rows = len(self.base)
        lines: list[str | Grid] = [
            f"{self.rows_moved:,} of {rows:,} rows moved ({self.rows_moved / max(rows, 1):.2%}), "
            f"{rows - self.rows_moved:,} are bit-identical; {self.new_rows:,} new "
            f"row{'s' * (self.new_rows != 1)}",
        ]
        if self.rows_moved:
            lines.append(
                f"rows that moved: median movement {self.median_movement:.1%} of their length, "
                f"median cosine to their start {self.median_cosine:.4f}"
            )
        for name, bands in ((self.banded_by, self.bands), ("origin", self.origins)):
            cells = []
            for band in bands:
                medians = [f"{band.median_movement:.1%}", f"{band.median_cosine:.4f}"]
                moved = medians if band.moved else ["", ""]
                cells.append([band.name, f"{band.rows:,}", f"{band.moved:,}", *moved])
            heads = [name, "rows", "moved", "movement", "cosine"]
            lines += ["", Grid(heads, cells, widths=(26, 10, 10, 11, 9), gap="")]
        return lines

    def _space(self) -> list[str | Grid]:
        if (found := self.geometry) is None:
            return []
        sides, rotation = (found.before, found.after), found.rotation
        figures = {
            "mean length": [f"{one.mean_norm:.3f}" for one in sides],
            "mean cosine of two of them": [f"{one.mean_cosine:.4f}" for one in sides],
            "IsoScore, 1 if all dimensions vary alike": [f"{one.iso_score:.4f}" for one in sides],
        }
        heads = [f"space of the {found.rows:,} rows that moved", "before", "after"]
        rows = [[name, *ends] for name, ends in figures.items()]
        return [
            "",
            Grid(heads, rows, widths=(46, 9, 9), gap=""),
            f"one rotation of them all explains {rotation.explained:.1%} of their squared movement "
            f"(about {rotation.by_chance:.1%} if each moved at random)",
        ]

    def _neighbours(self) -> list[str | Grid]:
        if not self.rows_moved:
            return []
        found = self.neighbours()
        lines: list[str | Grid] = [
            "",
            f"share of the {found.k} nearest neighbours kept, with its 95% interval",
        ]
        for name, kept in (("words that moved", found.moved), ("other words", found.others)):
            if kept.words:
                lines.append(f"  {name:<18}{kept}")
        return lines

    def _directions(self) -> list[str | Grid]:
        if (found := self.geometry) is None:
            return []
        lines: list[str | Grid] = [
            "",
            "directions that many rows moved in, by their share of the squared movement "
            f"(about {1 / self.base.vector_size:.1%} each if they had none in common)",
        ]
        for one in found.directions:
            low, high = (", ".join(printable(w) for w, _ in end) for end in (one.low, one.high))
            lines += [f"  {one.share:>6.1%}  toward  {high}", f"{'':10}against {low}"]
        return lines

    def _farthest(self) -> list[str | Grid]:
        movers = self.top(5)
        return ["", "farthest:", *(str(mover) for mover in movers)] if movers else []
