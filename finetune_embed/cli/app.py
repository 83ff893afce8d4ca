"""The commands, gathered."""

from __future__ import annotations

import typer

from . import convert, drift, inspect, neighbors, predict, quickstart, train

__all__ = ["app"]

app = typer.Typer(
    name="finetune-embed",
    help="Any pretrained word-vector file in, a tuned vector file out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("quickstart")(quickstart.quickstart)
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("inspect")(inspect.inspect)
app.command("convert")(convert.convert)
app.command("neighbors")(neighbors.neighbors)
app.command("drift")(drift.drift)
