"""`finetune-embed neighbors`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import console, open_table, print_json

__all__ = ["neighbors"]


def neighbors(
    file: Annotated[Path, typer.Argument(help="Vector file or run folder.")],
    words: Annotated[list[str], typer.Argument(help="Words whose sum is looked for.")],
    minus: Annotated[list[str] | None, typer.Option(help="A word to subtract; repeatable.")] = None,
    topn: Annotated[int, typer.Option(help="How many to print.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Print the nearest words by cosine.

    Example: finetune-embed neighbors glove.6B.50d.txt king woman --minus man
    """
    found = open_table(file).most_similar(words, minus or (), topn)
    if as_json:
        print_json([{"word": word, "cosine": cosine} for word, cosine in found])
        return
    for word, cosine in found:
        console.print(f"{cosine:.4f}  {word}")
