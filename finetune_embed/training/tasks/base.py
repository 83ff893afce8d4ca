"""What every task has: its labels, targets, loss, scores and decoding."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ...data import EncodedTexts, Label
from ...errors import DataError
from ...heads import HEADS

if TYPE_CHECKING:
    from datasets import Dataset

    from ...data import LocalDataset

__all__ = ["LossFunction", "Task"]

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
        self, split: Dataset | LocalDataset, column: str, where: str, texts: Sequence[Any]
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
