"""Value objects as text: `Name(option=value)`, the spelling of the command line and of YAML."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

__all__ = ["parse_call"]

T = TypeVar("T")


def parse_call(
    text: str,
    known: Mapping[str, Callable[..., T]],
    what: str,
    error: type[Exception],
    *given: Any,
) -> T:
    """Return what a spelling such as `cnn(filters=50)` makes; nothing in it is executed.

    Args:
        text: a name of `known`, optionally with keyword arguments that are literals.
        known: what each name stands for.
        what: the kind of thing that is spelled, for messages.
        error: the class of errors to raise.
        given: arguments passed before those of the spelling.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as cause:  # NUL, deep nesting
        raise error(f"{text!r} is no {what}; write {' or '.join(known)}") from cause
    keywords: list[ast.keyword] = []
    if isinstance(node, ast.Call):
        if node.args or any(keyword.arg is None for keyword in node.keywords):
            raise error(f"{text}: name the options, such as {ast.unparse(node.func)}(option=value)")
        keywords = node.keywords
        node = node.func
    name = node.id if isinstance(node, ast.Name) else ast.unparse(node)
    if name not in known:
        close = difflib.get_close_matches(name.lower(), {k.lower(): k for k in known}, 1)
        hint = next((f"; did you mean {k}?" for k in known if close and k.lower() == close[0]), "")
        raise error(f"no {what} is called {name!r}; there are {', '.join(known)}{hint}")
    options = [p for p in inspect.signature(known[name]).parameters][len(given) :]
    values: dict[str, Any] = {}
    for keyword in keywords:
        if keyword.arg not in options:
            raise error(f"{name} has no option {keyword.arg!r}; write {name}({', '.join(options)})")
        if keyword.arg in values:
            raise error(f"{text}: {keyword.arg} is given twice; keep one of them")
        try:
            values[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError) as cause:
            raise error(
                f"{name}({keyword.arg}={ast.unparse(keyword.value)}): give a plain number or text"
            ) from cause
    try:
        return known[name](*given, **values)
    except error:
        raise
    except (TypeError, ValueError, RuntimeError) as cause:
        raise error(f"{text}: {cause}") from cause
