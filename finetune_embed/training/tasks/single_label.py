"""One label per text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ...data import Label, label_numbers, single_labels
from .base import ADDS_UP, LossFunction, Task
from .class_scores import CLASS_SCORES, class_scores

if TYPE_CHECKING:
    from datasets import Dataset

    from ...data import LocalDataset

__all__ = ["SingleLabel"]


@dataclass(frozen=True)
class SingleLabel(Task):
    """One label per text: softmax and cross-entropy."""

    loss_fn: LossFunction = functional.cross_entropy

    name: ClassVar[str] = "single_label"

    @property
    def measures(self) -> tuple[str, ...]:
        return (*CLASS_SCORES, "loss")

    def targets(
        self, split: Dataset | LocalDataset, column: str, where: str, texts: Sequence[Any]
    ) -> torch.Tensor:
        """Return the class number of each text, int64 `(texts,)`; see `Task`."""
        return label_numbers(split, column, [*self.labels, *self.others], where, self.ignored)

    def label_lists(
        self, split: Dataset | LocalDataset, column: str, where: str
    ) -> Sequence[Sequence[Any]]:
        return single_labels(split, column, where)

    def scores(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> dict[str, float]:
        """Return accuracy, which equals micro-averaged F1 here, and macro-averaged F1."""
        logits, targets = self.only_counted(logits, targets)
        found = class_scores(targets, logits.argmax(dim=1))
        found["loss"] = self.loss(logits, targets).item()
        return {n: found[n] for n in found if n in ("accuracy", "macro_f1", "loss", self.metric)}

    def outcomes(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> npt.NDArray[np.float64] | None:
        if self.metric not in ADDS_UP:
            return None
        right = (logits.argmax(dim=1) == targets).double()
        return torch.stack([right, self.counted(targets).double()], dim=1).numpy()

    def decode(self, logits: torch.Tensor, lengths: torch.Tensor) -> list[Label]:
        return [self.labels[number] for number in logits.argmax(dim=1).tolist()]
