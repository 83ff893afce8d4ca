"""`finetune-embed convert`."""

from __future__ import annotations

from pathlib import Path

import click

from ..errors import VectorFileError
from ..formats import SAVERS
from .output import as_json_option, open_table, print_json

__all__ = ["convert"]

BY_SUFFIX = {
    ".safetensors": "safetensors",
    ".bin": "word2vec-binary",
    ".vec": "word2vec",
    ".txt": "glove",
}


@click.command(epilog="Example: finetune-embed convert glove.6B.50d.txt glove.6B.50d.safetensors")
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--to", help=f"{', '.join(SAVERS)}; by the target's suffix if left out.")
@click.option("--limit", type=int, help="Only the first rows.")
@as_json_option
def convert(source: Path, target: Path, to: str | None, limit: int | None, as_json: bool) -> None:
    """Write a table in another format."""
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
        click.echo(f"{target}: {name}, {len(table):,} words x {table.vector_size}")
