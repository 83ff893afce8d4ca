"""The evaluation of a run on labelled data: its scores, each class, and what is taken for what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ...data import Label
from ...evaluation.grid import Grid
from ..tasks import score_text

__all__ = ["FEW", "ClassScores", "Evaluation", "alone", "few_texts", "texts_in_words"]

FEW = 100  # texts; a score of fewer says little
SHOWN = 12  # classes of which a printed evaluation has the whole matrix, and confusions otherwise


@dataclass(frozen=True)
class ClassScores:
    """The scores of one label.

    Attributes:
        label: the label.
        precision: the share of its predictions that are right; 0 without any.
        recall: the share of its units that are found; 0 without any.
        f1: their harmonic mean.
        support: the number of units, texts or words, that have it.
    """

    label: Label
    precision: float
    recall: float
    f1: float
    support: int


def texts_in_words(texts: int) -> str:
    """Return a number of texts in words."""
    return f"{texts:,} text{'s' * (texts != 1)}"


def alone(metric: str, parts: Mapping[str, float]) -> str:
    """Return a line with what each part of a model scores alone."""
    scores = ", ".join(f"{name} {score_text(metric, score)}" for name, score in parts.items())
    return f"{metric.replace('_', ' ')} of each part alone: {scores}"


def few_texts(metric: str, texts: int, interval: tuple[float, float] | None) -> str:
    """Return what to say of a score of few texts, in brackets; nothing of one of many.

    Args:
        metric: the name of the score.
        texts: the number of texts.
        interval: the 95 % interval of the score; None if it is not known.
    """
    if texts >= FEW:
        return ""
    if interval is None:
        return " (few, so chance has a large part in it)"
    low, high = (score_text(metric, bound, 1) for bound in interval)
    return f" (few: the 95 % interval of {metric.replace('_', ' ')} is {low} to {high})"


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The evaluation of a run on labelled data. Prints as a report.

    Attributes:
        data: the name of the data.
        examples: the number of texts.
        metric: the name of the main score.
        scores: the scores by name, as in `Run.metrics["test"]`.
        labels: the labels in the order of the model's outputs; none where numbers are predicted.
        confusion: int64 `(C, C)`, how many units with the label of a row were given that of a
            column; for several labels per text, `(C, 2, 2)`, the same of each label: without and
            with it. As in scikit-learn.
        notes: what to report about how the data was read.
        parts: the main score of each part of the model alone, by name; none where it has but one.
        interval: the 95 % interval of the main score over other texts, where it is the share of
            texts that are right; else None.
    """

    data: str
    examples: int
    metric: str
    scores: Mapping[str, float]
    labels: Sequence[Label]
    confusion: npt.NDArray[np.int64]
    notes: Sequence[str] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    interval: tuple[float, float] | None = None

    @property
    def classes(self) -> list[ClassScores]:
        """The scores of each label."""
        counts = self.confusion
        if counts.ndim == 3:
            right, found, wanted = counts[:, 1, 1], counts[:, :, 1].sum(1), counts[:, 1].sum(1)
        else:
            right, found, wanted = counts.diagonal(), counts.sum(0), counts.sum(1)
        rows = zip(self.labels, right.tolist(), found.tolist(), wanted.tolist(), strict=True)
        return [
            ClassScores(label, r / max(1, f), r / max(1, w), 2 * r / max(1, f + w), w)
            for label, r, f, w in rows
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain values."""
        return {
            "data": self.data,
            "examples": self.examples,
            "metric": self.metric,
            "scores": dict(self.scores),
            "interval": None if self.interval is None else list(self.interval),
            "parts": dict(self.parts),
            "classes": [dict(vars(one)) for one in self.classes],
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
            "notes": list(self.notes),
        }

    def lines(self) -> Iterator[str | Grid]:
        """Yield the lines and tables of the printed report."""
        shown = [self.metric, *(name for name in self.scores if name != self.metric)]
        scores = ", ".join(f"{n.replace('_', ' ')} {score_text(n, self.scores[n])}" for n in shown)
        few = few_texts(self.metric, self.examples, self.interval)
        heading = f"{self.data}: {texts_in_words(self.examples)}{few}\n  {scores}"
        if self.parts:
            heading += f"\n  {alone(self.metric, self.parts)}"
        yield heading
        if not self.labels:
            return
        classes = [
            [str(c.label), f"{c.precision:.1%}", f"{c.recall:.1%}", f"{c.f1:.1%}", f"{c.support:,}"]
            for c in self.classes
        ]
        yield ""
        yield Grid(["label", "precision", "recall", "F1", "support"], classes, indent="  ")
        if self.confusion.ndim == 2 and len(self.labels) <= SHOWN:
            names = [str(label) for label in self.labels]
            rows = zip(names, self.confusion.tolist(), strict=True)
            cells = [[name, *(f"{n:,}" for n in row)] for name, row in rows]
            yield "\ntrue labels (rows) and predictions (columns):"
            yield Grid(["", *names], cells, indent="  ")
        elif self.confusion.ndim == 2 and (confusions := self._confusions()):
            yield f"\n{confusions}"

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines()))

    def _confusions(self) -> str:
        wrong = self.confusion - np.diag(self.confusion.diagonal())
        order = np.argsort(-wrong, axis=None, kind="stable")[:SHOWN].tolist()
        lines = [
            f"  {wrong[at]:,} x {self.labels[at[0]]} taken for {self.labels[at[1]]}"
            for at in (divmod(one, len(self.labels)) for one in order)
            if wrong[at]
        ]
        return "\n".join(["most frequent confusions:", *lines]) if lines else ""
