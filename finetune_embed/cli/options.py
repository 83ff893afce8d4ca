"""The settings of `finetune` as options of a command, made from their definitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import Field
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ..training.ranges import Choice
from ..training.settings import settings_fields

__all__ = [
    "Names",
    "Weights",
    "data_option",
    "given_settings",
    "layout_options",
    "setting_options",
    "vectors_option",
]

F = TypeVar("F", bound=Callable[..., Any])

vectors_option = click.option(
    "--vectors",
    type=click.Path(path_type=Path),
    required=True,
    help="Vector file of any format, folder of a model or a run, or - for standard input.",
)
data_option = click.option(
    "--data",
    required=True,
    help="CSV, TSV, JSON, JSONL, Parquet, Arrow or .xlsx file, folder, or Hub name.",
)


class Names(click.ParamType[Any]):
    """Names with commas between them, or one name; a list from a config file stays a list."""

    name = "text"

    def __init__(self, *, one: bool) -> None:
        self._one = one

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | list[str]:
        """Return the names; a single one as it is where one is allowed."""
        if not isinstance(value, str):
            return [str(name) for name in value]
        names = [name.strip() for name in value.split(",") if name.strip()]
        return value.strip() if self._one and len(names) < 2 else names


class Weights(click.ParamType[Any]):
    """`balanced`, or a mapping of labels to numbers as JSON or YAML has it."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a mapping, or the text as it is, which the setting then allows or refuses."""
        import yaml

        try:
            found = yaml.safe_load(value) if isinstance(value, str) else value
        except (ValueError, RecursionError, yaml.YAMLError):
            return value
        return found if isinstance(found, dict) else value


#: How options are read whose settings are neither a number, a choice nor a plain text.
_TYPES: Mapping[str, Any] = {
    "text": Names(one=True),
    "fallback": Names(one=False),
    "specials": click.UNPROCESSED,
    "class_weight": Weights(),
    "output_dir": click.Path(path_type=Path),
}
_MULTIPLE = ("specials", "trackers")


def setting_options(*without: str, defaults: Mapping[str, Any] | None = None) -> Callable[[F], F]:
    """Return a decorator that gives a command an option for each setting.

    Args:
        without: settings that the command does not have.
        defaults: defaults of the command that differ from those of `finetune`.
    """

    def decorate(command: F) -> F:
        for name, one in reversed(settings_fields().items()):
            if one.metadata["option"] is not None and name not in without:
                default = (defaults or {}).get(name, one.default)
                command = _option(name, one, default)(command)
        return command

    return decorate


def _option(name: str, definition: Field[Any], default: Any) -> Callable[[F], F]:
    """Return the option of one setting."""
    check, kind = definition.metadata["check"], str(definition.type)
    flag = definition.metadata["option"] or f"--{name.replace('_', '-')}"
    names = [flag, name] + (["-o"] if name == "output_dir" else [])
    options: dict[str, Any] = {"help": definition.metadata["help"]}
    if kind == "bool":
        return click.option(*names, is_flag=True, **options)
    if kind.startswith("bool"):
        return click.option(f"{flag}/--no-{flag[2:]}", name, default=None, **options)
    if name in _MULTIPLE:
        options |= {"multiple": True, "help": f"{options['help']} Repeatable."}
    elif name == "output_dir":
        options["required"] = True
    else:
        options |= {"default": default or None, "show_default": bool(default)}
        if isinstance(default, (int, float)):
            options |= {"default": default, "show_default": True}
    if isinstance(check, Choice):
        options["type"] = click.Choice(check.names)
    elif name in _TYPES:
        options["type"] = _TYPES[name]
        if isinstance(_TYPES[name], Names):
            options["help"] = f"{options['help']} Separate several with commas."
    elif kind.startswith(("int", "float")):
        options["type"] = int if kind.startswith("int") else float
    return click.option(*names, **options)


def given_settings(context: click.Context, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that the caller gave: a default is not one of them."""
    return {
        name: value
        for name, value in settings.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }


def layout_options(command: F) -> F:
    """Give a command the options of how files of data are written."""
    layout = ("delimiter", "encoding", "sheet")
    others = [name for name in settings_fields() if name not in layout]
    return setting_options(*others)(command)
