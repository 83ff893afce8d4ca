"""One label for each text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional
from typing_extensions import override

from ...data import Label, label_numbers
from .base import LossFunction, Task

if TYPE_CHECKING:
    from datasets import Dataset

    from ...frame import Frame

__all__ = ["SingleLabel"]


@dataclass(frozen=True)
class SingleLabel(Task):
    """One label for each text: softmax and cross-entropy."""

    loss_fn: LossFunction = functional.cross_entropy

    name: ClassVar[str] = "single_label"

    @property
    @override
    def metric(self) -> str:
        return "accuracy"

    @override
    def targets(
        self, split: Dataset | Frame, column: str, where: str, texts: Sequence[Any]
    ) -> torch.Tensor:
        """Return the class number of each text, int64 `(texts,)`; see `Task`."""
        return label_numbers(split, column, self.labels, where)

    @override
    def scores(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> dict[str, float]:
        right = (logits.argmax(dim=1) == targets).double().mean()
        return {"accuracy": right.item(), "loss": self.loss(logits, targets).item()}

    @override
    def outcomes(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> npt.NDArray[np.float64]:
        right = (logits.argmax(dim=1) == targets).double()
        return torch.stack([right, torch.ones_like(right)], dim=1).numpy()

    @override
    def decode(self, logits: torch.Tensor, lengths: torch.Tensor) -> list[Label]:
        return [self.labels[number] for number in logits.argmax(dim=1).tolist()]
