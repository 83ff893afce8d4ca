"""`finetune-embed drift`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .output import (
    as_json_option,
    limit_option,
    member_option,
    open_table,
    print_json,
    print_parts,
    vector_size_option,
    working,
)

if TYPE_CHECKING:
    from ..evaluation import Drift

__all__ = ["drift", "show_drift", "top_option", "word_option"]

word_option = click.option("--word", multiple=True, help="A word to show. Repeatable.")
top_option = click.option(
    "--top",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Number of words in the JSON document.",
)


@click.command(epilog="Example: finetune-embed drift glove.6B.50d.txt tuned --word bad")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("tuned", type=click.Path(path_type=Path))
@word_option
@top_option
@member_option
@limit_option
@vector_size_option
@as_json_option
def drift(
    base: Path,
    tuned: Path,
    word: tuple[str, ...],
    top: int,
    member: str | None,
    limit: int | None,
    vector_size: int | None,
    as_json: bool,
) -> None:
    """Report how far the words of a table have moved, and their new neighbours.

    --member names a file of BASE; --limit and --vector-size are for both tables.
    """
    from ..evaluation import drift as measure

    counts = None
    if tuned.is_dir():
        from ..training.run.load import counts_in  # imports torch

        counts = counts_in(tuned)
    with working(f"comparing {base} with {tuned}", as_json):
        report = measure(
            open_table(base, member, limit, vector_size),
            open_table(tuned, None, limit, vector_size),
            counts,
        )
    show_drift(report, word, top, as_json)


def show_drift(report: Drift, words: Sequence[str], top: int, as_json: bool) -> None:
    """Print how far some words have moved, or the whole report."""
    with working("looking for neighbours", as_json):
        shown = [report.word(one) for one in words]
        parts = [] if shown or as_json else [*report.lines()]
    if as_json:
        document = report.to_dict(top)
        document["words"] = {mover.word: mover.__dict__ for mover in shown}
        print_json(document)
        return
    for mover in shown:
        click.echo(str(mover))
    if parts:
        print_parts(parts)
