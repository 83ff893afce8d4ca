"""What several commands print, and how they open a table."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ..formats import load_vectors
from ..table import EmbeddingTable

__all__ = ["as_json_option", "open_table", "print_json", "print_table", "quiet_option"]

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
quiet_option = click.option("--quiet", is_flag=True, help="Show no progress bar.")


def print_json(value: Any) -> None:
    """Print one JSON document."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a title and a table, its first column to the left and the others to the right."""
    click.echo(title)
    table = Table(box=None, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, emoji=False).print(table)


def open_table(path: Path, limit: int | None = None) -> EmbeddingTable:
    """Open a vector file, or the table of a run folder."""
    inside = path / "embedding.safetensors"
    return load_vectors(inside if inside.is_file() else path, limit=limit)
