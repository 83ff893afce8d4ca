"""A group of commands."""

from __future__ import annotations

from typing import Any

import click

from .options import Names

__all__ = ["Commands"]


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
