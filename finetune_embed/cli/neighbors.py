"""`finetune-embed neighbors`."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import printable
from .output import (
    as_json_option,
    limit_option,
    member_option,
    open_table,
    print_json,
    vector_size_option,
    working,
)

__all__ = ["neighbors"]


@click.command(epilog="Example: finetune-embed neighbors glove.6B.50d.txt king woman --minus man")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("words", nargs=-1, required=True)
@click.option("--minus", multiple=True, help="A word to subtract. Repeatable.")
@click.option("--topn", default=10, show_default=True, help="Number of words to print.")
@member_option
@limit_option
@vector_size_option
@as_json_option
def neighbors(
    file: Path,
    words: tuple[str, ...],
    minus: tuple[str, ...],
    topn: int,
    member: str | None,
    limit: int | None,
    vector_size: int | None,
    as_json: bool,
) -> None:
    """Print the nearest words by cosine."""
    with working(f"reading {file}", as_json):
        found = open_table(file, member, limit, vector_size).most_similar(list(words), minus, topn)
    if as_json:
        print_json([{"word": word, "cosine": cosine} for word, cosine in found])
        return
    for word, cosine in found:
        click.echo(f"{cosine:.4f}  {printable(word)}")
