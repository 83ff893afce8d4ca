"""The command line: one module a command; the only place that prints."""

from __future__ import annotations

import gc
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 when done, 2 on bad input, 130 when interrupted.

    Args:
        arguments: the arguments after the program's name; those of the process when left out, and
            the process then ends with the command.
    """
    if arguments is not None:
        _run(list(arguments))
    # Nearly all objects live until the command ends, and few are in cycles. Looking for garbage
    # among all of torch's objects would take a tenth of a short run.
    gc.set_threshold(200_000, 30, 30)
    try:
        _run(sys.argv[1:])
    finally:
        gc.freeze()


def _run(words: list[str]) -> NoReturn:
    import click

    from ..errors import FinetuneEmbedError
    from .app import app
    from .output import CommandLineForm

    command = app.commands.get(words[0]) if words else None
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="surrogateescape"
            )  # words that are not UTF-8 come out as they came in
    try:
        code = app.main(words, prog_name="finetune-embed", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f"; see {where} --help" if where else ""
        _fail(error.format_message().replace("\n", " ").rstrip(".") + hint)
    except (click.Abort, KeyboardInterrupt):
        goes_on = command is not None and any(p.name == "resume" for p in command.params)
        _fail("interrupted" + "; continue the run with --resume" * goes_on, 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except FinetuneEmbedError as error:
        _fail(error.render(CommandLineForm(command)))
    except OSError as error:
        _fail(str(error))
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int = 2) -> NoReturn:
    from ..errors import one_line

    print(f"error: {one_line(message)}", file=sys.stderr)
    sys.exit(code)
