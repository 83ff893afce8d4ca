"""`finetune-embed shrink`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ..errors import Option, VectorFileError
from ..files import STDIN
from ..formats import save_safetensors
from ..formats.common.run_folder import is_run
from ..formats.numpy_arrays.wordlist import words_of
from ..table import DTYPES, ORDERS, dtype_of, kept_rows, shrink_rows
from .output import (
    as_json_option,
    check_target,
    limit_option,
    member_option,
    open_table,
    print_json,
    vector_size_option,
    working,
)

__all__ = ["shrink"]


@click.command(epilog="Example: finetune-embed shrink tuned -o small --words 20000 --dtype int8")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The folder of the new run, or the safetensors file of the new table.",
)
@click.option("--words", type=int, help="Number of words to keep.")
@click.option(
    "--keys",
    type=click.Path(path_type=Path),
    help="Keep only the words in this file, one per line.",
)
@click.option(
    "--by",
    default="order",
    show_default=True,
    help=f"Which words --words keeps: {' or '.join(ORDERS)}. The order is that of the file; of a "
    "run, words come first that occur often in its training data.",
)
@click.option("--remap", is_flag=True, help="Give the other words the vector of the nearest one.")
@click.option("--dim", type=int, help="Number of dimensions, by principal components.")
@click.option(
    "--all-but-top",
    type=int,
    default=0,
    help="Number of principal components to remove from a table first.",
)
@click.option("--dtype", help=f"{', '.join(DTYPES)}; that of the source when left out.")
@limit_option
@vector_size_option
@member_option
@click.option("--overwrite", is_flag=True, help="Replace the output if it is there.")
@as_json_option
def shrink(
    source: Path,
    output: Path,
    words: int | None,
    keys: Path | None,
    by: str,
    limit: int | None,
    vector_size: int | None,
    member: str | None,
    overwrite: bool,
    as_json: bool,
    **changes: Any,
) -> None:
    """Write a run or a table that takes fewer bytes.

    SOURCE is the folder of a run, or a vector file. --limit, --vector-size and --member are for a
    vector file.
    """
    if words is not None and keys is not None:
        raise VectorFileError(
            ("excludes ", Option("keys")),
            option="words",
            value=words,
            remedy="give one of the two",
        )
    if str(source) != STDIN and output.exists() and source.exists() and output.samefile(source):
        raise VectorFileError(
            "this is the source, which would be lost", where=output, remedy="name another place"
        )
    check_target(output, overwrite=overwrite, is_folder=is_run(source))
    chosen = words if keys is None else words_of(str(keys))
    with working(f"shrinking {source}", as_json):
        if is_run(source):
            from ..training.run.load import load
            from ..training.run.shrinking import shrink as shrink_run  # imports torch

            run = shrink_run(load(source), words=chosen, by=by, **changes)
            run.save(output)
            table, kind = run.table, "run"
        else:
            whole = open_table(source, member, limit, vector_size)
            table = shrink_rows(whole, kept_rows(whole, chosen, by), **changes)
            save_safetensors(table, output)
            kind = "table"
    sizes = {"before": _bytes_of(source), "after": _bytes_of(output)}
    found = {"words": len(table), "size": table.vector_size, "dtype": dtype_of(table)}
    if as_json:
        print_json({"source": str(source), "output": str(output), "kind": kind, **found, **sizes})
        return
    before = f"{sizes['before'] / 1e6:,.1f} MB -> " if sizes["before"] else ""
    click.echo(
        f"{output}: {kind}, {len(table):,} words x {table.vector_size} of {found['dtype']}, "
        f"{before}{sizes['after'] / 1e6:,.1f} MB"
    )


def _bytes_of(path: Path) -> int:
    """Return the bytes that a file or the files of a folder take."""
    if path.is_dir():
        return sum(os.path.getsize(file) for file in path.rglob("*") if file.is_file())
    return os.path.getsize(path) if path.is_file() else 0
