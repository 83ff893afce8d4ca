"""`finetune-embed inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .output import console, print_json

__all__ = ["inspect"]


def inspect(
    file: Annotated[Path, typer.Argument(help="Vector file.")],
    data: Annotated[str | None, typer.Option(help="Data set whose coverage to report.")] = None,
    text: Annotated[str, typer.Option(help="Its column of texts.")] = "text",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Tell what a vector file is, what is odd about it, and what it covers of a data set.

    Example: finetune-embed inspect glove.6B.50d.txt --data reviews.csv
    """
    from ..inspection import inspect as look_over

    report = look_over(file, data, text)
    if as_json:
        print_json(report.to_dict())
    else:
        console.print(str(report))
