"""The command line: one module a command; the only place that prints."""

from __future__ import annotations

import codecs
import contextlib
import gc
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

__all__ = ["main"]

_ODD = "finetune_embed"  # the name of a handler of what a stream cannot hold


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 when done, 2 on bad input, 130 when interrupted.

    An error is one line on standard error; with `--json` it is also a document with the key
    `error` on standard output.

    Args:
        arguments: the arguments after the program's name; those of the process when left out, and
            the process then ends with the command.
    """
    if arguments is not None:
        _run(list(arguments))
    # Nearly all objects live until the command ends, and few are in cycles. Looking for garbage
    # among all of torch's objects would take a tenth of a short run.
    try:
        gc.set_threshold(200_000, 30, 30)
        _open_streams()
        _run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were imported
        _fail("interrupted", 130)
    finally:
        gc.freeze()


def _odd(error: UnicodeError) -> tuple[str | bytes, int]:
    """Let words that are not UTF-8 come out as they came in, and others as escapes.

    A stream in another encoding, such as one of Windows, holds few characters.
    """
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError:
        return codecs.backslashreplace_errors(error)


codecs.register_error(_ODD, _odd)


class _ClosedStream(io.TextIOBase):
    """Standard output that was closed before the command began: what is printed is not lost."""

    def write(self, text: str, /) -> int:
        """Raise an error.

        Raises:
            OSError: always.
        """
        raise OSError("standard output is closed; redirect it to a file or /dev/null")


def _open_streams() -> None:
    """Let no file that is opened later take the place of a closed standard stream."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which takes the lowest free number
    if sys.stdout is None:
        sys.stdout = _ClosedStream()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115  (open to the end)


def _run(words: list[str]) -> NoReturn:
    import click

    from ..errors import FinetuneEmbedError
    from .app import app
    from .output import CommandLineForm

    command = app.commands.get(words[0]) if words else None
    if isinstance(command, click.Group):
        command = command.commands.get(words[1]) if words[1:] else None
    as_json = "--json" in words
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ODD)
    try:
        code = app.main(words, prog_name="finetune-embed", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hint = f"; see {where} --help" if where else ""
        _fail(error.format_message().replace("\n", " ").rstrip(".") + hint, as_json=as_json)
    except (click.Abort, KeyboardInterrupt) as stop:
        goes_on = bool(getattr(stop.__cause__, "__notes__", ()))  # it can be resumed
        keeps = command is not None and any(one.name == "resume" for one in command.params)
        again = "; nothing new was kept: repeat the command to start again" if keeps else ""
        how = f"; to continue: {_resuming(words)}" if goes_on else again
        _fail(f"interrupted{how}", 130, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except FinetuneEmbedError as error:
        _fail(error.render(CommandLineForm(command)), as_json=as_json)
    except OSError as error:
        _fail(str(error), as_json=as_json)
    sys.exit(code if isinstance(code, int) else 0)


def _resuming(words: list[str]) -> str:
    """Return the command that continues what a command has begun."""
    from ..errors import shell_word

    is_module = Path(sys.argv[0]).parts[-2:] == ("finetune_embed", "__main__.py")
    program = ["python", "-m", "finetune_embed"] if is_module else ["finetune-embed"]
    kept = [word for word in words if word not in ("--resume", "--overwrite")]
    return " ".join(map(shell_word, [*program, *kept, "--resume"]))


def _fail(message: str, code: int = 2, as_json: bool = False) -> NoReturn:
    import json

    from ..errors import LONGEST, one_line

    message = one_line(message, None if code == 130 else LONGEST)  # no command is cut
    with contextlib.suppress(OSError):  # there may be nowhere to print it
        if as_json:
            print(json.dumps({"error": message}, indent=2), flush=True)
    with contextlib.suppress(OSError):
        after = "\n" if code == 130 and sys.stderr.isatty() else ""  # the ^C of a terminal
        print(f"{after}error: {message}", file=sys.stderr, flush=True)
    sys.exit(code)
