"""`finetune-embed inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from .output import as_json_option, columns_of, print_json, vector_file

__all__ = ["inspect"]


@click.command(epilog="Example: finetune-embed inspect glove.6B.50d.txt --data reviews.csv")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--data", help="Data set whose coverage to report.")
@click.option(
    "--text", default="text", show_default=True, help="Its column of texts; several, with commas."
)
@as_json_option
def inspect(file: Path, data: str | None, text: str, as_json: bool) -> None:
    """Tell what a vector file is, what is odd about it, and what it covers of a data set."""
    from ..inspection import inspect as look_over

    report = look_over(vector_file(file), data, columns_of(text))
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(str(report))
