"""The command group `finetune-embed`."""

from __future__ import annotations

import click

from .autotune import autotune
from .compare import compare
from .convert import convert
from .delta import delta
from .drift import drift
from .evaluate import evaluate
from .group import Commands
from .inspect import inspect
from .neighbors import neighbors
from .onnx import onnx
from .predict import predict
from .quickstart import quickstart
from .report import report
from .shrink import shrink
from .train import train

__all__ = ["app"]


def show_version(context: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Print the version and which compiled loops are in use, if that is asked for."""
    if not wanted:
        return
    from importlib.metadata import version

    from ..formats.common import kernels as files
    from ..optim import kernels as steps
    from ..vocabulary import tokenization

    loops = {"vector files": files, "tokenization": tokenization, "training": steps}
    missing = [name for name, module in loops.items() if module.native is None]
    state = f"not in use for {', '.join(missing)}" if missing else "in use"
    click.echo(f"finetune-embed {version('finetune_embed')}\ncompiled loops {state}")
    context.exit()


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_version,
    help="Show the version, and whether the compiled loops are in use, and exit.",
)
def app() -> None:
    """Any pretrained word-vector file in, a tuned vector file out."""


for command in (quickstart, train, autotune, compare, predict, evaluate, report, inspect, convert):
    app.add_command(command)
for command in (shrink, onnx, neighbors, drift, delta):
    app.add_command(command)
