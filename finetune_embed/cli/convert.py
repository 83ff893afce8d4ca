"""`finetune-embed convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import VectorFileError
from ..formats import SAVERS
from .output import console, open_table, print_json

__all__ = ["convert"]

BY_SUFFIX = {
    ".safetensors": "safetensors",
    ".bin": "word2vec-binary",
    ".vec": "word2vec",
    ".txt": "glove",
}


def convert(
    source: Annotated[Path, typer.Argument(help="Vector file or run folder.")],
    target: Annotated[Path, typer.Argument(help="File to write.")],
    to: Annotated[
        str | None,
        typer.Option(help="Format: " + ", ".join(SAVERS) + "; by the target's suffix if left out."),
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first rows.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Write a table in another format.

    Example: finetune-embed convert glove.6B.50d.txt glove.6B.50d.safetensors
    """
    name = to or BY_SUFFIX.get(target.suffix)
    if name not in SAVERS:
        what = f"no format is called {to!r}" if to else f"the suffix of {target} names no format"
        raise VectorFileError(f"{what}; say which to write: --to {' | '.join(SAVERS)}")
    table = open_table(source, limit)
    SAVERS[name](table, target)
    told = {"target": str(target), "format": name, "words": len(table), "size": table.vector_size}
    if as_json:
        print_json(told)
    else:
        console.print(f"{target}: {name}, {len(table):,} words x {table.vector_size}")
