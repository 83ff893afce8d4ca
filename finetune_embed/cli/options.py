"""Options that the commands which train have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ..training.settings import PRECISIONS, SCHEDULES, TASKS
from ..vocabulary import STEPS
from .output import member_option

__all__ = ["training_options"]

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--vectors",
        type=click.Path(path_type=Path),
        required=True,
        help="Vector file of any format, folder of a model or a run, or - for standard input.",
    ),
    member_option,
    click.option(
        "--data", required=True, help="CSV, TSV, JSON, JSONL or Parquet file, folder, or Hub name."
    ),
    click.option(
        "--text", default="text", show_default=True, help="Column of texts; several, with commas."
    ),
    click.option(
        "--label", default="label", show_default=True, help="Column of labels, or of lists of them."
    ),
    click.option(
        "--task", type=click.Choice(TASKS), help="What the columns look like, if not said."
    ),
    click.option(
        "--head", default="bag", show_default=True, help="bag, 'bag(hidden=100)', cnn, bilstm, ..."
    ),
    click.option("--max-steps", type=int, help="The most steps of the optimizer."),
    click.option("--batch-size", default=64, show_default=True, help="Texts in a batch."),
    click.option(
        "--batch-tokens", type=int, help="Words in a batch, with padding, in place of --batch-size."
    ),
    click.option(
        "--gradient-accumulation-steps", default=1, show_default=True, help="Batches of a step."
    ),
    click.option("--weight-decay", default=0.0, show_default=True, help="Of all but the table."),
    click.option(
        "--max-grad-norm", type=float, help="Clip the whole gradient of a step to this norm."
    ),
    click.option("--max-row-grad-norm", type=float, help="Clip each row's gradient to this norm."),
    click.option(
        "--word-dropout",
        default=0.0,
        show_default=True,
        help="Probability that a word is left out.",
    ),
    click.option("--schedule", type=click.Choice(SCHEDULES), default="constant", show_default=True),
    click.option(
        "--warmup",
        type=float,
        help="Share of the run in which the rate rises; the schedule's own if left out.",
    ),
    click.option(
        "--patience",
        type=int,
        help="Stop after so many epochs without a better score, counted from when the table opens.",
    ),
    click.option(
        "--validation",
        default=0.1,
        show_default=True,
        help="Share of the training data to hold out where there is no validation split.",
    ),
    click.option(
        "--tokenizer", help="glove, cased or whitespace; what fits the vectors if left out."
    ),
    click.option("--min-count", default=1, show_default=True, help="Rarer words become <unk>."),
    click.option("--max-length", type=int, help="Words of a text that count."),
    click.option(
        "--oov",
        type=click.Choice(["normal", "mean", "zeros", "subwords"]),
        default="normal",
        show_default=True,
        help="Where words start that the vectors lack.",
    ),
    click.option(
        "--fallback",
        default="",
        help=f"Forms under which to look up words that the vectors lack, with commas: "
        f"{', '.join(STEPS)}.",
    ),
    click.option(
        "--special",
        "specials",
        multiple=True,
        help="A token that stays whole in texts; repeatable.",
    ),
    click.option("--device", help="cpu, cuda, ..."),
    click.option(
        "--mixed-precision",
        type=click.Choice(PRECISIONS),
        help="Of the forward pass; no if left out.",
    ),
)


def training_options(command: F) -> F:
    """Give a command the options of the vectors, the data, the head and the way of training."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
