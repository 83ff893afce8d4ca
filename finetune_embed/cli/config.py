"""`--config`: settings from a YAML file; options on the command line override them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click

from ..training.run.file_names import MARK

__all__ = ["config_option"]


def _read(context: click.Context, _: click.Parameter, path: Path | None) -> None:
    """Take the settings of a file as the defaults of the command's options.

    Raises:
        click.BadParameter: the file is not a YAML mapping, or the command has no such option.
    """
    if path is None:
        return
    import yaml

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise click.BadParameter(f"{path} can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{path} has no settings; one is a line such as epochs: 15")
    found.pop(MARK, None)  # the version that wrote a run's config.yaml
    options = {
        str(p.name): p
        for p in context.command.params
        if isinstance(p, click.Option) and p.name != "config"
    }
    unknown = [str(name) for name in found if str(name) not in options]
    if unknown:
        close = difflib.get_close_matches(unknown[0], options, 1)
        raise click.BadParameter(
            f"{path} sets {', '.join(unknown)}, which {context.command.name} has no option for"
            + (f"; did you mean {close[0]}?" if close else "")
        )
    defaults = {name: _as_option(options[name], value) for name, value in found.items()}
    context.default_map = {**(context.default_map or {}), **defaults}


def _as_option(option: click.Option, value: Any) -> Any:
    """Return a value as on the command line, where numbers are text: click would make 2 of 2.9."""
    return value if option.is_flag or value is None or isinstance(value, list) else str(value)


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_read,
    help="YAML file of settings, such as a run's config.yaml or a comparison's recipe.yaml.",
)
