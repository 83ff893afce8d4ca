"""Value objects written as text, `Name(option=value)`, as on the command line and in YAML."""

from __future__ import annotations

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from .errors import FinetuneEmbedError

__all__ = ["near", "parse_call"]

T = TypeVar("T")
UNNAMED = ""  # instead of the name of an argument without one


def parse_call(
    text: str,
    known: Mapping[str, Callable[..., T]],
    kind: str,
    error: type[FinetuneEmbedError],
    *first: Any,
) -> T:
    """Return the object that a text such as `cnn(filters=50)` describes; no code is executed.

    Args:
        text: a name in `known`, optionally with arguments that are literals, with or without names.
        known: the class or function of each name.
        kind: what the names are, for messages, such as `"head"`.
        error: the class of the errors to raise.
        first: arguments passed before those of the text.
    """
    name, keywords = _split(text, known, kind, error)
    options = list(inspect.signature(known[name]).parameters)[len(first) :]
    call = f"{name}({', '.join(f'{option}=...' for option in options)})"
    values: dict[str, Any] = {}
    for at, keyword in enumerate(keywords):
        if keyword.arg is None:
            raise error(f"{text}: options need names", value=text, remedy=f"write {call}")
        if keyword.arg == UNNAMED:
            if at >= len(options):
                raise error(
                    f"{text}: {name} has {len(options)} options", value=text, remedy=f"write {call}"
                )
            keyword.arg = options[at]
        if keyword.arg not in options:
            raise error(
                f"{name} has no option {keyword.arg!r}{near(keyword.arg, options)}",
                value=keyword.arg,
                remedy=f"write {call}",
            )
        if keyword.arg in values:
            raise error(
                f"{text}: {keyword.arg} is given twice", value=text, remedy="keep one of them"
            )
        try:
            values[keyword.arg] = ast.literal_eval(keyword.value)
        except (ValueError, TypeError, RecursionError, MemoryError) as cause:
            written = ast.unparse(keyword.value)
            raise error(
                f"{name}({keyword.arg}={written}): {written} is not a literal",
                value=written,
                remedy="give a plain number or text",
            ) from cause
    try:
        return known[name](*first, **values)
    except FinetuneEmbedError as cause:
        if isinstance(cause, error):
            raise
        raise error(
            cause.what,
            where=cause.where,
            value=cause.value,
            remedy=cause.remedy,
            option=cause.option,
        ) from cause
    except (MemoryError, RuntimeError) as cause:  # torch raises the second
        raise error(f"{text} is too large to build", value=text) from cause
    except (TypeError, ValueError, OverflowError) as cause:
        raise error(f"{text}: {cause}", value=text) from cause


def near(name: str, known: Iterable[str]) -> str:
    """Return a hint at the known name that is most like another, whatever its case."""
    lower = {one.lower(): one for one in known}
    close = difflib.get_close_matches(name.lower(), lower, 1)
    return f" (did you mean {lower[close[0]]}?)" if close else ""


def _split(
    text: str,
    known: Mapping[str, Callable[..., Any]],
    kind: str,
    error: type[FinetuneEmbedError],
) -> tuple[str, list[ast.keyword]]:
    """Return the name and the arguments of a text.

    The `arg` of an argument without a name is `UNNAMED`, and that of one with a star None.
    """
    a = "an" if kind[0] in "aeiou" else "a"
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as cause:  # a null, deep nesting
        raise error(
            f"{text!r} is not {a} {kind}", value=text, remedy=f"write {' or '.join(known)}"
        ) from cause
    keywords: list[ast.keyword] = []
    if isinstance(node, ast.Call):
        starred = (isinstance(value, ast.Starred) for value in node.args)
        unnamed = [None if is_starred else UNNAMED for is_starred in starred]
        keywords = [ast.keyword(n, v) for n, v in zip(unnamed, node.args, strict=True)]
        keywords += node.keywords
        node = node.func
    try:
        name = node.id if isinstance(node, ast.Name) else ast.unparse(node)
    except RecursionError as cause:
        raise error(f"{text!r} is not {a} {kind}", value=text) from cause
    if name in known:
        return name, keywords
    raise error(
        f"no {kind} is called {name!r}{near(name, known)}",
        value=name,
        remedy=f"choose from {', '.join(known)}",
    )
