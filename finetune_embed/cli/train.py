"""`finetune-embed train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..vocabulary import Coverage
from .config import config_option
from .options import training_options
from .output import as_json_option, columns_of, print_json, quiet_option, vector_file

__all__ = ["train"]


@click.command(
    epilog="Example: finetune-embed train --vectors glove.6B.50d.txt --data reviews.csv -o tuned"
)
@config_option
@training_options
@click.option(
    "--output-dir",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the run and its checkpoints.",
)
@click.option("--streaming", is_flag=True, help="Stream the data; it is never held whole.")
@click.option(
    "--strategy",
    default="FullTune",
    show_default=True,
    help="Freeze, FullTune, 'UnfreezeAfter(epochs=2) | DiscriminativeLR(embedding=0.1)', ...",
)
@click.option("--epochs", default=15, show_default=True, help="The most epochs.")
@click.option("--lr", default=5e-3, show_default=True, help="Learning rate.")
@click.option("--seed", default=0, show_default=True, help="Of everything that is random.")
@click.option("--checkpoint-steps", type=int, help="Write a checkpoint every so many steps, too.")
@click.option(
    "--checkpoint-minutes", type=float, help="Write a checkpoint every so many minutes, too."
)
@click.option(
    "--keep-checkpoints", default=1, show_default=True, help="How many of the newest stay."
)
@click.option(
    "--tracker", "trackers", multiple=True, help="Report to tensorboard, wandb, ...; repeatable."
)
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint.")
@click.option("--overwrite", is_flag=True, help="Replace a former run.")
@quiet_option
@as_json_option
def train(
    vectors: Path,
    data: str,
    output_dir: Path,
    text: str,
    quiet: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Tune a table on a task and export it.

    Over several processes: accelerate launch -m finetune_embed train ..., or torchrun.
    """
    from ..training.finetune import finetune
    from ..training.runtime.processes import Processes

    run = finetune(
        vector_file(vectors),
        data,
        text=columns_of(text),
        output_dir=output_dir,
        progress=not quiet,
        **settings,
    )
    if not Processes(settings["device"]).is_main:
        return
    if as_json:
        print_json(dict(run.metrics))
        return
    click.echo(f"{Coverage(**run.metrics['coverage'])}\n\n{run}")
    if run.drift is not None:
        click.echo(f"\n{run.drift}")
    click.echo(
        f"\nwritten to {output_dir}: " + ", ".join(p.name for p in sorted(output_dir.iterdir()))
    )
    click.echo(f"next: finetune-embed predict {output_dir} 'a text of yours'")
