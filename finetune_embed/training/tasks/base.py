"""What every task has: its labels, targets, loss, scores and decoding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...data import EncodedTexts, Label
from ...errors import DataError
from ...models import HEADS
from ...splits import column_of

if TYPE_CHECKING:
    from datasets import Dataset

    from ...frame import Frame

__all__ = [
    "LossFunction",
    "Task",
    "are_hidden",
    "class_names",
    "distinct_labels",
    "label_lists",
    "numbers_of",
]

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Task(ABC):
    """What a head is trained for: a value object without a model or data.

    A *unit* is what has a prediction of its own: a text, or a word where words are tagged. Logits
    of units are `(units, C)`, whatever form a head returns them in.

    Attributes:
        labels: the labels in the order of the head's outputs.
        loss_fn: of logits `(units, C)` and targets of as many units; a mean over units.
        name: as spelled in settings.
        per_word: whether each word has a prediction, so that the head has to be a tagger.
    """

    labels: list[Label]
    loss_fn: LossFunction

    name: ClassVar[str]
    per_word: ClassVar[bool] = False

    @property
    @abstractmethod
    def metric(self) -> str:
        """The name of the score that chooses the best epoch; higher is better."""

    @abstractmethod
    def targets(
        self, split: Dataset | Frame, column: str, where: str, texts: Sequence[Any]
    ) -> torch.Tensor:
        """Return the targets of a split, to be held as the `labels` of its encoded texts.

        Args:
            split: the split.
            column: the column of labels.
            where: what to call the split in messages.
            texts: the texts of the split, as `texts_of` gives them.

        Raises:
            DataError: the column is missing, a row has no labels, or one that is not among
                `labels`, which are the ones of the training split.
        """

    def batch_targets(self, data: EncodedTexts, rows: torch.Tensor) -> torch.Tensor:
        """Return the targets of the units of some texts, in the order of `units`."""
        assert data.labels is not None
        return data.labels[rows]

    def units(self, logits: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the logits `(units, C)` of a batch.

        Args:
            logits: what the head returned.
            lengths: the lengths of the texts, 0 for an empty one: `data.lengths[rows]`.

        Raises:
            DataError: the head returned logits of another form.
        """
        if logits.dim() != 2:
            raise DataError(
                f"the head returned logits of the shape {tuple(logits.shape)}; for "
                f"task={self.name!r} they are one row for each text, (texts, labels)"
            )
        return logits

    def check_head(self, model: nn.Module, spelled: bool) -> None:
        """Check that a head is made for the task, as far as it tells.

        Args:
            model: the head.
            spelled: whether it is a ready one; others need not have `per_word`.

        Raises:
            DataError: a head for texts is to tag words, or the other way round.
        """
        per_word = getattr(model, "per_word", False if spelled else self.per_word)
        if per_word != self.per_word:
            heads = [n for n, h in HEADS.items() if getattr(h, "per_word", False) == self.per_word]
            raise DataError(
                f"{type(model).__name__} labels {'words' if per_word else 'whole texts'}, and "
                f"task={self.name!r} is to label {'words' if self.per_word else 'whole texts'}; "
                f"take {' or '.join(f'head={name!r}' for name in heads)}"
            )

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of units; 0 where there is none, as in a batch of empty texts."""
        return self.loss_fn(logits, targets) if len(targets) else logits.sum()

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the probability of each label for each unit, `(units, C)`."""
        return logits.softmax(dim=1)

    def fit(self, logits: torch.Tensor, targets: torch.Tensor) -> Task:
        """Return the task with what its decoding takes from validation, such as a threshold."""
        return self

    @abstractmethod
    def scores(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> dict[str, float]:
        """Return the scores of logits `(units, C)` by name, the mean loss among them.

        Args:
            logits: of all units of all texts.
            targets: of as many units.
            lengths: int64 `(texts,)`, which words belong together.
        """

    @abstractmethod
    def outcomes(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> npt.NDArray[np.float64]:
        """Return what each text adds to the score named by `metric`, `(texts, 2)`.

        The score of any set of texts is the sum of their first numbers over that of their second.

        Args:
            logits: of all units of all texts.
            targets: of as many units.
            lengths: int64 `(texts,)`, which words belong together.
        """

    @abstractmethod
    def decode(self, logits: torch.Tensor, lengths: torch.Tensor) -> list[Any]:
        """Return what is predicted for each text: a label, a list of labels, or a list of tags.

        Args:
            logits: of all units of all texts.
            lengths: int64 `(texts,)`.
        """

    def settings(self) -> dict[str, Any]:
        """Return the task as plain values, from which `restore_task` makes it again."""
        return {"task": self.name, "labels": list(self.labels)}


def are_hidden(split: Dataset | Frame, column: str) -> bool:
    """Tell whether a split keeps its labels to itself: all of them are -1 or missing."""
    if column not in split.column_names:
        return False
    values = split[column][:]
    flat = chain.from_iterable(v if isinstance(v, list) else [v] for v in values)
    return set(flat) <= {-1, None}


def label_lists(split: Dataset | Frame, column: str, where: str) -> list[list[Any]]:
    """Return a column of lists of labels; numbers of class labels that have a name as the name.

    Raises:
        DataError: the column is missing, or a row has no list.
    """
    values = list(column_of(split, column, where, "label"))
    bad = [i for i, value in enumerate(values) if not isinstance(value, list)]
    if bad:
        raise DataError(
            f"{where}: {len(bad):,} of {len(values):,} rows have no list of labels in {column!r}, "
            f"the first is row {bad[0]} (counted from 0): {values[bad[0]]!r}; remove them with "
            "dataset.filter(...), or pass task='single_label' if each text has one label"
        )
    if names := class_names(split, column):
        values = [[_named(number, names) for number in row] for row in values]
    return values


def class_names(split: Any, column: str) -> list[str] | None:
    """Return the names of a column of `ClassLabel`s or of lists of them, None if it is neither."""
    feature = (split.features or {}).get(column)
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def _named(number: Any, names: list[str]) -> Any:
    known = isinstance(number, int) and 0 <= number < len(names)
    return names[number] if known else number


def distinct_labels(split: Dataset | Frame, column: str, where: str) -> list[Label]:
    """Return the labels in a column of lists: the names of a `ClassLabel`, others sorted.

    Raises:
        DataError: a label is neither text nor a whole number, some are text and others numbers, or
            there are fewer than two.
    """
    lists = label_lists(split, column, where)
    names = class_names(split, column)
    check_not_multi_hot(lists, column, where)
    allowed = str if names else (str, int)
    for row, labels in enumerate(lists):
        bad = [label for label in labels if not isinstance(label, allowed)]
        if bad:
            kind = "one of the column's class names" if names else "a string or a whole number"
            raise DataError(
                f"{where}: row {row} (counted from 0) has {bad[0]!r} in {column!r}; a label is "
                f"{kind}; remove such rows with dataset.filter(...)"
            )
    try:
        distinct = list(names or sorted({label for labels in lists for label in labels}))
    except TypeError as error:
        raise DataError(f"{where}: the labels in {column!r} are partly text, partly numbers") from (
            error
        )
    if len(distinct) < 2:
        raise DataError(
            f"{where}: the labels in {column!r} are {distinct}; a task has two or more; whether a "
            "text has the only one can be told by a column of yes and no: task='single_label'"
        )
    return distinct


def check_not_multi_hot(lists: Sequence[Sequence[Any]], column: str, where: str) -> None:
    """Check that rows have the labels of a text, not a number for each label that there is.

    Raises:
        DataError: all rows are as long, of nothing but 0 and 1, and some repeat one of the two.
    """
    alike = len({len(row) for row in lists}) == 1
    binary = alike and all(value in (0, 1) for value in chain.from_iterable(lists))
    if binary and any(len(set(row)) < len(row) for row in lists):
        raise DataError(
            f"{where}: the rows of {column!r} look like a 0 or 1 for each of {len(lists[0])} "
            "labels; a row has the labels themselves: dataset.map(lambda row: "
            f"{{{column!r}: [name for name, has in zip(names, row[{column!r}]) if has]}})"
        )


def numbers_of(lists: Sequence[Sequence[Any]], labels: Sequence[Label], where: str) -> list[int]:
    """Return the numbers of the labels of all rows, one row after the other.

    Raises:
        DataError: a label is not among the ones of the training split.
    """
    numbers = {label: number for number, label in enumerate(labels)}
    bad = [row for row, values in enumerate(lists) if not numbers.keys() >= set(values)]
    if bad:
        unknown = next(value for value in lists[bad[0]] if value not in numbers)
        raise DataError(
            f"{where}: {len(bad):,} of {len(lists):,} rows have a label that is not among the "
            f"{len(labels)} of the training split, the first is row {bad[0]} (counted from 0): "
            f"{unknown!r}; remove them with dataset.filter(...)"
        )
    return [numbers[value] for values in lists for value in values]
