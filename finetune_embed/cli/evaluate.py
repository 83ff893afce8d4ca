"""`finetune-embed evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from .options import Names, data_option, layout_options
from .output import as_json_option, print_json, working

__all__ = ["evaluate"]


@click.command(epilog="Example: finetune-embed evaluate tuned --data new_reviews.csv")
@click.argument("run", type=click.Path(path_type=Path))
@data_option
@click.option(
    "--text",
    type=Names(one=True),
    help="Its column of texts, or several separated by commas; that of the run when left out.",
)
@click.option("--label", help="Its column of labels; that of the run when left out.")
@click.option(
    "--missing",
    type=click.Choice(["drop", "keep"]),
    help="Leave out examples without a text or a label, or keep a missing text as an empty one; as "
    "in the run when left out.",
)
@click.option("--ignore-label", help="Label that is not scored, besides those the run ignores.")
@layout_options
@as_json_option
def evaluate(
    run: Path,
    data: str,
    text: str | list[str] | None,
    label: str | None,
    as_json: bool,
    **options: str | None,
) -> None:
    """Report the scores of a run on labelled data, of each label, and a confusion matrix.

    Of a folder with several splits, the test split is used.
    """
    from ..training.run.load import load

    with working(f"evaluating {run}", as_json):
        found = load(run).evaluate(data, text=text, label=label, **options)
    if as_json:
        print_json(found.to_dict())
        return
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    click.echo(str(found))
