"""The command group `finetune-embed`."""

from __future__ import annotations

from typing import Any

import click

from .autotune import autotune
from .compare import compare
from .convert import convert
from .drift import drift
from .evaluate import evaluate
from .inspect import inspect
from .neighbors import neighbors
from .options import Names
from .predict import predict
from .quickstart import quickstart
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


class Commands(click.Group):
    """The commands; an option that takes one value may be given once."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called, and its arguments.

        Raises:
            click.UsageError: an option is there twice; the last one would count.
        """
        name, command, words = super().resolve_command(ctx, args)
        given = words[: words.index("--")] if "--" in words else words
        flags = [word.split("=")[0] for word in given if word.startswith("--")]
        for option in command.params if command else ():
            if not isinstance(option, click.Option) or option.multiple or option.is_flag:
                continue
            if sum(map(flags.count, option.opts)) > 1:
                flag = max(option.opts, key=len)
                several = isinstance(option.type, Names)
                raise click.UsageError(
                    f"{flag} is given twice; "
                    + ("separate its values with commas" if several else "give it one value")
                )
        return name, command, words

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. The caller says that it was interrupted; click prints an empty line.

        Raises:
            click.Abort: it was interrupted.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise click.Abort from interrupt


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


for command in (quickstart, train, autotune, compare, predict, evaluate, inspect, convert):
    app.add_command(command)
for command in (neighbors, drift):
    app.add_command(command)
