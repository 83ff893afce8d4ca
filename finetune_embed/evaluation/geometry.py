"""How the space of the rows that moved differs as a whole before and after tuning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..table import Rows, Vectors

__all__ = ["Direction", "Geometry", "Rotation", "Space", "geometry_of"]

BLOCK = 1 << 11  # rows read at a time
DIRECTIONS = 3  # shared directions that are reported
ENDS = 6  # words at each end of one

Matrix = npt.NDArray[np.float64]
#: Returns rows of the base and of the tuned table, both `(n, D)`.
Pairs = Callable[[Rows], tuple[Vectors, Vectors]]


@dataclass(frozen=True)
class Space:
    """The shape of a set of vectors.

    Attributes:
        mean_norm: the mean length.
        mean_cosine: the mean cosine of all pairs of different vectors: 0 if they point everywhere,
            1 if they all point in one direction (Ethayarajh 2019).
        iso_score: how evenly the variance is spread over the dimensions, from 0, in one of them, to
            1, in all alike (IsoScore; Rudman et al. 2022). Neither lengths nor the mean count.
    """

    mean_norm: float
    mean_cosine: float
    iso_score: float


@dataclass(frozen=True)
class Rotation:
    """How much of the movement is one rotation, or reflection, of all rows: it changes no cosine.

    The rotation is the solution of the orthogonal Procrustes problem (Schönemann 1966).

    Attributes:
        displacement: the Frobenius norm of the movement, relative to that of the rows before.
        residual: that of what remains after the rows before are rotated, relative to the same.
        explained: the share of the squared movement that the rotation explains.
        by_chance: about the share that it would explain if every row moved at random.
    """

    displacement: float
    residual: float
    explained: float
    by_chance: float


@dataclass(frozen=True)
class Direction:
    """A direction in which many rows moved: a singular vector of the movements.

    Attributes:
        share: its share of the sum of all squared movements.
        low: the words that moved farthest against it, farthest first, and how far.
        high: the words that moved farthest along it.
    """

    share: float
    low: tuple[tuple[str, float], ...]
    high: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Geometry:
    """How the space of the rows that moved differs as a whole before and after.

    Attributes:
        rows: the number of rows that it is of: those that moved and have finite values.
        before: their space before tuning.
        after: their space after it.
        rotation: how much of the movement is a rotation of all of them.
        directions: the directions that most of the movement is along, largest share first.
    """

    rows: int
    before: Space
    after: Space
    rotation: Rotation
    directions: tuple[Direction, ...]


@dataclass
class _Sums:
    """Sums over one side of the rows, from which its `Space` follows."""

    size: int
    rows: int = 0
    norms: float = 0.0
    directed: int = 0
    total: Matrix = field(init=False)
    units: Matrix = field(init=False)
    gram: Matrix = field(init=False)

    def __post_init__(self) -> None:
        self.total, self.units = np.zeros(self.size), np.zeros(self.size)
        self.gram = np.zeros((self.size, self.size))

    def add(self, block: Matrix) -> None:
        norms = np.linalg.norm(block, axis=1)
        self.rows += len(block)
        self.norms += float(norms.sum())
        self.directed += int((norms > 0).sum())
        self.total += block.sum(axis=0)
        self.units += (block / np.where(norms > 0, norms, 1)[:, None]).sum(axis=0)
        self.gram += block.T @ block

    def space(self) -> Space:
        n, pairs = self.rows, self.directed * (self.directed - 1)
        cosine = (self.units @ self.units - self.directed) / pairs if pairs else float("nan")
        mean = self.total / n
        covariance = self.gram - n * np.outer(mean, mean)
        squares = float((covariance**2).sum())
        # the published steps, from eigenvalues to the score, come down to this
        spread = float(np.trace(covariance)) ** 2 / squares if squares else float("nan")
        score = (spread - 1) / (self.size - 1) if self.size > 1 else 1.0
        return Space(self.norms / n, float(cosine), score)


def geometry_of(rows: Rows, pairs: Pairs, size: int, words: Sequence[str]) -> Geometry | None:
    """Measure the space of rows before and after tuning, exactly, in two passes over the rows.

    Args:
        rows: the rows that moved.
        pairs: reads rows before and after.
        size: the number of dimensions `D`.
        words: the word of every row of the base.

    Returns:
        None without two rows of finite values, or where zeros changed their sign alone.
    """
    before, after = _Sums(size), _Sums(size)
    cross, moves = np.zeros((size, size)), np.zeros((size, size))
    for _, a, b in _finite(rows, pairs):
        before.add(a)
        after.add(b)
        cross += a.T @ b
        moves += (b - a).T @ (b - a)
    moved = float(np.trace(moves))
    if before.rows < 2 or not moved:
        return None
    left, _, right = np.linalg.svd(cross)
    rotate = left @ right
    vectors = np.linalg.eigh(moves)[1][:, ::-1][:, :DIRECTIONS]
    remaining, numbers, along = 0.0, list[Rows](), list[Matrix]()
    for at, a, b in _finite(rows, pairs):
        remaining += float(((a @ rotate - b) ** 2).sum())
        numbers.append(at)
        along.append((b - a) @ vectors)
    length = float(np.trace(before.gram))
    rotation = Rotation(
        (moved / length) ** 0.5 if length else float("nan"),
        (remaining / length) ** 0.5 if length else float("nan"),
        1 - remaining / moved,
        min(1.0, (size - 1) / (2 * before.rows)),  # its D (D - 1) / 2 numbers, of n D
    )
    where, moved_along = np.concatenate(numbers), np.concatenate(along)
    shares = (moved_along**2).sum(axis=0) / moved
    directions = tuple(
        _direction(float(share), values, where, words)
        for share, values in zip(shares, moved_along.T, strict=True)
    )
    return Geometry(before.rows, before.space(), after.space(), rotation, directions)


def _finite(rows: Rows, pairs: Pairs) -> Iterator[tuple[Rows, Matrix, Matrix]]:
    """Yield blocks of the rows that are finite before and after."""
    for first in range(0, len(rows), BLOCK):
        at = rows[first : first + BLOCK]
        a, b = (side.astype(np.float64) for side in pairs(at))
        finite = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
        if not finite.all():
            at, a, b = at[finite], a[finite], b[finite]
        if len(at):
            yield at, a, b


def _direction(share: float, values: Matrix, rows: Rows, words: Sequence[str]) -> Direction:
    """Return a direction, turned so that its farthest word is at the high end."""
    if values[np.abs(values).argmax()] < 0:
        values = -values
    order = np.argsort(values, kind="stable")
    ends = order[:ENDS], order[::-1][:ENDS]
    low, high = (tuple((words[int(rows[i])], float(values[i])) for i in end) for end in ends)
    return Direction(share, low, high)
