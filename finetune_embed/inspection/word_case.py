"""How the words of a table are capitalised."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Case", "count_cases"]


@dataclass(frozen=True)
class Case:
    """The number of words of each case.

    Attributes:
        lower: `word`.
        capitalised: `Word`, and single letters such as `A`.
        upper: `WORD`.
        mixed: `wOrd`, `McDonald`.
        uncased: `42`, `...`, and words of scripts without case.
    """

    lower: int
    capitalised: int
    upper: int
    mixed: int
    uncased: int

    @property
    def profile(self) -> str:
        """`all lower`, `mixed`, or `no case`."""
        if self.capitalised or self.upper or self.mixed:
            return "mixed"
        return "all lower" if self.lower else "no case"

    def __str__(self) -> str:
        counts = {
            "lower case": self.lower,
            "capitalised": self.capitalised,
            "upper case": self.upper,
            "mixed": self.mixed,
            "without case": self.uncased,
        }
        total = max(1, sum(counts.values()))
        shares = [f"{count / total:.1%} {name}" for name, count in counts.items() if count]
        return f"{self.profile}" + (f" ({', '.join(shares)})" if shares else "")


def count_cases(words: list[str]) -> Case:
    """Return the number of words of each case."""
    counts = dict.fromkeys(("capitalised", "upper", "mixed", "uncased"), 0)
    others = [word for word in words if not word.islower()]
    for word in others:
        if word.lower() == word.upper():
            counts["uncased"] += 1
        elif word.isupper() and sum(map(str.isalpha, word)) > 1:
            counts["upper"] += 1
        elif word[1:] == word[1:].lower() and word[0].isupper():
            counts["capitalised"] += 1
        else:
            counts["mixed"] += 1
    return Case(lower=len(words) - len(others), **counts)
