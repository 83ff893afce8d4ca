"""Settings in the signature and the docstring of the functions that take them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from dataclasses import fields
from typing import Any, TypeVar

from .settings import Settings

__all__ = ["document"]

F = TypeVar("F", bound=Callable[..., Any])


def document(without: Collection[str] = (), **defaults: Any) -> Callable[[F], F]:
    """Return a decorator that shows the settings in the signature and docstring of a function.

    They take the places of `**settings` and of `{settings}`.

    Args:
        without: settings that the function does not take.
        defaults: defaults of the function that differ.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        keyword = inspect.Parameter.KEYWORD_ONLY
        given = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
        settings = [one for one in fields(Settings) if one.name not in without]
        shown = [
            inspect.Parameter(
                one.name,
                keyword,
                default=defaults.get(one.name, one.default),
                annotation=one.type,
            )
            for one in settings
        ]
        lines = [f"{one.name}: {one.metadata['help']}" for one in settings]
        text = "\n        ".join(lines)
        function.__doc__ = (function.__doc__ or "").replace("{settings}", text)
        vars(function)["__signature__"] = signature.replace(parameters=[*given, *shown])
        return function

    return decorate
