"""One tag per word of each text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from ...data import EncodedTexts, Label, label_lists, numbers_of_lists
from ...errors import DataError, Either, Option
from .base import ADDS_UP, LossFunction, Task
from .class_scores import CLASS_SCORES, class_scores
from .entities import SCHEMES, entity_f1, entity_outcomes, list_loader, scheme_of

if TYPE_CHECKING:
    from datasets import Dataset

    from ...data import LocalDataset

__all__ = ["Tagging", "real_positions"]


@dataclass(frozen=True)
class Tagging(Task):
    """One tag per word: softmax and cross-entropy, without a model of tag sequences.

    Words beyond `max_length` are not trained on, predicted or scored.
    """

    loss_fn: LossFunction = functional.cross_entropy

    name: ClassVar[str] = "tagging"
    per_word: ClassVar[bool] = True

    @property
    def scheme(self) -> str:
        """The scheme by which tags mark entities, `BIO`, `BIOES` or `BILOU`; empty without one."""
        return scheme_of(map(str, self.labels))

    @property
    def metric_text(self) -> str:
        named = f" ({self.scheme})" if self.metric == "entity_f1" else ""
        return super().metric_text + named

    @property
    def measures(self) -> tuple[str, ...]:
        return (*(("entity_f1",) if self.scheme else ()), *CLASS_SCORES, "loss")

    def targets(
        self, split: Dataset | LocalDataset, column: str, where: str, texts: Sequence[Any]
    ) -> torch.Tensor:
        """Return the tag numbers of all words, one text after the other, int64 `(N,)`.

        Raises:
            MissingPackageError: tags mark entities, and nervaluate is not installed.
            DataError: as in `Task`; or a text is not a list of words, or has more or fewer tags.
        """
        if self.scheme:
            list_loader()  # a missing package is an error before training, not after an epoch
        lists = label_lists(split, column, where)
        check_aligned(texts, lists, where)
        labels = [*self.labels, *self.others]
        numbers = numbers_of_lists(split, lists, labels, where, self.ignored)
        return torch.tensor(numbers, dtype=torch.int64)

    def batch_targets(self, data: EncodedTexts, rows: torch.Tensor) -> torch.Tensor:
        assert data.labels is not None
        return data.labels[torch.from_numpy(data.positions(rows))]

    def units(self, logits: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        if logits.dim() != 3:
            raise DataError(
                (
                    f"the head returned logits of shape {tuple(logits.shape)}; for ",
                    Option("task", self.name),
                    " they must be (texts, words, labels)",
                ),
                value=tuple(logits.shape),
                remedy=("use ", Option("head", "bilstm")),
            )
        self.check_outputs(logits, len(lengths))
        return real_positions(logits, lengths)

    def scores(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> dict[str, float]:
        """Return accuracy and macro-averaged F1 of words, and F1 of entities if tags mark any."""
        logits, targets, lengths = self._counted_words(logits, targets, lengths)
        found = logits.argmax(dim=1)
        scores = {**class_scores(targets, found), "loss": self.loss(logits, targets).item()}
        if self.scheme:
            true = self._tags(targets, lengths)
            scores = {"entity_f1": entity_f1(true, self._tags(found, lengths)), **scores}
        shown = ("entity_f1", "accuracy", "macro_f1", "loss", self.metric)
        return {name: score for name, score in scores.items() if name in shown}

    def outcomes(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> npt.NDArray[np.float64] | None:
        if self.metric not in ADDS_UP:
            return None
        logits, targets, lengths = self._counted_words(logits, targets, lengths)
        found = logits.argmax(dim=1)
        if self.metric == "entity_f1":
            return entity_outcomes(self._tags(targets, lengths), self._tags(found, lengths))
        texts = torch.arange(len(lengths)).repeat_interleave(lengths)
        right = torch.zeros(len(lengths), dtype=torch.float64)
        right.index_add_(0, texts, (found == targets).double())
        return torch.stack([right, lengths.double()], dim=1).numpy()

    def decode(self, logits: torch.Tensor, lengths: torch.Tensor) -> list[list[Label]]:
        return self._tags(logits.argmax(dim=1), lengths)

    def _counted_words(
        self, logits: torch.Tensor, targets: torch.Tensor, lengths: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logits and targets of the words that count, and how many each text has."""
        counted = self.counted(targets)
        texts = torch.arange(len(lengths)).repeat_interleave(lengths)
        left = torch.zeros_like(lengths).index_add_(0, texts, counted.to(lengths.dtype))
        return *self.only_counted(logits, targets), left

    def _tags(self, numbers: torch.Tensor, lengths: torch.Tensor) -> list[list[Any]]:
        names = [*self.labels, *map(self._as_entity, self.others)]
        tags = [names[number] for number in numbers.tolist()]
        ends = [0, *lengths.cumsum(0).tolist()]
        return [tags[start:end] for start, end in pairwise(ends)]

    def _as_entity(self, label: Label) -> Label:
        """Return a tag that training lacks as that of an entity, which is never found."""
        scheme = SCHEMES.get(self.scheme)
        return label if scheme is None or scheme.fullmatch(str(label)) else f"B-{label}"


def real_positions(logits: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the logits `(N, C)` of the words in `(B, L, C)`, one text after the other."""
    columns = torch.arange(logits.shape[1], device=logits.device)
    return logits[columns < lengths.to(logits.device)[:, None]]


def check_aligned(texts: Sequence[Any], tags: Sequence[Sequence[Any]], where: str) -> None:
    """Check that every text is a list of words with one tag per word.

    Raises:
        DataError: one is not; the message names the first and both lengths.
    """
    for at, (words, given) in enumerate(zip(texts, tags, strict=True)):
        if not isinstance(words, list):
            raise DataError(
                (
                    f"example {at} (counted from 0) has a string, {words!r}, where ",
                    Option("task", Tagging.name),
                    " needs a list of words, one per tag",
                ),
                where=where,
                value=words,
                remedy=Either("split it with dataset.map(...)", "write lists of words"),
            )
        if len(words) != len(given):
            raise DataError(
                f"example {at} (counted from 0) has {len(words):,} words and {len(given):,} tags; "
                "each word has one tag",
                where=where,
                remedy=(
                    "remove such examples",
                    Either(" with dataset.filter(...)", ""),
                    ", or pass ",
                    Option("task", "multi_label"),
                    " if the labels are those of the text",
                ),
            )
