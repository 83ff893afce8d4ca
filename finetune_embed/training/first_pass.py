"""The first pass over a stream: its texts, and what a run must know before it trains on them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from typing import Any

from ..data import (
    IGNORED_LABELS,
    Label,
    class_names,
    invalid_labels,
    kind_of_labels,
    texts_of,
    without_ignored,
)
from ..errors import DataError, Either
from ..vocabulary import plain
from .streamed import BLOCK, as_split, read_examples

__all__ = ["FirstPass", "place_of"]


class FirstPass:
    """The texts of a stream, and what is learnt while they pass.

    Attributes:
        sample: the first example with each label, and those that show that lists of labels differ.
        length: the number of examples, None until the end is reached.
        sha256: the hash of the texts and labels that have passed.
    """

    def __init__(
        self,
        stream: Any,
        text: str | Sequence[str],
        label: str,
        where: str,
        ignored: Collection[Label] = IGNORED_LABELS,
    ) -> None:
        self._stream, self._text, self._label, self._where = stream, text, label, where
        self.sample: list[Any] = []
        self.length: int | None = None
        self.sha256 = hashlib.sha256()
        self._names, self._ignored = class_names(stream, label), ignored

    def blocks(self) -> Iterator[list[Any]]:
        """Yield the texts of all examples, block by block.

        Raises:
            DataError: an example has no text or no label; the message names the first.
        """
        seen: set[Any] = set()
        first: list[Any] = []
        same_labels = same_number = True  # as those of the first example
        examples, count = read_examples(self._stream, self._where), 0
        while block := list(islice(examples, BLOCK)):
            where = place_of(self._where, count)
            texts = texts_of(as_split(block, None, where), self._text, where)
            values = [plain(example.get(self._label)) for example in block]
            for at, (example, value) in enumerate(zip(block, values, strict=True), count):
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
            self.sha256.update(repr((texts, values)).encode("utf-8", "surrogatepass"))
            yield texts
            count += len(block)
        self.length = count

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
        again = next(read_examples(self._stream, self._where), None)
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
            raise DataError("the training split is empty (0 examples)", where=self._where)


def place_of(where: str, first: int) -> str:
    """Return what to call a block of a stream that starts at an example."""
    return f"{where}, example {first:,} onwards" if first else where
