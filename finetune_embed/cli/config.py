"""`--config`: settings from a YAML file, under those of the command line."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click

__all__ = ["config_option"]


def _read(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Take the settings of a file as the defaults of the command's options.

    Raises:
        click.BadParameter: the file is no YAML mapping, or names no option of the command.
    """
    if path is None:
        return
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise click.BadParameter(f"{path} can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{path} has no settings; a line of it is: epochs: 15")
    options = {
        str(p.name): p
        for p in context.command.params
        if isinstance(p, click.Option) and p.name != "config"
    }
    unknown = [str(name) for name in found if str(name) not in options]
    if unknown:
        close = difflib.get_close_matches(unknown[0], options, 1)
        raise click.BadParameter(
            f"{path} sets {', '.join(unknown)}, which is no setting of {context.command.name}"
            + (f"; did you mean {close[0]}?" if close else "")
        )
    defaults = {name: _as_option(options[name], value) for name, value in found.items()}
    context.default_map = {**(context.default_map or {}), **defaults}


def _as_option(option: click.Option, value: Any) -> Any:
    """Return a value as it would be on the command line: a list between commas, if it can't be.

    Numbers are text there: of 2.9 epochs click would make 2.
    """
    if isinstance(value, list):
        return [str(one) for one in value] if option.multiple else ",".join(map(str, value))
    return value if option.is_flag or value is None else str(value)


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_read,
    help="YAML file of settings, such as the recipe of a comparison; options beside it win.",
)
