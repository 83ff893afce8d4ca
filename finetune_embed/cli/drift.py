"""`finetune-embed drift`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import console, open_table, print_json

__all__ = ["drift"]


def drift(
    base: Annotated[Path, typer.Argument(help="Vector file before tuning.")],
    tuned: Annotated[Path, typer.Argument(help="Vector file or run folder after tuning.")],
    word: Annotated[list[str] | None, typer.Option(help="A word to show; repeatable.")] = None,
    top: Annotated[int, typer.Option(help="Words in the JSON document.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Tell how far the words of a table have moved and what their neighbours became.

    Example: finetune-embed drift glove.6B.50d.txt tuned --word bad
    """
    from ..evaluation import drift as measure

    report = measure(open_table(base), open_table(tuned))
    shown = [report.word(one) for one in word or ()]
    if as_json:
        told = report.to_dict(top)
        told["words"] = {mover.word: mover.__dict__ for mover in shown}
        print_json(told)
        return
    for mover in shown:
        console.print(str(mover))
    if not shown:
        console.print(str(report))
