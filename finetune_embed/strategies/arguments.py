"""The arguments of strategies: how they are checked, and how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any

from ..errors import StrategyError

__all__ = ["Factors", "check_count", "check_number", "check_text", "factors_of", "text_of"]


class Factors(dict[str, float]):
    """A number for each name, in the order of names: equal, hashable and written as a dict."""

    # A dict is not hashable; this one never changes, so it can be.
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def factors_of(strategy: object, given: Mapping[str, float]) -> Factors:
    """Return factors in the order of their names.

    Raises:
        StrategyError: they are not a mapping of names to numbers of 0 or more.
    """
    named = isinstance(given, Mapping) and all(isinstance(name, str) for name in given)
    if not named or not all(_is_number(value) and value >= 0 for value in given.values()):
        raise StrategyError(
            f"{type(strategy).__name__} takes names with numbers of 0 or more, not {given!r}",
            value=given,
            remedy="give a dict such as {'good': 0.1}",
        )
    return Factors(sorted((name, float(value)) for name, value in given.items()))


def check_count(strategy: object, *values: Any, least: int = 0) -> None:
    """Check that values are integers of at least `least`.

    Raises:
        StrategyError: one is not.
    """
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise StrategyError(
                f"{type(strategy).__name__} needs an integer of {least} or more, not {value!r}",
                value=value,
            )


def check_number(strategy: object, name: str, value: Any, *, zero: bool = False) -> None:
    """Check that a value is a finite number above 0, or of 0 or more.

    Raises:
        StrategyError: it is not.
    """
    if not _is_number(value) or not (value >= 0 if zero else value > 0):
        raise StrategyError(
            f"{type(strategy).__name__}({name}={value!r}) must be a number "
            f"{'of 0 or more' if zero else 'above 0'}",
            value=value,
        )


def check_text(strategy: object, name: str, value: Any) -> None:
    """Check that a value is a text that is not empty.

    Raises:
        StrategyError: it is not.
    """
    if not isinstance(value, str) or not value:
        raise StrategyError(
            f"{type(strategy).__name__}({name}={value!r}) must be a text", value=value
        )


def text_of(strategy: Any) -> str:
    """Return a strategy as text: its name, and the arguments that differ from their defaults."""
    written = [
        f"{field.name}={_plain(getattr(strategy, field.name))!r}"
        for field in fields(strategy)
        if getattr(strategy, field.name) != _default_of(field)
    ]
    name = type(strategy).__name__
    return f"{name}({', '.join(written)})" if written else name


def _plain(value: Any) -> Any:
    """Return a NumPy scalar as a Python number, anything else unchanged."""
    return value.item() if type(value).__module__ == "numpy" and not value.shape else value


def _default_of(field: Field[Any]) -> Any:
    """Return the default of a field, `MISSING` if it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and -float("inf") < value < float("inf")
