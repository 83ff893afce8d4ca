"""Labelled data as a run reads it: texts, and their targets among the labels of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from ...data import EncodedTexts
from ..tasks import Task

__all__ = ["Labelled", "with_labels_as_in"]


@dataclass(frozen=True, eq=False)
class Labelled:
    """Texts with labels.

    Attributes:
        where: the name of the data.
        texts: the texts, as `predict` takes them.
        task: the task of the run, with the labels that only this data has as its `others`.
        notes: what to report about how the data was read.
        stored: the targets of all texts, as `Task.targets` gives them.
    """

    where: str
    texts: Sequence[Any]
    task: Task
    notes: Sequence[str]
    stored: torch.Tensor

    def targets(self, lengths: torch.Tensor) -> torch.Tensor:
        """Return the targets of the units of all texts.

        Args:
            lengths: int64 `(texts,)`, the number of units that logits are of in each text.
        """
        per_word = self.task.per_word
        full = torch.tensor([len(words) for words in self.texts]) if per_word else lengths
        data = EncodedTexts(torch.zeros(0), full.cumsum(0) - full, lengths, self.stored)
        return self.task.batch_targets(data, torch.arange(len(self.texts)))


def with_labels_as_in(split: Any, column: str, task: Task) -> Task:
    """Return a task whose labels are texts or numbers as those of a split are.

    A CSV file has the text `"1"` for what is the number 1 in other files.
    """
    values = split[column][:] if column in split.column_names else []
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    if all(isinstance(one, str) for one in flat):
        return replace(task, labels=[str(label) for label in task.labels])
    as_numbers = {str(one): one for one in flat if isinstance(one, int)}
    return replace(task, labels=[as_numbers.get(str(label), label) for label in task.labels])
