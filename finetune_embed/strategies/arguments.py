"""What arguments of strategies are made of, and how they are checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import StrategyError

__all__ = ["Factors", "check_count", "check_number", "check_text", "factors_of"]


class Factors(dict[str, float]):
    """A number for each name, in the order of names: equal, hashable and spelled as a dict."""

    # A dict has None in the place of a hash; this one is never changed, so it has one.
    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


def factors_of(strategy: object, given: Mapping[str, float]) -> Factors:
    """Return factors in the order of their names.

    Raises:
        StrategyError: they are no mapping of names to numbers from 0 on.
    """
    known = isinstance(given, Mapping) and all(isinstance(name, str) for name in given)
    if not known or not all(_is_number(value) and value >= 0 for value in given.values()):
        raise StrategyError(
            f"{type(strategy).__name__} takes names with numbers from 0 on, such as "
            f"{{'good': 0.1}}, not {given!r}"
        )
    return Factors(sorted((name, float(value)) for name, value in given.items()))


def check_count(strategy: object, *values: Any, least: int = 0) -> None:
    """Check whole numbers.

    Raises:
        StrategyError: one is none, or below `least`.
    """
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise StrategyError(
                f"{type(strategy).__name__} needs a whole number from {least} on, not {value!r}"
            )


def check_number(strategy: object, name: str, value: Any, *, zero: bool = False) -> None:
    """Check a finite number above 0, or from 0 on.

    Raises:
        StrategyError: it is none.
    """
    if not _is_number(value) or not (value >= 0 if zero else value > 0):
        raise StrategyError(
            f"{type(strategy).__name__}({name}={value!r}) must be a number "
            f"{'from 0 on' if zero else 'above 0'}"
        )


def check_text(strategy: object, name: str, value: Any) -> None:
    """Check a text.

    Raises:
        StrategyError: it is none, or empty.
    """
    if not isinstance(value, str) or not value:
        raise StrategyError(f"{type(strategy).__name__}({name}={value!r}) must be a text")


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and -float("inf") < value < float("inf")
