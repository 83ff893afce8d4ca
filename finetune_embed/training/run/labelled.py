"""Labelled data as a run reads it: texts, and their targets among the labels of the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ...data import EncodedTexts
from ..tasks import Task

__all__ = ["Labelled"]


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
