"""The legal values of a setting."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Check", "Choice", "Flag", "Kind", "Number", "WholeNumber"]


@dataclass(frozen=True)
class WholeNumber:
    """A whole number of `least` or more."""

    least: int = 0

    @property
    def range(self) -> str:
        """The legal values, in words."""
        return f"whole number of {self.least} or more"

    def allows(self, value: Any) -> bool:
        """Return whether a value is legal."""
        return isinstance(value, int) and not isinstance(value, bool) and value >= self.least


@dataclass(frozen=True)
class Number:
    """A number from `low` to below `high`; above `low` where that is `excluded`."""

    low: float = 0.0
    high: float = math.inf
    excluded: bool = False

    @property
    def range(self) -> str:
        """The legal values, in words."""
        start = f"above {self.low:g}" if self.excluded else f"of {self.low:g} or more"
        return f"number {start}" + ("" if self.high == math.inf else f" and below {self.high:g}")

    def allows(self, value: Any) -> bool:
        """Return whether a value is legal."""
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return False
        return (value > self.low if self.excluded else value >= self.low) and value < self.high


@dataclass(frozen=True)
class Choice:
    """One of several names."""

    names: tuple[str, ...]

    @property
    def range(self) -> str:
        """The legal values, in words."""
        return "one of " + ", ".join(self.names)

    def allows(self, value: Any) -> bool:
        """Return whether a value is legal."""
        return isinstance(value, str) and value in self.names


@dataclass(frozen=True)
class Flag:
    """True or False."""

    range = "True or False"

    def allows(self, value: Any) -> bool:
        """Return whether a value is legal."""
        return isinstance(value, bool)


class Kind(NamedTuple):
    """What a setting without a range must be.

    Attributes:
        words: the values, in words.
        allows: whether a value, which is not None, is one.
    """

    words: str
    allows: Callable[[Any], bool]


Check = WholeNumber | Number | Choice | Flag
