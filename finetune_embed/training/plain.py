"""Settings as YAML and JSON hold them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["PLAIN_FORMS", "name_of", "plain_tokenizer", "plain_value"]


def plain_value(value: Any) -> Any:
    """Return a value as YAML and JSON hold it."""
    if isinstance(value, (tuple, list)):
        return [plain_value(one) for one in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "tolist"):  # the start vector of a special token
        return value.tolist()
    return os.fspath(value) if isinstance(value, os.PathLike) else f"<{name_of(value).strip('<>')}>"


def _plain_special(special: Any) -> Any:
    """Return a special token as a text, or as a mapping where more than its text is set."""
    if isinstance(special, str):
        return special
    if special.start is None and special.trainable:
        return special.token
    return {
        "token": special.token,
        "start": plain_value(special.start),
        "trainable": special.trainable,
    }


def _plain_strategy(strategy: Any) -> str:
    """Return the text form of a strategy, with the absolute path of its lexicon."""
    if strategy is None or isinstance(strategy, str):
        return str(strategy)
    from ..strategies import with_absolute_paths  # imports torch

    return str(with_absolute_paths(strategy))


def plain_tokenizer(tokenizer: Any) -> str:
    """Return the name of a tokenizer; of a custom one or a pipeline, what it is made of."""
    from ..vocabulary import CONVENTIONS

    return str(tokenizer.name) if tokenizer.name in CONVENTIONS else f"<{tokenizer!r}>"


#: Settings whose values have a plain form of their own.
PLAIN_FORMS: dict[str, Callable[[Any], Any]] = {
    "class_weight": lambda one: dict(one) if isinstance(one, Mapping) else one,
    "strategy": _plain_strategy,
    "tokenizer": lambda one: one if one is None or isinstance(one, str) else plain_tokenizer(one),
    "specials": lambda given: [_plain_special(one) for one in given],
}


def name_of(thing: Any) -> str:
    """Return the name of a function or class, or of the class of any other object."""
    return getattr(thing, "__name__", None) or type(thing).__name__
