"""What the sections of a page are made of: plain values that `page.html` lays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from ..errors import printable
from .svg import Chart
from .texts import ShownText
from .word_map import Words

__all__ = [
    "Cell",
    "Figures",
    "Map",
    "Part",
    "Section",
    "Table",
    "Text",
    "Texts",
    "Tile",
    "Tiles",
    "plain_rows",
]


class Cell(NamedTuple):
    """A cell of a table: its text, and the number that it is sorted by, None for its text."""

    text: str
    value: float | None = None


class Tile(NamedTuple):
    """A figure that is read first: what it is, its value, and what to know about it."""

    title: str
    value: str
    note: str


@dataclass(frozen=True)
class Tiles:
    """The figures that are read first."""

    kind: ClassVar[str] = "tiles"
    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Text:
    """A paragraph; a `warning` is marked as one."""

    kind: ClassVar[str] = "text"
    text: str
    warning: bool = False


@dataclass(frozen=True)
class Figures:
    """Charts beside each other."""

    kind: ClassVar[str] = "figures"
    charts: Sequence[Chart]


@dataclass(frozen=True)
class Table:
    """A table that readers can sort.

    Attributes:
        caption: what it holds.
        heads: the titles of its columns; the first column names the rows.
        rows: its cells.
        folded: whether it is shown only when a reader opens it.
    """

    kind: ClassVar[str] = "table"
    caption: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    folded: bool = False

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers."""
        columns = zip(*self.rows, strict=True)
        return [all(one.value is not None for one in column) for column in columns]


@dataclass(frozen=True)
class Texts:
    """Texts whose words are marked by what they do."""

    kind: ClassVar[str] = "texts"
    title: str
    about: str
    texts: Sequence[ShownText]


@dataclass(frozen=True)
class Map:
    """The search for words, and the map of them."""

    kind: ClassVar[str] = "map"
    words: Words


Part = Tiles | Text | Figures | Table | Texts | Map


@dataclass(frozen=True)
class Section:
    """A section of a page.

    Attributes:
        name: its name in the address of the page.
        title: its heading.
        parts: what it shows, one below the other.
    """

    name: str
    title: str
    parts: Sequence[Part] = field(default_factory=list)


def plain_rows(rows: Sequence[Sequence[object]]) -> list[list[Cell]]:
    """Return rows of texts as cells."""
    return [[Cell(printable(str(one))) for one in row] for row in rows]
