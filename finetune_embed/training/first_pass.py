"""The first pass over a stream: its texts, and what a run must know before it trains on them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from ..data import (
    IGNORED_LABELS,
    Label,
    Missing,
    Moments,
    are_scores,
    class_names,
    invalid_labels,
    kind_of_labels,
    label_values,
    texts_of,
    without_ignored,
)
from ..errors import DataError, Either
from ..vocabulary import plain
from .streamed import BLOCK, as_split, read_examples
from .tasks import Regression

__all__ = ["FirstPass", "place_of"]


class FirstPass:
    """The texts of a stream, and what is learnt while they pass.

    Attributes:
        sample: the first example with each label, and those that show that lists of labels differ.
        labels: the labels of all examples.
        length: the number of examples that are used, None until the end is reached.
        moments: the mean and deviation of the labels where they are numbers to predict; else None.
        left_out: the number of examples that lack a text or a label, by which of the two.
        sha256: the hash of the texts and labels that have passed.
    """

    def __init__(
        self,
        stream: Any,
        text: str | Sequence[str],
        label: str,
        where: str,
        ignored: Collection[Label] = IGNORED_LABELS,
        missing: Missing | None = None,
        task: str | None = None,
        ignored_numbers: Collection[float] = (),
        read: Callable[[Any, str | Sequence[str], str], list[Any]] = texts_of,
    ) -> None:
        self._stream, self._text, self._label, self._where = stream, text, label, where
        self.sample: list[Any] = []
        self.labels: set[Any] = set()
        self.length: int | None = None
        self.moments: Moments | None = None
        self.left_out: Counter[tuple[str, str]] = Counter()
        self._missing, self._first_left_out, self._seen = missing, 0, 0
        self.sha256 = hashlib.sha256()
        self._names, self._ignored, self._task = class_names(stream, label), ignored, task
        self._ignored_numbers, self._read = ignored_numbers, read

    def blocks(self) -> Iterator[list[Any]]:
        """Yield the texts of all examples, block by block.

        Raises:
            DataError: an example has no text or no label; the message names the first.
        """
        seen = self.labels
        first: list[Any] = []
        same_labels = same_number = True  # as those of the first example
        used, count = self._used(), 0
        while numbered := list(islice(used, BLOCK)):
            block = [example for _, example in numbered]
            where = place_of(self._where, numbered[0][0])
            split = as_split(block, None, where)
            texts = self._read(split, self._text, where)
            values = [plain(example.get(self._label)) for example in block]
            self.sha256.update(repr((texts, values)).encode("utf-8", "surrogatepass"))
            if count == 0 and self._are_numbers(values):
                self.moments, self.sample = Moments(), block[:1]
            count += len(block)
            if self.moments is not None:
                numbers = label_values(split, self._label, where, self._ignored_numbers)
                self.moments.add(numbers)
                yield texts
                continue
            for (at, example), value in zip(numbered, values, strict=True):
                given = value if isinstance(value, list) else [value]
                (labels,) = without_ignored([given], self._ignored)
                if self.sample or self._label in example:  # otherwise the column is missing
                    self._check_labels(labels, at)
                if not self.sample:
                    first = labels
                other_labels = same_labels and set(labels) != set(first)
                other_number = same_number and len(labels) != len(first)
                is_new = not seen.issuperset(labels)
                if not self.sample or is_new or other_labels or other_number:
                    self.sample.append(example)
                    seen.update(labels)
                    same_labels &= not other_labels
                    same_number &= not other_number
            yield texts
        self.length = count

    def _are_numbers(self, values: list[Any]) -> bool:
        """Return whether labels are to be predicted as numbers, by those of the first block."""
        if self._task is not None:
            return self._task == Regression.name
        as_written = self._missing is not None and self._missing.is_as_written
        return are_scores(values, as_written)

    def _used(self) -> Iterator[tuple[int, Any]]:
        """Yield the examples that have a text and a label, with their numbers in the stream."""
        for at, example in enumerate(read_examples(self._stream, self._where)):
            self._seen = at + 1
            kind = None if self._missing is None else self._missing.kind(example)
            if kind is None:
                yield at, example if self._missing is None else self._missing.plain(example)
            else:
                self._first_left_out = self._first_left_out if self.left_out else at
                self.left_out[kind] += 1

    def note(self) -> list[str]:
        """Return what to report about the examples that are left out, if there are any."""
        if self._missing is None or not self.left_out:
            return []
        first = f"example {self._first_left_out:,} (counted from 0)"
        return [self._missing.note("train", self.left_out, self._seen, first)]

    def _check_labels(self, labels: list[Any], at: int) -> None:
        """Check that the labels of an example are class names, strings or whole numbers."""
        if bad := invalid_labels(labels, self._names):
            raise DataError(
                f"example {at:,} (counted from 0) has {bad[0]!r} in {self._label!r}; a label is "
                f"{kind_of_labels(self._names)}",
                where=self._where,
                value=bad[0],
                remedy=Either("remove such examples with stream.filter(...)", "remove such lines"),
            )

    def check_repeatable(self) -> None:
        """Check that a second pass begins with the same example."""
        if not self.sample:
            return
        before = self.left_out.copy(), self._seen
        _, again = next(self._used(), (0, None))
        self.left_out, self._seen = before  # not twice
        if repr(again) != repr(self.sample[0]):
            raise DataError(
                "the stream does not begin with the same example when it is read again; it is read "
                "once per epoch",
                where=self._where,
                remedy=(
                    "make it from a function that starts over: "
                    "IterableDataset.from_generator(read_examples)"
                ),
            )

    def check_not_empty(self) -> None:
        """Check, after the first block, that there is an example."""
        if not self.sample:
            nothing = "the training split is empty (0 examples)"
            raise DataError((self.note() or [nothing])[0], where=self._where)


def place_of(where: str, first: int) -> str:
    """Return what to call a block of a stream that starts at an example."""
    return f"{where}, example {first:,} onwards" if first else where
