"""`finetune-embed compare`."""

from __future__ import annotations

from itertools import chain, count
from pathlib import Path
from typing import Any

import click

from .options import data_option, given_settings, setting_options, vectors_option
from .output import (
    as_json_option,
    print_json,
    print_parts,
    quiet_option,
    say_written,
    shows_progress,
    vector_file,
)

__all__ = ["compare"]


@click.command(
    epilog="Example: finetune-embed compare --vectors glove.6B.50d.txt --data reviews.csv -o which"
)
@vectors_option
@data_option
@setting_options(
    "strategy",
    "streaming",
    "trackers",
    "checkpoint_steps",
    "checkpoint_minutes",
    "resume",
    "overwrite",
    defaults={"lr": 1e-2, "test": 0.2},
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    help="A strategy to compare, repeatable; one or two of each family when left out.",
)
@click.option("--seeds", default=5, show_default=True, help="Number of runs per strategy.")
@click.option(
    "--budget", default=5, show_default=True, help="Number of learning rates tried per strategy."
)
@click.option(
    "--word-pairs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="File of word pairs with human scores, on which tables are evaluated. Repeatable.",
)
@click.option("--resume", is_flag=True, help="Continue; finished runs are not repeated.")
@click.option("--overwrite", is_flag=True, help="Replace the comparison in output_dir.")
@quiet_option
@as_json_option
@click.pass_context
def compare(
    context: click.Context,
    /,
    vectors: Path,
    data: str,
    strategies: tuple[str, ...],
    output_dir: Path,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compare strategies on a task, and recommend one if tuning pays."""
    from ..comparison import REPRESENTATIVE
    from ..comparison import compare as run

    found = run(
        strategies or REPRESENTATIVE,
        vector_file(vectors),
        data,
        output_dir=output_dir,
        progress=shows_progress(quiet, as_json),
        **given_settings(context, settings),
    )
    if as_json:
        print_json(found.to_dict())
        return
    print_parts(found.lines())
    say_written(output_dir)
    names = chain(["tuned"], (f"tuned-{number}" for number in count(2)))
    new = next(name for name in names if not Path(name).exists())
    click.echo(f"next: finetune-embed train --config {output_dir / 'recipe.yaml'} -o {new}")
