"""`finetune-embed compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from .options import training_options
from .output import as_json_option, columns_of, print_json, quiet_option, vector_file

__all__ = ["compare"]


@click.command(
    epilog="Example: finetune-embed compare --vectors glove.6B.50d.txt --data reviews.csv -o which"
)
@training_options
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    help="A strategy to compare, repeatable; one or two of each family if left out.",
)
@click.option("--seeds", default=5, show_default=True, help="Runs each strategy is judged by.")
@click.option(
    "--budget", default=5, show_default=True, help="Learning rates tried for each strategy."
)
@click.option("--epochs", default=15, show_default=True, help="The most epochs of a run.")
@click.option("--lr", default=1e-2, show_default=True, help="Where the search of a rate begins.")
@click.option(
    "--test",
    default=0.2,
    show_default=True,
    help="Share of the training data to test on where there is no test split.",
)
@click.option(
    "--word-pairs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File of pairs of words with people's scores, to measure tables by; repeatable.",
)
@click.option("--seed", default=0, show_default=True, help="Of the search; others follow it.")
@click.option(
    "--output-dir",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the runs and the result.",
)
@click.option("--resume", is_flag=True, help="Go on; runs that are there are not made again.")
@click.option("--overwrite", is_flag=True, help="Replace a former comparison.")
@quiet_option
@as_json_option
def compare(
    vectors: Path,
    data: str,
    strategies: tuple[str, ...],
    text: str,
    output_dir: Path,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Tell which strategy pays on a task, and whether tuning pays at all."""
    from ..comparison import REPRESENTATIVE
    from ..comparison import compare as run

    found = run(
        strategies or REPRESENTATIVE,
        vector_file(vectors),
        data,
        text=columns_of(text),
        output_dir=output_dir,
        progress=not quiet,
        **{name: value for name, value in settings.items() if value not in ("", ())},
    )
    if as_json:
        print_json(found.to_dict())
        return
    click.echo(str(found))
    click.echo(
        f"\nwritten to {output_dir}: " + ", ".join(p.name for p in sorted(output_dir.iterdir()))
    )
    click.echo(f"next: finetune-embed train --config {output_dir / 'recipe.yaml'} -o tuned")
