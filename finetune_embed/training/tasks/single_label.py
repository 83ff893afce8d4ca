"""One label per text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ...data import Label, label_numbers
from .base import LossFunction, Task

if TYPE_CHECKING:
    from datasets import Dataset

    from ...data import LocalDataset

__all__ = ["SingleLabel", "macro_f1"]


@dataclass(frozen=True)
class SingleLabel(Task):
    """One label per text: softmax and cross-entropy."""

    loss_fn: LossFunction = functional.cross_entropy

    name: ClassVar[str] = "single_label"

    @property
    def metric(self) -> str:
        return "accuracy"

    def targets(
        self, split: Dataset | LocalDataset, column: str, where: str, texts: Sequence[Any]
    ) -> torch.Tensor:
        """Return the class number of each text, int64 `(texts,)`; see `Task`."""
        return label_numbers(split, column, self.labels, where, self.ignored)

    def scores(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> dict[str, float]:
        """Return accuracy, which equals micro-averaged F1 here, and macro-averaged F1."""
        logits, targets = self.only_counted(logits, targets)
        found = logits.argmax(dim=1)
        return {
            "accuracy": (found == targets).double().mean().item(),
            "macro_f1": macro_f1(targets, found),
            "loss": self.loss(logits, targets).item(),
        }

    def outcomes(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> npt.NDArray[np.float64]:
        right = (logits.argmax(dim=1) == targets).double()
        return torch.stack([right, self.counted(targets).double()], dim=1).numpy()

    def decode(self, logits: torch.Tensor, lengths: torch.Tensor) -> list[Label]:
        return [self.labels[number] for number in logits.argmax(dim=1).tolist()]


def macro_f1(true: torch.Tensor, found: torch.Tensor) -> float:
    """Return the mean F1 of the classes that occur in either, as scikit-learn's `f1_score` does.

    Args:
        true: class numbers, int64 `(N,)`, N above 0.
        found: as many.
    """
    classes = int(torch.maximum(true, found).max()) + 1
    right, wanted, named = (
        torch.bincount(numbers, minlength=classes).double()
        for numbers in (true[true == found], true, found)
    )
    occurs = wanted + named > 0
    return (2 * right / (wanted + named))[occurs].mean().item()
