"""`finetune-embed drift`."""

from __future__ import annotations

from pathlib import Path

import click

from .output import (
    as_json_option,
    limit_option,
    member_option,
    open_table,
    print_json,
    vector_size_option,
)

__all__ = ["drift"]


@click.command(epilog="Example: finetune-embed drift glove.6B.50d.txt tuned --word bad")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("tuned", type=click.Path(path_type=Path))
@click.option("--word", multiple=True, help="A word to show. Repeatable.")
@click.option(
    "--top",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Number of words in the JSON document.",
)
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
    report = measure(
        open_table(base, member, limit, vector_size),
        open_table(tuned, None, limit, vector_size),
        counts,
    )
    shown = [report.word(one) for one in word]
    if as_json:
        document = report.to_dict(top)
        document["words"] = {mover.word: mover.__dict__ for mover in shown}
        print_json(document)
        return
    for mover in shown:
        click.echo(str(mover))
    if not shown:
        click.echo(str(report))
