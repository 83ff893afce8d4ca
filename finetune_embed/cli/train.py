"""`finetune-embed train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..coverage import Coverage
from ..fallback import STEPS
from ..training.names import PRECISIONS, SCHEDULES, TASKS
from .output import as_json_option, columns_of, member_option, print_json, quiet_option, vector_file

__all__ = ["train"]


@click.command(
    epilog="Example: finetune-embed train --vectors glove.6B.50d.txt --data reviews.csv -o tuned"
)
@click.option(
    "--vectors",
    type=click.Path(path_type=Path),
    required=True,
    help="Vector file of any format, folder of a model or a run, or - for standard input.",
)
@member_option
@click.option(
    "--data", required=True, help="CSV, TSV, JSON, JSONL or Parquet file, folder, or Hub name."
)
@click.option(
    "--output-dir",
    "-o",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the run and its checkpoints.",
)
@click.option(
    "--text", default="text", show_default=True, help="Column of texts; several, with commas."
)
@click.option(
    "--label", default="label", show_default=True, help="Column of labels, or of lists of them."
)
@click.option("--task", type=click.Choice(TASKS), help="What the columns look like, if not said.")
@click.option("--streaming", is_flag=True, help="Stream the data; it is never held whole.")
@click.option(
    "--strategy",
    default="FullTune",
    show_default=True,
    help="Freeze, FullTune, 'UnfreezeAfter(epochs=2) | DiscriminativeLR(embedding=0.1)', ...",
)
@click.option(
    "--head", default="bag", show_default=True, help="bag, 'bag(hidden=100)', cnn, bilstm, ..."
)
@click.option("--epochs", default=15, show_default=True, help="The most epochs.")
@click.option("--lr", default=5e-3, show_default=True, help="Learning rate.")
@click.option("--max-steps", type=int, help="The most steps of the optimizer.")
@click.option("--batch-size", default=64, show_default=True, help="Texts in a batch.")
@click.option(
    "--batch-tokens", type=int, help="Words in a batch, with padding, in place of --batch-size."
)
@click.option(
    "--gradient-accumulation-steps", default=1, show_default=True, help="Batches of a step."
)
@click.option("--weight-decay", default=0.0, show_default=True, help="Of all but the table.")
@click.option("--max-grad-norm", type=float, help="Clip the whole gradient of a step to this norm.")
@click.option("--max-row-grad-norm", type=float, help="Clip each row's gradient to this norm.")
@click.option(
    "--word-dropout", default=0.0, show_default=True, help="Probability that a word is left out."
)
@click.option("--schedule", type=click.Choice(SCHEDULES), default="constant", show_default=True)
@click.option(
    "--warmup",
    type=float,
    help="Share of the run in which the rate rises; the schedule's own if left out.",
)
@click.option(
    "--patience",
    type=int,
    help="Stop after so many epochs without a better score, counted from when the table opens.",
)
@click.option(
    "--validation",
    default=0.1,
    show_default=True,
    help="Share of the training data to hold out where there is no validation split.",
)
@click.option("--tokenizer", help="glove, cased or whitespace; what fits the vectors if left out.")
@click.option("--min-count", default=1, show_default=True, help="Rarer words become <unk>.")
@click.option("--max-length", type=int, help="Words of a text that count.")
@click.option(
    "--oov",
    type=click.Choice(["normal", "mean", "zeros", "subwords"]),
    default="normal",
    show_default=True,
    help="Where words start that the vectors lack.",
)
@click.option(
    "--fallback",
    default="",
    help=f"Forms under which to look up words that the vectors lack, with commas: "
    f"{', '.join(STEPS)}.",
)
@click.option(
    "--special", "specials", multiple=True, help="A token that stays whole in texts; repeatable."
)
@click.option("--seed", default=0, show_default=True, help="Of everything that is random.")
@click.option("--device", help="cpu, cuda, ...")
@click.option(
    "--mixed-precision", type=click.Choice(PRECISIONS), help="Of the forward pass; no if left out."
)
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
    from ..training.processes import Processes

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
