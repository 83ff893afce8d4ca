"""`finetune-embed report`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import Names, layout_options
from .output import (
    as_json_option,
    check_target,
    overwrite_option,
    print_json,
    quiet_option,
    shows_progress,
)

__all__ = ["report"]


@click.command(epilog="Example: finetune-embed report tuned -o report.html --data reviews.csv")
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("report.html"),
    show_default=True,
    help="HTML file to write.",
)
@click.option("--data", help="Labelled texts to show which labels it confuses; see evaluate.")
@click.option(
    "--text",
    type=Names(one=True),
    help="Their column of texts, or several separated by commas; that of the run when left out.",
)
@click.option("--label", help="Their column of labels; that of the run when left out.")
@click.option(
    "--vectors",
    type=click.Path(path_type=Path),
    help="The vectors that the run was tuned from; the file that it names when left out.",
)
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    help="Another run on the same data, such as one with Freeze, to compare with.",
)
@click.option(
    "--words", default=50_000, show_default=True, help="Number of words on the map, at most 65000."
)
@click.option(
    "--figures",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write each chart to as well, as SVG and, with cairosvg, as PNG.",
)
@layout_options
@overwrite_option
@quiet_option
@as_json_option
def report(
    run: Path,
    output: Path,
    data: str | None,
    vectors: Path | None,
    against: Path | None,
    words: int,
    figures: Path | None,
    overwrite: bool,
    quiet: bool,
    as_json: bool,
    **reading: Any,
) -> None:
    """Write a run, or what compare or autotune wrote, as one HTML file for people to look at.

    The file needs no network. It has the scores, the training curves, what moved, a map of words
    before and after, the neighbours of every word on it, and, with --data, what is confused.
    """
    from ..reporting import report as write
    from .output import vector_file

    check_target(output, overwrite=overwrite)
    written = write(
        run,
        output,
        dataset=data,
        base=None if vectors is None else vector_file(vectors),
        against=against,
        words=words,
        figures=figures,
        progress=shows_progress(quiet, as_json),
        overwrite=overwrite,
        **reading,
    )
    size = output.stat().st_size
    drawn = sorted(Path(name).name for name in written[1:])
    if as_json:
        print_json({"output": str(output), "bytes": size, "figures": drawn})
        return
    click.echo(f"{output}: {size / 1e6:,.1f} MB; open it in a browser")
    if figures:
        click.echo(f"{figures}: {', '.join(drawn)}")
