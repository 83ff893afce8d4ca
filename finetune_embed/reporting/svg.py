"""Charts as SVG: plain marks with classes, whose colours `figures.css` has for light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

from ..errors import printable

__all__ = ["Axis", "Chart", "Point", "number", "ticks_of"]


class Point(NamedTuple):
    """A mark: its place, and what a reader who points at it sees."""

    x: float
    y: float
    title: str = ""


class Axis(NamedTuple):
    """An axis.

    Attributes:
        low: the value at its start.
        high: the value at its end.
        ticks: the values that are marked, and their texts.
        title: what the values are.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    title: str

    def at(self, value: float, start: float, end: float) -> float:
        """Return the place of a value between two places."""
        return start + (value - self.low) / ((self.high - self.low) or 1) * (end - start)


def ticks_of(low: float, high: float, most: int = 6, whole: bool = False) -> list[float]:
    """Return round values from `low` to `high`, at most about `most`."""
    if not high > low:
        return [low]
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(step * factor for factor in (1, 2, 5, 10) if (high - low) / (step * factor) <= most)
    step = max(1.0, step) if whole else step
    first = math.ceil(low / step - 1e-9)
    return [float(f"{n * step:.12g}") for n in range(first, math.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """Return a coordinate as text, the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")


def _shown(text: str) -> str:
    """Return a text as XML can hold it: escaped, also where characters do not print."""
    return escape(printable(text))


@dataclass
class Chart:
    """A chart with two axes.

    Attributes:
        name: its name, such as `training-loss`, which is also that of its file.
        title: its title.
        about: what it shows, in a sentence, for readers who cannot see it.
        x: the axis below.
        y: the axis to the left.
        height: its height; the width is 360, that of a phone.
        left: the room for the texts of the axis to the left.
        lines: whether values of the axis to the left have lines.
    """

    name: str
    title: str
    about: str
    x: Axis
    y: Axis
    height: int = 240
    left: int = 52
    lines: bool = True
    marks: list[str] = field(default_factory=list)
    legend: list[tuple[str, str]] = field(default_factory=list)

    width, bottom, right = 360, 44, 14

    @property
    def top(self) -> int:
        """The room above the marks."""
        return 26 if self.y.title or self.legend else 8

    def place(self, point: Point) -> tuple[float, float]:
        """Return where a point is drawn."""
        return (
            self.x.at(point.x, self.left, self.width - self.right),
            self.y.at(point.y, self.height - self.bottom, self.top),
        )

    def line(self, points: Sequence[Point], kind: str, text: str = "") -> None:
        """Draw a line through points; values that are not finite are gaps."""
        places = [self.place(p) if math.isfinite(p.x + p.y) else None for p in points]
        path, pen = [], "M"
        for place in places:
            if place is not None:
                path.append(f"{pen}{number(place[0])} {number(place[1])}")
            pen = "M" if place is None else "L"
        self.marks.append(f'<path class="line {kind}" d="{"".join(path)}"/>')
        self.dots(points, kind, 2.6)
        if text:
            self.legend.append((kind, text))

    def dots(self, points: Sequence[Point], kind: str, radius: float = 4) -> None:
        """Draw points."""
        for point in points:
            if math.isfinite(point.x + point.y):
                x, y = map(number, self.place(point))
                title = f"<title>{_shown(point.title)}</title>" if point.title else ""
                mark = f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="{radius}">{title}</circle>'
                self.marks.append(mark)

    def stroke(self, start: Point, end: Point, kind: str) -> None:
        """Draw a straight line."""
        (a, b), (c, d) = self.place(start), self.place(end)
        title = f"<title>{_shown(start.title)}</title>" if start.title else ""
        self.marks.append(
            f'<line class="{kind}" x1="{number(a)}" y1="{number(b)}" x2="{number(c)}" '
            f'y2="{number(d)}">{title}</line>'
        )

    def bar(self, low: Point, high: Point, kind: str, thick: float = 14) -> None:
        """Draw a bar between two points of the same `y`."""
        (start, y), (end, _) = self.place(low), self.place(high)
        x, width = number(min(start, end)), number(max(abs(end - start), 1))
        title = f"<title>{_shown(low.title)}</title>" if low.title else ""
        self.marks.append(
            f'<rect class="bar {kind}" x="{x}" y="{number(y - thick / 2)}" width="{width}" '
            f'height="{number(thick)}" rx="2">{title}</rect>'
        )

    def cell(self, low: Point, high: Point, share: float) -> None:
        """Draw a cell that is the darker the larger a share is."""
        (a, d), (c, b) = self.place(low), self.place(high)
        title = f"<title>{_shown(low.title)}</title>" if low.title else ""
        self.marks.append(
            f'<rect class="cell" x="{number(a)}" y="{number(b)}" width="{number(c - a)}" '
            f'height="{number(d - b)}" fill-opacity="{share:.2f}">{title}</rect>'
        )

    def text(
        self, point: Point, text: str, kind: str = "", right: float = 0, down: float = 0
    ) -> None:
        """Write a text so far from a point; it begins there, or has its `middle` or `end` there."""
        x, y = self.place(point)
        x, y = x + right, y + down + 4
        kind = f"note {kind}".strip()
        self.marks.append(
            f'<text class="{kind}" x="{number(x)}" y="{number(y)}">{_shown(text)}</text>'
        )

    def svg(self, style: str = "") -> str:
        """Return the chart as SVG.

        Args:
            style: the style sheet, for a file of its own; a page has it once.
        """
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'role="img" aria-labelledby="{self.name}-title {self.name}-about" class="figure">',
            f'<title id="{self.name}-title">{_shown(self.title)}</title>',
            f'<desc id="{self.name}-about">{_shown(self.about)}</desc>',
        ]
        if style:
            parts += [f"<style>{style}</style>", '<rect class="paper" width="100%" height="100%"/>']
        return "".join([*parts, *self._axes(), *self.marks, *self._legend(), "</svg>"])

    def _axes(self) -> list[str]:
        left, right = self.left, self.width - self.right
        top, bottom = self.top, self.height - self.bottom
        parts = []
        for value, text in self.y.ticks:
            y = number(self.y.at(value, bottom, top))
            if self.lines:
                parts.append(f'<line class="grid" x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>')
            parts.append(
                f'<text class="tick end" x="{left - 6}" y="{float(y) + 4:g}">{_shown(text)}</text>'
            )
        for value, text in self.x.ticks:
            x = number(self.x.at(value, left, right))
            parts.append(
                f'<text class="tick middle" x="{x}" y="{bottom + 16}">{_shown(text)}</text>'
            )
        parts.append(f'<line class="axis" x1="{left}" y1="{bottom}" x2="{right}" y2="{bottom}"/>')
        middle = number((left + right) / 2)
        parts.append(
            f'<text class="label middle" x="{middle}" y="{self.height - 8}">'
            f"{_shown(self.x.title)}</text>"
        )
        if self.y.title:
            parts.append(f'<text class="label" x="4" y="14">{_shown(self.y.title)}</text>')
        return parts

    def _legend(self) -> list[str]:
        parts, x = [], float(self.width - self.right)
        for kind, text in reversed(self.legend):
            x -= 6.4 * len(text)
            parts.append(f'<text class="label" x="{number(x)}" y="14">{_shown(text)}</text>')
            x -= 9
            parts.append(f'<circle class="dot {kind}" cx="{number(x)}" cy="10" r="4"/>')
            x -= 12
        return parts
