"""`finetune-embed autotune`."""

from __future__ import annotations

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

__all__ = ["autotune"]


@click.command(
    epilog="Example: finetune-embed autotune --vectors glove.6B.50d.txt --data reviews.csv -o tuned"
)
@vectors_option
@data_option
@setting_options("ensemble", "streaming", "trackers", "checkpoint_steps", "checkpoint_minutes")
@click.option(
    "--budget",
    default="60s",
    show_default=True,
    help="The time for all runs, with reading and writing files: 60s, 5m, 1h. At least one run is "
    "finished. The start of the program comes on top.",
)
@quiet_option
@as_json_option
@click.pass_context
def autotune(
    context: click.Context,
    /,
    vectors: Path,
    data: str,
    budget: str,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Search for the best settings within a budget of time, and tune the vectors with them."""
    from ..comparison import autotune as run

    given = given_settings(context, settings)  # others may be searched
    given["progress"] = shows_progress(quiet, as_json)
    found = run(vector_file(vectors), data, budget=budget, **given)
    if as_json:
        print_json(found.to_dict())
        return
    print_parts(found.lines())
    say_written(settings["output_dir"])
    click.echo(f"next: finetune-embed predict {settings['output_dir']} 'a text of yours'")
