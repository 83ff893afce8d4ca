"""Any number of labels per text, or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ...data import Label, label_lists, numbers_of_lists, without_ignored
from .base import ADDS_UP, LossFunction, Task, log_mean

if TYPE_CHECKING:
    from datasets import Dataset

    from ...data import LocalDataset

__all__ = ["MultiLabel"]


@dataclass(frozen=True)
class MultiLabel(Task):
    """Any number of labels per text: a sigmoid and binary cross-entropy per label.

    A label that a text has twice counts once; one that is ignored is left out.

    Attributes:
        threshold: labels with this probability or more are predicted.
    """

    loss_fn: LossFunction = functional.binary_cross_entropy_with_logits
    threshold: float = 0.5

    name: ClassVar[str] = "multi_label"
    exclusive: ClassVar[bool] = False

    @property
    def measures(self) -> tuple[str, ...]:
        return ("micro_f1", "macro_f1", "weighted_f1", "accuracy", "loss")

    def targets(
        self, split: Dataset | LocalDataset, column: str, where: str, texts: Sequence[Any]
    ) -> torch.Tensor:
        """Return 1 where a text has a label, else 0, float32 `(texts, C)`; see `Task`."""
        labels = [*self.labels, *self.others]
        lists = without_ignored(label_lists(split, column, where), self.ignored)
        numbers = torch.tensor(numbers_of_lists(split, lists, labels, where), dtype=torch.int64)
        rows = torch.arange(len(lists)).repeat_interleave(torch.tensor([len(row) for row in lists]))
        targets = torch.zeros(len(lists), len(labels), dtype=torch.float32)
        targets[rows, numbers] = 1.0
        return targets

    def counted(self, targets: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(targets), dtype=torch.bool, device=targets.device)

    def _changed_loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return self.loss_fn(logits, targets * (1 - self.smoothing) + self.smoothing / 2)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        return logits.sigmoid()

    def average(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        if len(logits) == 1:
            return logits[0]
        all_of_them = torch.stack(list(logits))
        has, lacks = (log_mean(functional.logsigmoid(one)) for one in (all_of_them, -all_of_them))
        return has - lacks

    def fit(self, logits: torch.Tensor, targets: torch.Tensor) -> MultiLabel:
        """Return the task with the threshold of the best micro-averaged F1."""
        probabilities = self._beside(self._doubles(logits), targets)
        return replace(self, threshold=best_threshold(probabilities, targets.numpy() > 0))

    def scores(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> dict[str, float]:
        """Return F1 (0 where there is nothing to find and nothing found) and subset accuracy."""
        found, true = self._beside(self._found(logits), targets), targets.numpy() > 0
        right, wanted = (found & true).sum(axis=0), true.sum(axis=0)
        both = found.sum(axis=0) + wanted
        f1 = 2 * right / np.maximum(1, both)
        scores = {
            "micro_f1": float(2 * right.sum() / max(1, both.sum())),
            "macro_f1": float(f1.mean()),
            "accuracy": float((found == true).all(axis=1).mean()),
            "threshold": self.threshold,
            "loss": self.loss(logits, targets).item(),
        }
        if self.metric == "weighted_f1":
            scores["weighted_f1"] = float(f1 @ wanted / max(1, wanted.sum()))
        return scores

    def outcomes(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> npt.NDArray[np.float64] | None:
        if self.metric not in ADDS_UP:
            return None
        found, true = self._beside(self._found(logits), targets), targets.numpy() > 0
        if self.metric == "accuracy":
            return np.stack([(found == true).all(axis=1), np.ones(len(true))], axis=1)
        right, all_of_both = (found & true).sum(axis=1), found.sum(axis=1) + true.sum(axis=1)
        return np.stack([2.0 * right, all_of_both.astype(np.float64)], axis=1)

    def confusion(self, logits: torch.Tensor, targets: torch.Tensor) -> npt.NDArray[np.int64]:
        found, true = self._beside(self._found(logits), targets), targets.numpy() > 0
        cells = [[~true & ~found, ~true & found], [true & ~found, true & found]]
        counts: npt.NDArray[np.int64] = np.array(cells, np.int64).sum(axis=2).transpose(2, 0, 1)
        return counts

    def decode(self, logits: torch.Tensor, lengths: torch.Tensor) -> list[list[Label]]:
        return [
            [self.labels[number] for number in np.flatnonzero(row)] for row in self._found(logits)
        ]

    def _learnable(
        self, logits: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return logits, targets[:, : len(self.labels)]

    def _beside(self, values: npt.NDArray[Any], targets: torch.Tensor) -> npt.NDArray[Any]:
        """Return values of labels with zeros for those that training lacks, as targets have."""
        return np.pad(values, ((0, 0), (0, targets.shape[1] - values.shape[1])))

    def _found(self, logits: torch.Tensor) -> npt.NDArray[np.bool_]:
        return self._doubles(logits) >= self.threshold

    def _doubles(self, logits: torch.Tensor) -> npt.NDArray[np.float64]:
        """Return probabilities in the precision of the threshold."""
        found: npt.NDArray[np.float64] = self.probabilities(logits).double().numpy()
        return found

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "threshold": self.threshold}


def best_threshold(probabilities: npt.NDArray[np.float64], true: npt.NDArray[np.bool_]) -> float:
    """Return the threshold with the best micro-averaged F1.

    It lies halfway between two consecutive probabilities. Of several with the same F1, the one
    nearest 0.5 is returned, of two the greater; 0.5 if there is nothing to choose from.
    """
    wanted = int(true.sum())
    if not wanted or not probabilities.any():
        return 0.5
    order = np.argsort(-probabilities, axis=None, kind="stable")
    falling = probabilities.ravel()[order]
    right = np.cumsum(true.ravel()[order])
    f1 = 2 * right / (np.arange(1, len(falling) + 1) + wanted)
    following = np.append(falling[1:], 0.0)
    possible = np.flatnonzero(falling > following)  # equal probabilities stay together
    best = possible[f1[possible] == f1[possible].max()]
    thresholds = (falling[best] + following[best]) / 2
    nearest = np.abs(thresholds - 0.5)
    return float(thresholds[nearest == nearest.min()].max())
