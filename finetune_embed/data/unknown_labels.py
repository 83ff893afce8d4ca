"""Labels of held-out or new texts that training lacks: they count as wrong, and are reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from .labels import Label
from .similar_labels import similar_label

__all__ = ["UnknownLabels"]

SHOWN = 5  # labels in a note


class UnknownLabels:
    """The labels of a split that training lacks.

    They are unknown only beside known ones: where training has none of a split's labels, those of
    another column or another data set are meant, and the split cannot be used.

    Args:
        lists: the labels of each example.
        labels: the labels of the training split.
        ignored: labels that do not count.
        are_names: whether only names are labels, as in a column with class names.

    Attributes:
        counts: how often each occurs, the most frequent first.
        all: the number of labels in the split that count.
    """

    def __init__(
        self,
        lists: Sequence[Sequence[Any]],
        labels: Sequence[Label],
        ignored: Collection[Label],
        are_names: bool = False,
    ) -> None:
        kind = str if are_names else (str, int)
        found = [one for given in lists for one in given if isinstance(one, kind)]
        counts = Counter(one for one in found if one not in ignored)
        known = set(labels)
        self._labels, self.all = labels, counts.total()
        unknown = Counter({one: n for one, n in counts.items() if one not in known})
        self.counts = unknown if unknown.total() < self.all else Counter()

    def __iter__(self) -> Iterator[Label]:
        return (label for label, _ in self.counts.most_common())

    def note(self, split: str = "") -> list[str]:
        """Return what to report, if anything.

        Args:
            split: the name of the split and a space, where there are several.
        """
        if not self.counts:
            return []
        parts = [f"{label!r:.40} ({n:,})" for label, n in self.counts.most_common(SHOWN)]
        more = len(self.counts) - SHOWN
        parts += [f"and {more:,} more"] if more > 0 else []
        near = next(filter(None, (similar_label(one, self._labels) for one in self)), None)
        hint = f"; {near!r:.40} is among them, and differs only in case or spaces" if near else ""
        return [
            f"{self.counts.total():,} of {self.all:,} {split}labels are not among the "
            f"{len(self._labels):,} of training, and count as wrong: {', '.join(parts)}{hint}"
        ]
