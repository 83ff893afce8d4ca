"""The arguments of strategies: how they are checked, and how they are written."""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields
from typing import TYPE_CHECKING, Any

from ..errors import StrategyError
from ..parsing import near

__all__ = [
    "CheckedArguments",
    "Factors",
    "check_count",
    "check_number",
    "check_share",
    "check_text",
    "factors_of",
    "is_number",
    "shown",
    "text_of",
]

MOST = 2**53  # of counts: a float can still tell it from the next number
_BOUND = ", and one that a float can hold"


class CheckedArguments(type):
    """The class of strategy classes: `L2SP(deccay=1)` is an error that names the options."""

    if not TYPE_CHECKING:  # type checkers know the arguments of a dataclass

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            try:
                cls.__signature__.bind(*args, **kwargs)
            except TypeError as error:
                raise _wrong_arguments(cls, args, kwargs, error) from error
            return super().__call__(*args, **kwargs)

        @property
        def __signature__(cls) -> inspect.Signature:
            signature = inspect.signature(cls.__init__)
            return signature.replace(parameters=list(signature.parameters.values())[1:])


def _wrong_arguments(
    cls: CheckedArguments, args: Any, kwargs: Any, error: TypeError
) -> StrategyError:
    """Return the error for arguments that a strategy does not take."""
    options = list(inspect.signature(cls).parameters)
    unknown = [name for name in kwargs if name not in options]
    what = f"{cls.__name__}: {error}"
    if unknown:
        what = f"{cls.__name__} has no option {unknown[0]!r}{near(unknown[0], options)}"
    return StrategyError(
        what,
        value=unknown[0] if unknown else args,
        remedy=f"write {cls.__name__}({', '.join(f'{option}=...' for option in options)})",
    )


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
    if not named or not all(is_number(value) and value >= 0 for value in given.values()):
        raise StrategyError(
            f"{type(strategy).__name__} takes names with numbers of 0 or more, not {shown(given)}",
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
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_whole or value < least:
            raise StrategyError(
                f"{type(strategy).__name__} needs an integer of {least} or more, not "
                f"{shown(value)}",
                value=value,
            )
        if value > MOST:
            raise StrategyError(
                f"{type(strategy).__name__} needs an integer of at most {MOST:,}, not "
                f"{shown(value)}",
                value=value,
            )


def check_number(strategy: object, name: str, value: Any, *, zero: bool = False) -> None:
    """Check that a value is a finite number above 0, or of 0 or more.

    Raises:
        StrategyError: it is not.
    """
    if not is_number(value) or not (value >= 0 if zero else value > 0):
        raise StrategyError(
            f"{type(strategy).__name__}({name}={shown(value)}) must be a number "
            f"{'of 0 or more' if zero else 'above 0'}{_BOUND if isinstance(value, int) else ''}",
            value=value,
        )


def check_share(
    strategy: object, name: str, value: Any, legal: str, allows: Callable[[float], bool]
) -> None:
    """Check that a value is a number in a range.

    Args:
        strategy: the strategy.
        name: the name of the argument.
        value: the value.
        legal: the range in words.
        allows: whether a number is in the range.

    Raises:
        StrategyError: it is not.
    """
    if not is_number(value) or not allows(value):
        raise StrategyError(
            f"{type(strategy).__name__}({name}={shown(value)}) must be {legal}", value=value
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
        f"{field.metadata.get('argument', field.name)}={_plain(getattr(strategy, field.name))!r}"
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


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number, of Python or NumPy, that a float can hold."""
    is_scalar = isinstance(value, numbers.Real) and type(value).__module__ == "numpy"
    if isinstance(value, bool) or not (is_scalar or isinstance(value, (int, float))):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def shown(value: Any) -> str:
    """Return a value as messages show it; Python does not write integers of 4,301 digits."""
    try:
        return repr(value)
    except ValueError:
        return f"a {type(value).__name__} that is too long to show"
