"""`finetune-embed train`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from .config import config_option
from .options import data_option, setting_options, vectors_option
from .output import (
    as_json_option,
    print_json,
    quiet_option,
    say_written,
    shows_progress,
    vector_file,
)

__all__ = ["train"]


@click.command(
    epilog="Example: finetune-embed train --vectors glove.6B.50d.txt --data reviews.csv -o tuned"
)
@config_option
@vectors_option
@data_option
@setting_options()
@quiet_option
@as_json_option
def train(
    vectors: Path,
    data: str,
    output_dir: Path,
    specials: tuple[Any, ...],
    fallback: list[str] | None,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Tune a table on a task and export it.

    With several processes: accelerate launch -m finetune_embed train ..., or torchrun.
    """
    from ..training.finetune import finetune
    from ..training.runtime.processes import Processes
    from ..vocabulary import Coverage

    run = finetune(
        vector_file(vectors),
        data,
        output_dir=output_dir,
        specials=[_special(one) for one in specials],
        fallback=fallback or (),
        progress=shows_progress(quiet, as_json),
        **settings,
    )
    if not Processes(settings["device"]).is_main:
        return
    if as_json:
        print_json(dict(run.metrics))
        return
    click.echo(f"{Coverage(**run.metrics['coverage'])}\n\n{run}")
    if run.drift is not None:
        click.echo(f"\n{run.drift.overview()}")
    say_written(output_dir)
    click.echo(f"next: finetune-embed predict {output_dir} 'a text of yours'")


def _special(given: Any) -> Any:
    """Return a special token, from a text or from a mapping in a config file."""
    from ..vocabulary import Special

    if not isinstance(given, Mapping):
        return given
    if "token" not in given or given.keys() - {"token", "start", "trainable"}:
        raise click.BadParameter(
            f"specials has {dict(given)}; an entry is a token, or a mapping of token, start and "
            "trainable"
        )
    return Special(**given)
