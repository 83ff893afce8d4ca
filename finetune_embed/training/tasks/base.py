"""The base of tasks: labels, targets, loss, scores and decoding."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from ...data import (
    IGNORED,
    IGNORED_LABELS,
    EncodedTexts,
    Label,
    UnknownLabels,
    class_names,
    ignored_labels,
    label_lists,
)
from ...errors import DataError, Option, Part
from ...evaluation import of_share
from ...heads import HEADS, takes_pairs

if TYPE_CHECKING:
    from datasets import Dataset

    from ...data import LocalDataset

__all__ = ["ADDS_UP", "LOWER", "NO_SHARES", "LossFunction", "Task", "log_mean", "score_text"]

#: Scores that are sums over texts divided by others; see `outcomes`.
ADDS_UP = ("accuracy", "micro_f1", "entity_f1")
#: Scores that are better the lower they are.
LOWER = ("loss", "mse", "mae")
#: Scores that are not between 0 and 1, and what else is reported beside them.
NO_SHARES = ("loss", "mcc", "threshold", "spearman", "pearson", "mse", "mae")

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Task(ABC):
    """What a head is trained for: a value object without a model or data.

    A *unit* has a prediction of its own: it is a text, or a word where words are tagged. Logits of
    units are `(units, C)`, whatever form a head returns them in.

    Attributes:
        labels: the labels in the order of the head's outputs.
        loss_fn: the mean loss of logits `(units, C)` and the targets of these units.
        ignored: labels that do not count: units with one are not trained on or scored.
        weights: what units with each label count in the training loss; empty if all count 1.
        smoothing: the share of each target that the training loss spreads over all labels.
        chosen: the one of `measures` that chooses the best epoch; empty for the first.
        others: labels of held-out texts that training lacks. They come after `labels` in the
            numbering of targets, are never predicted, and are in no loss.
        name: the name of the task in settings.
        per_word: whether each word has a prediction; the head must be a tagger.
        exclusive: whether each unit has one label, so that labels can have weights.
    """

    labels: list[Label]
    loss_fn: LossFunction
    ignored: frozenset[Label] = IGNORED_LABELS
    weights: tuple[float, ...] = ()
    smoothing: float = 0.0
    chosen: str = ""
    others: tuple[Label, ...] = ()

    name: ClassVar[str]
    per_word: ClassVar[bool] = False
    exclusive: ClassVar[bool] = True

    @property
    def outputs(self) -> int:
        """The number of outputs that a head needs."""
        return len(self.labels)

    def ignoring(self, label: Label | None, names: Sequence[str] | None) -> Task:
        """Return the task with one more label that does not count; see `ignored_labels`."""
        return replace(self, ignored=self.ignored | ignored_labels(label, names))

    @property
    @abstractmethod
    def measures(self) -> tuple[str, ...]:
        """The scores that may choose the best epoch; the first does if none is chosen."""

    @property
    def metric(self) -> str:
        """The name of the score that chooses the best epoch."""
        return self.chosen or self.measures[0]

    @property
    def metric_text(self) -> str:
        """The name of `metric` as it is printed."""
        return self.metric.replace("_", " ")

    def rank(self, scores: Mapping[str, Any], prefix: str = "") -> tuple[float, float]:
        """Return what is greater the better scores are: by `metric`, and on a tie by the loss.

        Args:
            scores: scores by name.
            prefix: what is before each name.
        """
        values = [scores[prefix + self.metric], scores[prefix + "loss"]]
        signed = [values[0] if self.metric not in LOWER else -values[0], -values[1]]
        first, second = (-math.inf if math.isnan(one) else one for one in signed)
        return first, second

    @abstractmethod
    def targets(
        self, split: Dataset | LocalDataset, column: str, where: str, texts: Sequence[Any]
    ) -> torch.Tensor:
        """Return the targets of a split, which its encoded texts hold as `labels`.

        Args:
            split: the split.
            column: the column of labels.
            where: what to call the split in messages.
            texts: the texts of the split, as `texts_of` gives them.

        Raises:
            DataError: the column is missing, or an example has no labels, or one that is not among
                `labels`, those of the training split, or `others`.
        """

    def unknown_labels(
        self, split: Dataset | LocalDataset, column: str, where: str
    ) -> UnknownLabels:
        """Return the labels of a split that training lacks.

        Args:
            split: the split.
            column: the column of labels.
            where: what to call the split in messages.

        Raises:
            DataError: the column is missing, or an example has no labels.
        """
        lists, names = self.label_lists(split, column, where), class_names(split, column)
        return UnknownLabels(lists, self.labels, self.ignored, are_names=names is not None)

    def label_lists(
        self, split: Dataset | LocalDataset, column: str, where: str
    ) -> Sequence[Sequence[Any]]:
        """Return the labels of each example of a split; see `unknown_labels`."""
        return label_lists(split, column, where)

    def batch_targets(self, data: EncodedTexts, rows: torch.Tensor) -> torch.Tensor:
        """Return the targets of the units of some texts, in the order of `units`."""
        assert data.labels is not None
        return data.labels[rows]

    def counted(self, targets: torch.Tensor) -> torch.Tensor:
        """Return which units `(units,)` count, by their targets: those with a label."""
        return targets != IGNORED

    def texts_counted(self, targets: torch.Tensor, lengths: torch.Tensor) -> int:
        """Return of how many texts scores are, by the targets of all units and the lengths."""
        return len(lengths) if self.per_word else int(self.counted(targets).sum())

    def interval(self, score: float, texts: int) -> tuple[float, float] | None:
        """Return the 95 % interval of the score named by `metric` over other texts (Wilson 1927).

        None if it is not the share of texts that are right.
        """
        if self.per_word or self.metric != "accuracy" or not texts or not 0 <= score <= 1:
            return None
        return of_share(score, texts)

    def units(self, logits: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """Return the logits `(units, C)` of a batch.

        Args:
            logits: what the head returned.
            lengths: the numbers of tokens of the texts, 0 for an empty one.

        Raises:
            DataError: the head returned logits of another shape.
        """
        if logits.dim() != 2:
            raise DataError(
                (
                    f"the head returned logits of shape {tuple(logits.shape)}; for ",
                    Option("task", self.name),
                    " they must be (texts, labels)",
                ),
                value=tuple(logits.shape),
            )
        self.check_outputs(logits, len(lengths))
        return logits

    def check_outputs(self, logits: torch.Tensor, texts: int) -> None:
        """Check that a head has as many outputs as the task needs, and logits for each text.

        Raises:
            DataError: it has more or fewer.
        """
        outputs, needed = logits.shape[-1], self.outputs
        if outputs != needed:
            reason = f"there are {needed:,} labels" if self.labels else "one number needs 1"
            raise DataError(
                f"the head has {outputs:,} outputs, but {reason}",
                value=outputs,
                remedy=(
                    f"build it with {needed:,}, or pass a function that gets their number: ",
                    Option("head"),
                    "=lambda embedding, num_labels: ...",
                ),
            )
        if len(logits) != texts:
            raise DataError(
                f"the head returned logits for {len(logits):,} texts, but the batch has {texts:,}",
                value=len(logits),
            )

    def check_head(self, model: nn.Module, ready_made: bool) -> None:
        """Check that a head fits the task, as far as it says.

        Args:
            model: the head.
            ready_made: whether the library built it; custom heads need not have `per_word`.

        Raises:
            DataError: the head labels texts and the task words, or the other way round.
        """
        per_word = getattr(model, "per_word", False if ready_made else self.per_word)
        if per_word != self.per_word:
            single = {n: h for n, h in HEADS.items() if not takes_pairs(h)}
            heads = [n for n, h in single.items() if getattr(h, "per_word", False) == self.per_word]
            found, needed = ("words" if one else "texts" for one in (per_word, self.per_word))
            raise DataError(
                (
                    f"{type(model).__name__} labels {found}, and ",
                    Option("task", self.name),
                    f" needs a head that labels {needed}",
                ),
                remedy=("use ", *_joined([Option("head", name) for name in heads])),
            )

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of the units that count and whose labels training has.

        It is 0 without any, as for empty texts.
        """
        logits, targets = self._learnable(logits, targets)
        return self.loss_fn(logits, targets) if len(targets) else logits.sum()

    def training_loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss that is trained on, over the weights of the units that count.

        It is that of `torch.nn.CrossEntropyLoss(weight=, label_smoothing=)`; without weights and
        smoothing, it is `loss`.
        """
        if not self.weights and not self.smoothing:
            return self.loss(logits, targets)
        logits, targets = self._learnable(logits, targets)
        return self._changed_loss(logits, targets) if len(targets) else logits.sum()

    def _changed_loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the mean loss of some units, with weights and smoothing."""
        weight = logits.new_tensor(self.weights) if self.weights else None
        return functional.cross_entropy(logits, targets, weight, label_smoothing=self.smoothing)

    def weight_of(self, targets: torch.Tensor) -> float:
        """Return the sum of the weights of the units that count: their number, without weights."""
        counted = self.counted(targets)
        if not self.weights:
            return int(counted.sum())
        weights = torch.tensor(self.weights, dtype=torch.float64)
        return float(weights[targets[counted]].sum())

    def _learnable(
        self, logits: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits and targets of the units that a loss is of."""
        logits, targets = self.only_counted(logits, targets)
        if not self.others:
            return logits, targets
        known = targets < len(self.labels)
        return logits[known], targets[known]

    def only_counted(
        self, logits: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits and targets of the units that count."""
        counted = self.counted(targets)
        return (logits, targets) if bool(counted.all()) else (logits[counted], targets[counted])

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the probability of each label for each unit, `(units, C)`."""
        return logits.softmax(dim=1)

    def average(self, logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return logits whose probabilities, or numbers, are the means of those of models."""
        if len(logits) == 1:
            return logits[0]
        return log_mean(torch.stack([one.log_softmax(dim=1) for one in logits]))

    def fit(self, logits: torch.Tensor, targets: torch.Tensor) -> Task:
        """Return the task with what its decoding learns on validation, such as a threshold."""
        return self

    @abstractmethod
    def scores(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> dict[str, float]:
        """Return scores of logits `(units, C)` by name, with that of `metric` and the mean loss.

        Args:
            logits: the logits of all units of all texts.
            targets: the targets of these units.
            lengths: int64 `(texts,)`, the number of tokens of each text.
        """

    def notes(self, logits: torch.Tensor, targets: torch.Tensor) -> list[str]:
        """Return what to report about the scores of logits `(units, C)`."""
        return []

    @abstractmethod
    def outcomes(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> npt.NDArray[np.float64] | None:
        """Return what each text adds to the score named by `metric`, `(texts, 2)`.

        The score of a set of texts is the sum of their first numbers over the sum of their second.
        None if `metric` is not one of `ADDS_UP`.

        Args:
            logits: the logits of all units of all texts.
            targets: the targets of these units.
            lengths: int64 `(texts,)`, the number of tokens of each text.
        """

    def confusion(self, logits: torch.Tensor, targets: torch.Tensor) -> npt.NDArray[np.int64]:
        """Return how many units with the label of a row were given that of a column, `(C, C)`.

        `others` follow `labels` there. For several labels per text, return `(C, 2, 2)`: the same of
        each label, not given or given.

        Args:
            logits: the logits of all units.
            targets: the targets of these units; those that do not count are left out.
        """
        counted, size = self.counted(targets), len(self.labels) + len(self.others)
        pairs = targets[counted] * size + logits.argmax(dim=1)[counted]
        counts: npt.NDArray[np.int64] = torch.bincount(pairs, minlength=size * size).numpy()
        return counts.reshape(size, size)

    @abstractmethod
    def decode(self, logits: torch.Tensor, lengths: torch.Tensor) -> list[Any]:
        """Return the prediction for each text: a label, a list of labels or tags, or a number.

        Args:
            logits: the logits of all units of all texts.
            lengths: int64 `(texts,)`, the number of tokens of each text.
        """

    def settings(self) -> dict[str, Any]:
        """Return the task as plain values, from which `restore_task` restores it."""
        more = sorted(self.ignored - IGNORED_LABELS, key=repr)
        return {
            "task": self.name,
            "labels": list(self.labels),
            **({"ignored": more} if more else {}),
            **({"metric": self.chosen} if self.chosen else {}),
        }


def log_mean(values: torch.Tensor) -> torch.Tensor:
    """Return the logarithm of the mean over the first dimension, from logarithms."""
    return values.logsumexp(dim=0) - math.log(len(values))


def score_text(name: str, value: float, digits: int = 2) -> str:
    """Return a score as text: a share in percent with `digits`, anything else as a number."""
    if name not in NO_SHARES:
        return f"{value:.{digits}%}"
    return f"{value:.4f}" if not value or 1e-3 <= abs(value) < 1e6 else f"{value:.3g}"


def _joined(options: Sequence[Option]) -> list[Part]:
    """Return options with `or` between them."""
    parts: list[Part] = []
    for option in options:
        parts += [" or ", option] if parts else [option]
    return parts
