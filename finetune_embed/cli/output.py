"""What several commands print, and how they open a table."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from ..formats import Loaded, read_vectors
from ..source import STDIN
from ..table import EmbeddingTable
from ..training.names import TABLE

__all__ = [
    "as_json_option",
    "as_options",
    "columns_of",
    "member_option",
    "open_table",
    "print_json",
    "print_table",
    "quiet_option",
    "read_file",
    "vector_file",
]

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
member_option = click.option(
    "--member", help="The vector file to read of an archive that holds several."
)
quiet_option = click.option("--quiet", is_flag=True, help="Show no progress bar.")


def as_options(message: str, command: click.Command | None) -> str:
    """Spell the arguments in a message of the library as options of a command that has them.

    Calls in it, such as `load_vectors(path, member='...')`, stay as they are.
    """
    options = [p for p in command.params if isinstance(p, click.Option)] if command else []
    parts = re.split(r"(\w\([^()]*\)|\w\([^()']*')", message)  # the second is cut short
    parts[::2] = [_outside_calls(part, options) for part in parts[::2]]
    return "".join(parts)


def _outside_calls(text: str, options: Sequence[click.Option]) -> str:
    for option in options:
        name, spelled = str(option.name), max(option.opts, key=len)
        if spelled != f"--{name.replace('_', '-')}":
            continue
        if option.is_flag:
            text = text.replace(f"{name}=True", spelled)
            continue
        text = text.replace(f"{name}='...'", f"{spelled} ...")
        text = re.sub(rf"\b{name}= ?", f"{spelled} ", text)
        text = text.replace(f"leave {name} out", f"leave {spelled} out")
        if "_" in name:
            text = re.sub(rf"(?<![\w/.]){name}(?![\w/.=])", spelled, text)
    return re.sub(r"(?<=--fallback )[(\[](.*?),?[)\]]", _joined, text)


def _joined(steps: re.Match[str]) -> str:
    return re.sub(r"['\s]", "", steps[1]) or "''"


def print_json(value: Any) -> None:
    """Print one JSON document; a number that JSON has not, such as NaN, is null."""
    plain = json.loads(json.dumps(value, default=str), parse_constant=lambda name: None)
    click.echo(json.dumps(plain, indent=2))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a title and a table, its first column to the left and the others to the right."""
    click.echo(title)
    table = Table(box=None, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="right" if position else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, emoji=False).print(table)


def vector_file(path: Path) -> Path | str:
    """Return a vector file as it is, of a run folder the tuned table, `-` for standard input."""
    inside = path / TABLE
    return STDIN if str(path) == STDIN else inside if inside.is_file() else path


def open_table(path: Path, member: str | None = None) -> EmbeddingTable:
    """Open a vector file, the table of a run folder, or `-`, standard input."""
    return read_file(path, member=member).table


def read_file(
    path: Path,
    limit: int | None = None,
    keys: Collection[str] | None = None,
    member: str | None = None,
) -> Loaded:
    """Open a table as `open_table` does, or a part of it, and tell what the file is."""
    return read_vectors(vector_file(path), keys, limit, member=member)


def columns_of(text: str) -> str | list[str]:
    """Return the column that an option names, or the columns, if it names several by commas."""
    names = [name.strip() for name in text.split(",")]
    return names[0] if len(names) == 1 else names
