"""One number per text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ...data import Label, Moments, label_values, value_of
from ...errors import DataError
from .base import LossFunction, Task

if TYPE_CHECKING:
    from datasets import Dataset

    from ...data import LocalDataset

__all__ = ["Regression"]

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Regression(Task):
    """One number per text: the mean squared error.

    The head has one output. Outputs and targets are standardised: a number is `mean` plus
    `deviation` times the output. A loss gets both as `(texts,)`.

    Attributes:
        mean: the mean of the training numbers.
        deviation: their standard deviation.
    """

    labels: list[Label] = field(default_factory=list)
    loss_fn: LossFunction = functional.mse_loss
    ignored: frozenset[Any] = frozenset()
    mean: float = 0.0
    deviation: float = 1.0

    name: ClassVar[str] = "regression"
    exclusive: ClassVar[bool] = False

    @classmethod
    def fitted(
        cls, found: Moments, column: str, where: str, ignored: frozenset[Any] = frozenset()
    ) -> Regression:
        """Return the task of a training split.

        Args:
            found: the mean and deviation of its numbers.
            column: their column.
            where: the name of the split in messages.
            ignored: the numbers that do not count.

        Raises:
            DataError: they are all the same, or too large to add up.
        """
        if not found.count:
            raise DataError(f"none of the numbers in {column!r} counts", where=where)
        if not found.deviation:
            raise DataError(
                f"all {found.count:,} numbers in {column!r} are {found.mean:g}, so there is "
                "nothing to learn",
                where=where,
                value=found.mean,
                remedy="add examples with other numbers",
            )
        if not np.isfinite(found.deviation):
            raise DataError(
                f"the numbers in {column!r}, up to {found.high:g}, are too large to add up",
                where=where,
                value=found.high,
                remedy="divide them, or take their logarithm",
            )
        return cls(mean=found.mean, deviation=found.deviation, ignored=ignored)

    @property
    def measures(self) -> tuple[str, ...]:
        return ("spearman", "pearson", "mse", "mae", "loss")

    @property
    def outputs(self) -> int:
        return 1

    def ignoring(self, label: Label | None, names: Sequence[str] | None) -> Regression:
        value = value_of(label)
        return self if value is None else replace(self, ignored=self.ignored | {value})

    def targets(
        self, split: Dataset | LocalDataset, column: str, where: str, texts: Sequence[Any]
    ) -> torch.Tensor:
        """Return the standardised number of each text, float64 `(texts,)`; see `Task`."""
        values = label_values(split, column, where, self.ignored)
        return torch.from_numpy((values - self.mean) / self.deviation)

    def label_lists(
        self, split: Dataset | LocalDataset, column: str, where: str
    ) -> list[list[Label]]:
        """Return nothing: there are no labels that training may lack."""
        return []

    def counted(self, targets: torch.Tensor) -> torch.Tensor:
        return ~targets.isnan()

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return super().loss(logits[:, 0], targets.to(logits.dtype))

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Raise an error: numbers have no probabilities.

        Raises:
            DataError: always.
        """
        raise DataError(
            "the run predicts numbers, which have no probabilities", remedy="call predict(texts)"
        )

    def scores(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> dict[str, float]:
        """Return correlations, 0 where all numbers are the same, and errors of the numbers."""
        found, true = self._numbers(logits, targets)
        errors = found - true
        return {
            "spearman": pearson(ranks(found), ranks(true)),
            "pearson": pearson(found, true),
            "mse": float((errors**2).mean()),
            "mae": float(np.abs(errors).mean()),
            "loss": self.loss(logits, targets).item(),
        }

    def average(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        return torch.stack(list(logits)).mean(dim=0) if len(logits) > 1 else logits[0]

    def notes(self, logits: torch.Tensor, targets: torch.Tensor) -> list[str]:
        sides = zip(("predictions", "labels"), self._numbers(logits, targets), strict=True)
        return [
            f"all {len(numbers):,} {name} are {numbers[0]:g}, so spearman and pearson are 0"
            for name, numbers in sides
            if len(numbers) and (numbers == numbers[0]).all()
        ]

    def outcomes(self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor) -> None:
        """Return None: correlations are not made of single texts."""

    def confusion(self, logits: torch.Tensor, targets: torch.Tensor) -> npt.NDArray[np.int64]:
        return np.zeros((0, 0), np.int64)

    def decode(self, logits: torch.Tensor, lengths: torch.Tensor) -> list[float]:
        numbers: list[float] = (self.mean + self.deviation * logits[:, 0].double()).tolist()
        return numbers

    def _numbers(self, logits: torch.Tensor, targets: torch.Tensor) -> tuple[Numbers, Numbers]:
        """Return predictions and labels of the texts that count."""
        logits, targets = self.only_counted(logits[:, 0].double(), targets)
        found, true = (self.mean + self.deviation * one.numpy() for one in (logits, targets))
        return found, true

    def settings(self) -> dict[str, Any]:
        return {
            "task": self.name,
            "labels": [],
            "target_mean": self.mean,
            "target_deviation": self.deviation,
            **({"metric": self.chosen} if self.chosen else {}),
            **({"ignored": sorted(self.ignored)} if self.ignored else {}),
        }

    @classmethod
    def restored(cls, settings: Any) -> Regression:
        """Return the task that `settings()` describes.

        Raises:
            ValueError: a number of it is not one.
        """
        mean, deviation = float(settings["target_mean"]), float(settings["target_deviation"])
        if not (np.isfinite(mean) and np.isfinite(deviation) and deviation > 0):
            raise ValueError(f"its numbers have the mean {mean} and the deviation {deviation}")
        ignored = frozenset(map(float, settings.get("ignored", ())))
        return cls(mean=mean, deviation=deviation, ignored=ignored)


def ranks(numbers: Numbers) -> Numbers:
    """Return the rank of each number; equal ones share their mean rank."""
    _, places, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    found: Numbers = (counts.cumsum() - (counts - 1) / 2)[places]
    return found


def pearson(first: Numbers, second: Numbers) -> float:
    """Return the correlation of two columns of numbers, 0 if all of one are the same."""
    if not len(first) or (first == first[0]).all() or (second == second[0]).all():
        return 0.0
    first, second = ((one - one.mean()) / np.abs(one - one.mean()).max() for one in (first, second))
    found = float((first * second).sum() / np.sqrt((first**2).sum() * (second**2).sum()))
    return min(1.0, max(-1.0, found))
