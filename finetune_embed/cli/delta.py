"""`finetune-embed delta`: save, apply and show what a tuned table has that its base lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..deltas import Delta, apply_delta, load_delta, write_delta
from ..deltas.delta import DTYPES
from ..formats.common.saving import check_name
from .convert import FOLDERS, TARGETS, format_of, write_as
from .drift import show_drift, top_option, word_option
from .folders import check_folder, folder_overwrite_option, written_folder
from .group import Commands
from .output import (
    as_json_option,
    check_target,
    limit_option,
    member_option,
    open_table,
    overwrite_option,
    print_json,
    vector_file,
    vector_size_option,
    working,
)

__all__ = ["delta"]


class Numbers(click.ParamType[Any]):
    """Numbers with commas between them."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        """Return the numbers."""
        try:
            return [float(one) for one in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not numbers with commas between them", param, ctx)


path_argument = click.Path(path_type=Path)


@click.group(
    cls=Commands,
    epilog="Example: finetune-embed delta save glove.6B.50d.txt tuned delta.safetensors",
)
def delta() -> None:
    """Keep a tuned table as a small file: what it has that its base lacks."""


@delta.command(epilog="Example: finetune-embed delta save glove.6B.50d.txt tuned delta.safetensors")
@click.argument("base", type=path_argument)
@click.argument("tuned", type=path_argument)
@click.argument("target", type=path_argument)
@click.option(
    "--dtype",
    type=click.Choice(DTYPES),
    default="float32",
    show_default=True,
    help="float32 keeps every bit; int8 takes about a quarter of the bytes.",
)
@member_option
@limit_option
@vector_size_option
@overwrite_option
@as_json_option
def save(
    base: Path,
    tuned: Path,
    target: Path,
    dtype: str,
    member: str | None,
    limit: int | None,
    vector_size: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the rows of TUNED that differ from BASE, and its new words, to TARGET.

    With BASE and TUNED exchanged, the delta leads back from the tuned table to its base. --member
    and --limit are for BASE, --vector-size for both tables.
    """
    check_target(target, base, tuned, overwrite=overwrite)
    check_name(target)
    with working(f"comparing {base} with {tuned}", as_json):
        made = Delta.between(
            open_table(base, member, limit, vector_size),
            open_table(tuned, vector_size=vector_size),
            dtype,
        )
        write_delta(made, target)
    size = target.stat().st_size
    if as_json:
        print_json({"target": str(target), "bytes": size, **made.to_dict()})
    else:
        click.echo(f"{made}\n{target}: {size:,} bytes")


@delta.command(
    epilog="Example: finetune-embed delta apply glove.6B.50d.txt delta.safetensors tuned.vec"
)
@click.argument("base", type=path_argument)
@click.argument("deltas", type=path_argument, nargs=-1, required=True)
@click.argument("target", type=path_argument)
@click.option(
    "--weights",
    type=Numbers(),
    help="How much of each delta to apply, such as 0.5 or 0.6,0.4; needed for several.",
)
@click.option("--to", help=f"{', '.join(TARGETS)}; from the suffix of the target when left out.")
@member_option
@limit_option
@vector_size_option
@folder_overwrite_option
@as_json_option
def apply(
    base: Path,
    deltas: tuple[Path, ...],
    target: Path,
    weights: list[float] | None,
    to: str | None,
    member: str | None,
    limit: int | None,
    vector_size: int | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Write the tuned table of BASE and a delta, or of several in shares, to TARGET.

    --member, --limit and --vector-size are for BASE.
    """
    name = format_of(target, to)
    if name in FOLDERS:
        check_folder(target, base, *deltas, kind=name, overwrite=overwrite)
    else:
        check_target(target, base, *deltas, overwrite=overwrite)
    with working(f"writing {target}", as_json):
        table = open_table(base, member, limit, vector_size)
        tuned = apply_delta(table, *map(vector_file, deltas), weights=weights)
        replaced = name if overwrite and name in FOLDERS else None
        with written_folder(target, replaced) as written:
            write_as(name, tuned, written)
    words, size = len(tuned), tuned.vector_size
    if as_json:
        print_json({"target": str(target), "format": name, "words": words, "size": size})
    else:
        click.echo(f"{target}: {name}, {words:,} words x {size}")


@delta.command(epilog="Example: finetune-embed delta show delta.safetensors")
@click.argument("path", metavar="DELTA", type=path_argument)
@as_json_option
def show(path: Path, as_json: bool) -> None:
    """Print what is in a delta, and which base it belongs to."""
    found = load_delta(vector_file(path))
    if as_json:
        print_json(found.to_dict())
    else:
        click.echo(str(found))


@delta.command(epilog="Example: finetune-embed delta diff glove.6B.50d.txt delta.safetensors")
@click.argument("base", type=path_argument)
@click.argument("path", metavar="DELTA", type=path_argument)
@word_option
@top_option
@member_option
@limit_option
@vector_size_option
@as_json_option
def diff(
    base: Path,
    path: Path,
    word: tuple[str, ...],
    top: int,
    member: str | None,
    limit: int | None,
    vector_size: int | None,
    as_json: bool,
) -> None:
    """Report how far a delta moves the words of its base, as `drift` does of two tables.

    --member, --limit and --vector-size are for BASE.
    """
    from ..evaluation import drift as measure

    table = open_table(base, member, limit, vector_size)
    show_drift(measure(table, apply_delta(table, vector_file(path))), word, top, as_json)
