"""Options, output and the opening of tables that several commands share."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click
from rich.console import Console
from rich.table import Table

from ..errors import Either, Option, PythonForm, VectorFileError, shell_word, shown
from ..files import STDIN
from ..formats.common.run_folder import file_in_run
from ..formats.hub import HUB
from ..formats.load import Loaded, read_vectors
from ..table import EmbeddingTable

if TYPE_CHECKING:
    from ..evaluation.grid import Grid

__all__ = [
    "CommandLineForm",
    "as_json_option",
    "check_target",
    "limit_option",
    "member_option",
    "open_table",
    "overwrite_option",
    "print_json",
    "print_parts",
    "print_table",
    "quiet_option",
    "read_file",
    "say_written",
    "shows_progress",
    "vector_file",
    "vector_size_option",
    "working",
]

#: Parameters whose option has another name.
PARAMETERS = {"dataset": "data", "base": "vectors"}

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
member_option = click.option(
    "--member", help="The vector file to read of an archive that holds several."
)
limit_option = click.option(
    "--limit", type=int, help="Read only this number of rows, from the start of the file."
)
vector_size_option = click.option(
    "--vector-size",
    type=int,
    help="Number of values in a line of a text file; detected when left out.",
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace the target if it is there."
)
quiet_option = click.option("--quiet", is_flag=True, help="Show no progress bar.")


class CommandLineForm(PythonForm):
    """Renders messages with the options of a command: `--lr 0.1`, `--overwrite`.

    An option that the command does not have stays in its Python form.

    Args:
        command: the command that failed; None where there is none.
    """

    def __init__(self, command: click.Command | None) -> None:
        params = command.params if command else []
        self._options = {str(p.name): p for p in params if isinstance(p, click.Option)}

    def option(self, option: Option) -> str:
        """Return an option as it is written on the command line."""
        known = self._options.get(PARAMETERS.get(option.name, option.name))
        if known is None:
            return super().option(option)
        flag, value = max(known.opts, key=len), option.value
        if value is False and known.secondary_opts:
            return known.secondary_opts[0]
        if option.has_value and (value is None or value is False):
            return f"no {flag}"
        if not option.has_value or known.is_flag:
            return flag
        if isinstance(value, (list, tuple)):
            value = ",".join(shown(one, str) for one in value)
        return f"{flag} {'...' if value is ... else shell_word(shown(value, str))}"

    def either(self, either: Either) -> str:
        """Return the text for the command line."""
        return self.render(either.command_line)


def print_json(value: Any) -> None:
    """Print one JSON document; numbers that JSON does not have, such as NaN, become null."""
    plain = json.loads(json.dumps(value, default=str), parse_constant=lambda name: None)
    click.echo(json.dumps(plain, indent=2))


def print_parts(parts: Iterable[str | Grid]) -> None:
    """Print the lines and tables of a report, on a terminal with tables as of other commands."""
    if not sys.stdout.isatty():
        click.echo("\n".join(map(str, parts)))
        return
    for part in parts:
        if isinstance(part, str):
            click.echo(part)
        else:
            print_table("", part.heads, part.rows, part.left)


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: Collection[int] = (0,),
) -> None:
    """Print a title and a table, some columns to the left and the others to the right."""
    if title:
        click.echo(title)
    table = Table(box=None, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position in left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # As wide as its content: a narrow terminal may wrap lines, but no value is cut.
    Console(width=10_000, highlight=False, markup=False, emoji=False).print(table)


def check_target(target: Path, *sources: Path, overwrite: bool, is_folder: bool = False) -> None:
    """Check that a file or folder to write is not one of those that are read, and may be replaced.

    A file never replaces a folder that holds something, nor a folder a file.

    Args:
        target: what is written.
        sources: what is read.
        overwrite: whether one of the same kind may be replaced.
        is_folder: whether a folder is written.

    Raises:
        VectorFileError: it is one of the sources, or it is there and may not be replaced.
    """
    for source in sources:
        file = cast(Path, file_in_run(source))
        if file.is_file() and target.exists() and target.samefile(file):
            raise VectorFileError(
                "the target is the source, which would be lost",
                where=target,
                remedy="name another target",
            )
    found = "file" if target.is_file() else "folder"
    if not target.is_file() and not (target.is_dir() and any(target.iterdir())):
        return
    if (found == "folder") != is_folder:
        raise VectorFileError(
            f"a {found} is there already, and a {'folder' if is_folder else 'file'} is written",
            where=target,
            remedy="name another place",
        )
    if not overwrite:
        raise VectorFileError(
            f"the {found} is there already",
            where=target,
            remedy=("name another, or replace it with ", Option("overwrite", True)),
        )


def say_written(folder: Path) -> None:
    """Print which files a command has written to a folder."""
    click.echo(f"\nwritten to {folder}: " + ", ".join(p.name for p in sorted(folder.iterdir())))


def shows_progress(quiet: bool, as_json: bool = False) -> bool:
    """Return whether a command shows a progress bar: to a person, who looks at a terminal."""
    return not (quiet or as_json) and sys.stdout.isatty() and sys.stderr.isatty()


@contextlib.contextmanager
def working(what: str, as_json: bool) -> Iterator[None]:
    """Show on a terminal that a command works, and for how long, until it is done."""
    if not shows_progress(False, as_json):
        yield
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        bar.add_task(what, total=None)
        yield


def vector_file(path: Path) -> Path | str:
    """Return a vector file or folder; `-` is standard input, `hub:org/model` is on the Hub."""
    name = path.as_posix()
    return name if name == STDIN or name.startswith(HUB) else path


def open_table(
    path: Path,
    member: str | None = None,
    limit: int | None = None,
    vector_size: int | None = None,
) -> EmbeddingTable:
    """Open a vector file, the table of a run folder, or `-`, standard input."""
    return read_file(path, limit, member=member, vector_size=vector_size).table


def read_file(
    path: Path,
    limit: int | None = None,
    keys: Collection[str] | None = None,
    member: str | None = None,
    vector_size: int | None = None,
) -> Loaded:
    """Open a table, or a part of it, with the format of its file."""
    return read_vectors(vector_file(path), keys, limit, vector_size=vector_size, member=member)
