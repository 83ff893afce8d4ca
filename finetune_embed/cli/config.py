"""`--config`: settings from a YAML file; options on the command line override them."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import click

from ..errors import shown
from ..training.run.file_names import MARK
from ..training.settings import settings_fields
from .options import Names, Weights

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
    except OSError as error:
        raise click.BadParameter(f"{path} can't be read: {error.strerror or error}") from error
    except RecursionError as error:
        raise click.BadParameter(f"{path} can't be read: it is nested too deeply") from error
    except (ValueError, yaml.YAMLError) as error:
        raise click.BadParameter(f"{path} can't be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise click.BadParameter(f"{path} has no settings; one is a line such as epochs: 15")
    found.pop(MARK, None)  # the version that wrote a run's config.yaml
    options = {
        str(p.name): p
        for p in context.command.params
        if isinstance(p, click.Option) and p.name != "config"
    }
    python_only = settings_fields().keys() - options.keys()
    defaults = {}
    for name, value in found.items():
        if name in options:
            defaults[str(name)] = _as_option(options[name], value, path)
        elif name not in python_only or value is not None:
            close = difflib.get_close_matches(str(name), options, 1)
            raise click.BadParameter(
                f"{path} sets {name}, which {context.command.name} has no option for"
                + (f"; did you mean {close[0]}?" if close and name not in python_only else "")
            )
    context.default_map = {**(context.default_map or {}), **defaults}


def _as_option(option: click.Option, value: Any, path: Path) -> Any:
    """Return a value as on the command line, where numbers are text: click would make 2 of 2.9.

    Raises:
        click.BadParameter: it is a list or a mapping, and the option takes one value.
    """
    if option.multiple:
        return value if isinstance(value, list) else [] if value is None else [value]
    if isinstance(value, list) and isinstance(option.type, Names):
        return value
    if isinstance(value, dict) and isinstance(option.type, Weights):
        return value
    if isinstance(value, (list, dict)):
        raise click.BadParameter(f"{path} sets {option.name} to {value!r}; give one value")
    if option.is_flag and value is not None and not isinstance(value, bool):
        raise click.BadParameter(f"{path} sets {option.name} to {value!r}; give true or false")
    return value if option.is_flag or value is None else shown(value, str)


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    is_eager=True,
    expose_value=False,
    callback=_read,
    help="YAML file of settings, such as a run's config.yaml or a comparison's recipe.yaml.",
)
