"""`finetune-embed onnx`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from .output import as_json_option, check_target, overwrite_option, print_json, working

__all__ = ["onnx"]


@click.command(epilog="Example: finetune-embed onnx tuned tuned.onnx --dtype int8 --vectors-only")
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--dtype",
    default="float32",
    show_default=True,
    help="Numbers of the rows: float32, or int8 with a scale for each row.",
)
@click.option(
    "--vectors-only", is_flag=True, help="Leave out the lexical part, which ONNX cannot hold."
)
@overwrite_option
@as_json_option
def onnx(
    run: Path, target: Path, dtype: str, vectors_only: bool, overwrite: bool, as_json: bool
) -> None:
    """Write the table and the head of a run as an ONNX model.

    It takes the ids of the tokenizer in its metadata, where the labels are too.
    """
    from ..training.run.load import load
    from ..training.run.onnx_file import save_onnx

    check_target(target, run, overwrite=overwrite)
    with working(f"writing {target}", as_json):
        found = load(run)
        save_onnx(found, target, dtype=dtype, vectors_only=vectors_only)
    size, parts = os.path.getsize(target), "vectors" if found.lexical else "all"
    if as_json:
        print_json({"target": str(target), "dtype": dtype, "parts": parts, "bytes": size})
        return
    what = "the vectors' part alone" if found.lexical else "all of the run"
    click.echo(f"{target}: {what}, rows of {dtype}, {size / 1e6:,.1f} MB")
