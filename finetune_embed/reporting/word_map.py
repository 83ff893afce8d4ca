"""The words of a page: which ones, their places on a map before and after, and their neighbours."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..errors import printable
from ..evaluation import movement_of
from ..table import EmbeddingTable, unit
from ..training.run.run import Run
from ..training.run.summary import MISSING, SPECIAL
from ..training.runtime.progress import CountBar

__all__ = ["ARROWS", "MOST", "NEIGHBOURS", "Words", "words_of_page"]

NEIGHBOURS = 8
MOST = 65_000  # words whose numbers two bytes hold, with one number for none
NONE = 65_535
BLOCK = 512  # words whose neighbours are looked for together
ARROWS = 12  # words whose path the map shows at first
EDGE = 0.5  # per cent of the words on each side that the first view of the map may leave out
FOUND = 1 << 18  # rows of a table, with their words, looked at for those that training lacks

Floats = npt.NDArray[np.float32]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Words:
    """The words of a page, those of the training texts first, most frequent first.

    Attributes:
        words: the `W` words.
        counts: int64 `(W,)`, how often each is in the training texts.
        movement: float32 `(W,)`, how far each moved, relative to the length of its start; NaN
            where that is not known.
        cosine: float32 `(W,)`, between start and end; NaN where that is not known.
        in_base: bool `(W,)`, which words the base table has; none where that is not known.
        before: float32 `(W, 2)`, the place of each before tuning, or where it is now.
        after: float32 `(W, 2)`, its place after.
        shares: the shares of the variance that the two axes of the map have.
        neighbours: for `before` and `after`, int64 `(W, K)` neighbours and their cosines; the
            number of a neighbour that is not there is -1.
        total: the number of words of the tuned table.
    """

    words: list[str]
    counts: Numbers
    movement: Floats
    cosine: Floats
    in_base: npt.NDArray[np.bool_]
    before: Floats
    after: Floats
    shares: tuple[float, float]
    neighbours: Mapping[str, tuple[Numbers, Floats]]
    total: int

    def farthest(self, most: int, with_letters: bool = False) -> list[int]:
        """Return the numbers of the words that moved farthest."""
        far = np.nan_to_num(self.movement, nan=-1.0)
        if with_letters:
            far[[not any(map(str.isalpha, word)) for word in self.words]] = -1
        order = np.argsort(-far, kind="stable")[:most]
        return [int(at) for at in order if far[at] > 0]

    def near(self, which: str, at: int) -> list[str]:
        """Return the neighbours of a word, `before` or `after`."""
        return [self.words[one] for one in self.neighbours[which][0][at].tolist() if one >= 0]

    def view(self, farthest: list[int]) -> Floats:
        """Return the lowest and the highest place that the map shows at first, `(2, 2)`.

        A few words at its edges are not in it, but the paths of those that moved farthest are.
        """
        both = np.concatenate([self.before, self.after])
        inner = np.percentile(both, (EDGE, 100 - EDGE), axis=0)
        shown = np.concatenate([inner, self.before[farthest], self.after[farthest]])
        return np.stack([shown.min(axis=0), shown.max(axis=0)]).astype(np.float32)

    def packed(self) -> dict[str, Any]:
        """Return everything as the script of the page reads it: text and numbers in base64."""
        both = np.concatenate([self.before, self.after])
        low, high = both.min(axis=0), both.max(axis=0)
        scale = np.where(high > low, high - low, 1)
        places = np.stack([self.before, self.after], axis=1)
        quantised = np.rint((places - low) / scale * 65_535)
        farthest = self.farthest(ARROWS, with_letters=True)
        view = (self.view(farthest) - low) / scale
        packed: dict[str, Any] = {
            "words": "\n".join(map(printable, self.words)),
            "shape": [round(float(one), 4) for one in scale / scale.max()],
            "view": [[round(float(one), 4) for one in row] for row in view],
            "known": bool(self.in_base.any()),
            "farthest": farthest,
            "count": _base64(np.minimum(self.counts, 2**32 - 1), "<u4"),
            "movement": _base64(self.movement, "<f4"),
            "cosine": _base64(self.cosine, "<f4"),
            "inBase": _base64(self.in_base, "u1"),
            "places": _base64(quantised, "<u2"),
        }
        for name, (numbers, cosines) in self.neighbours.items():
            packed[name] = _base64(np.where(numbers < 0, NONE, numbers), "<u2")
            packed[f"{name}Cosine"] = _base64(np.rint(100 * cosines.clip(-1, 1)) + 100, "u1")
        return packed


def words_of_page(
    run: Run, base: EmbeddingTable | None, most: int, bar: CountBar | None = None
) -> Words:
    """Return the words of a page.

    Args:
        run: the run.
        base: the table that it was tuned from; None if it is not known.
        most: the number of words at most.
        bar: the bar to show progress on; none when left out.
    """
    words, rows, counts = _chosen(run, most)
    tuned = run.table.rows(rows).astype(np.float32)
    start = tuned.copy()
    known = np.zeros(len(words), bool)
    if base is not None:
        found = base.rows_of(words)
        known = np.asarray(found >= 0)
        start[known] = base.rows(found[known])
    movement, cosine = _moved(run, words, start, tuned, known)
    places, shares = _on_map(start, tuned)
    steps = (len(words) + BLOCK - 1) // BLOCK
    bar = bar or CountBar(False, 0)
    bar.add(steps * (1 + bool(known.any())))
    bar.begin("neighbours of words")
    neighbours = {"after": _neighbours(tuned, np.ones(len(words), bool), bar)}
    if known.any():
        neighbours["before"] = _neighbours(start, known, bar)
    return Words(
        words,
        counts,
        movement,
        cosine,
        known,
        places[: len(words)],
        places[len(words) :],
        shares,
        neighbours,
        len(run.table),
    )


def _chosen(run: Run, most: int) -> tuple[list[str], Numbers, Numbers]:
    """Return the words of a page, their rows in the tuned table, and their counts."""
    columns = (run.words[name] for name in ("word", "found", "count"))
    seen = [(word, count) for word, found, count in zip(*columns, strict=True) if found != SPECIAL]
    seen.sort(key=lambda one: -one[1])
    words = [word for word, _ in seen][:most]
    rows = run.table.rows_of(words)
    words = [word for word, row in zip(words, rows.tolist(), strict=True) if row >= 0]
    rows = rows[rows >= 0]
    more = np.setdiff1d(np.arange(min(len(run.table), FOUND)), rows)[: most - len(rows)]
    words += [run.table.words[int(row)] for row in more]
    by_word = dict(seen)
    counts = np.array([by_word.get(word, 0) for word in words], np.int64)
    return words, np.concatenate([rows, more]), counts


def _moved(
    run: Run, words: list[str], start: Floats, tuned: Floats, known: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return how far words moved, and the cosines to their starts, NaN where that is not known."""
    movement, cosine = (np.full(len(words), np.nan, np.float32) for _ in range(2))
    if known.any():
        found = movement_of(start[known], tuned[known])
        movement[known], cosine[known] = found.distance, found.cosine
        return movement, cosine
    columns = (run.words[name] for name in ("word", "found", "movement", "cosine"))
    stored = {
        word: (far, near)
        for word, found, far, near in zip(*columns, strict=True)
        if far is not None and near is not None and found != MISSING
    }
    for at, word in enumerate(words):
        movement[at], cosine[at] = stored.get(word, (np.nan, np.nan))
    return movement, cosine


def _on_map(start: Floats, tuned: Floats) -> tuple[Floats, tuple[float, float]]:
    """Return the places of all vectors on the first two principal axes of both tables.

    The axes are those of the words before and after together, so that a place means the same in
    both; no table is turned. The sign of an axis is that of its largest weight.
    """
    both = np.concatenate([start, tuned]).astype(np.float64)
    both[~np.isfinite(both).all(axis=1)] = 0.0
    both -= both.mean(axis=0)
    variances, axes = np.linalg.eigh(both.T @ both)
    chosen = axes[:, ::-1][:, :2]
    largest = np.abs(chosen).argmax(axis=0)
    chosen = chosen * np.where(chosen[largest, np.arange(chosen.shape[1])] < 0, -1, 1)
    places = np.zeros((len(both), 2), np.float32)
    places[:, : chosen.shape[1]] = both @ chosen
    shares = [float(one) for one in variances[::-1][:2] / (variances.sum() or 1)]
    first, second = (*shares, 0.0)[:2]
    return places, (first, second)


def _neighbours(
    vectors: Floats, which: npt.NDArray[np.bool_], bar: CountBar
) -> tuple[Numbers, Floats]:
    """Return the nearest words of each word by cosine, among those of `which`, and the cosines.

    `top_rows` is for a few queries, and keeps the first of equals; here every word asks, in blocks
    that a bar counts.
    """
    (at,) = which.nonzero()
    directions = torch.from_numpy(unit(vectors[at])).nan_to_num()
    count = min(NEIGHBOURS, len(at) - 1)
    numbers = np.full((len(vectors), NEIGHBOURS), -1, np.int64)
    cosines = np.zeros((len(vectors), NEIGHBOURS), np.float32)
    scores = torch.empty(min(BLOCK, len(at)), len(at))
    for first in range(0, len(at), BLOCK):
        own = at[first : first + BLOCK]
        rows = torch.arange(len(own))
        found = scores[: len(own)]
        torch.mm(directions[first : first + BLOCK], directions.T, out=found)
        found[rows, rows + first] = -2
        best = found.topk(count, dim=1)
        numbers[own, :count] = at[best.indices.numpy()]
        cosines[own, :count] = best.values.numpy()
        bar.advance()
    return numbers, cosines


def _base64(values: npt.NDArray[Any], kind: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values.astype(kind)).tobytes()).decode()
