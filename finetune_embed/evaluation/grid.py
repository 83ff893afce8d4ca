"""`Grid`: a table that prints as aligned text, and that a terminal may show in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """A table of a report. Prints as lines.

    Attributes:
        heads: the title of each column.
        rows: the cells of each row, as many as titles.
        left: the columns that are aligned to the left; the others are to the right.
        widths: the least width of each column; none when left out.
        gap: what is between two columns.
        indent: what each line starts with.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Sequence[int] = (0,)
    widths: Sequence[int] = ()
    gap: str = "  "
    indent: str = ""

    def __str__(self) -> str:
        lines = [self.heads, *self.rows]
        least = self.widths or [0] * len(self.heads)
        widths = [
            max(width, *map(len, column))
            for width, column in zip(least, zip(*lines, strict=True), strict=True)
        ]
        return "\n".join(
            self.indent
            + self.gap.join(
                cell.ljust(width) if at in self.left else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )
