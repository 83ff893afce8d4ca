"""The commands, gathered."""

from __future__ import annotations

import click

from .compare import compare
from .convert import convert
from .drift import drift
from .inspect import inspect
from .neighbors import neighbors
from .predict import predict
from .quickstart import quickstart
from .train import train

__all__ = ["app"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="finetune_embed")
def app() -> None:
    """Any pretrained word-vector file in, a tuned vector file out."""


for command in (quickstart, train, compare, predict, inspect, convert, neighbors, drift):
    app.add_command(command)
