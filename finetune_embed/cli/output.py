"""What several commands print, and how they open a table."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ..formats import Loaded, read_vectors
from ..source import STDIN
from ..table import EmbeddingTable
from ..training.folder import TABLE

__all__ = [
    "as_json_option",
    "columns_of",
    "open_table",
    "print_json",
    "print_table",
    "quiet_option",
    "read_file",
    "vector_file",
]

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
quiet_option = click.option("--quiet", is_flag=True, help="Show no progress bar.")


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a title and a table, its first column to the left and the others to the right."""
    click.echo(title)
    table = Table(box=None, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, emoji=False).print(table)


def vector_file(path: Path) -> Path:
    """Return a vector file as it is, and of a run folder the tuned table."""
    inside = path / TABLE
    return inside if inside.is_file() else path


def open_table(path: Path) -> EmbeddingTable:
    """Open a vector file, the table of a run folder, or `-`, standard input."""
    return read_file(path).table


def read_file(
    path: Path,
    limit: int | None = None,
    keys: Collection[str] | None = None,
    member: str | None = None,
) -> Loaded:
    """Open a table as `open_table` does, or a part of it, and tell what the file is."""
    source = STDIN if str(path) == STDIN else vector_file(path)
    return read_vectors(source, keys, limit, member=member)


def columns_of(text: str) -> str | list[str]:
    """Return the column that an option names, or the columns, if it names several by commas."""
    names = [name.strip() for name in text.split(",")]
    return names[0] if len(names) == 1 else names
