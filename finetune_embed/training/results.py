"""What the models of a run make of the held-out texts, and the scores of that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..lexical import LexicalClassifier
from ..vocabulary import UNK_ID
from .inference import forward_all
from .lexical_part import LexicalPart
from .prepare import Prepared
from .run.run import PARTS
from .tasks import Task

__all__ = ["Results", "outputs_of", "results_of"]


class Results(NamedTuple):
    """The scores of the models of a run, and what was learnt on validation.

    Attributes:
        task: the task, with what its decoding takes from validation.
        parts: the lexical part beside each model, with its weights; empty without one.
        metrics: the scores on each split, and those of the parts and of each model of an ensemble
            on validation.
        outcomes: what each text of the test split adds to the score; see `Task.outcomes`.
        notes: what to report about the scores.
    """

    task: Task
    parts: Sequence[LexicalPart]
    metrics: dict[str, Any]
    outcomes: npt.NDArray[np.float64] | None
    notes: list[str]


def outputs_of(
    data: Prepared, split: str, model: nn.Module, path: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the logits and targets of all units of a split, and the lengths of its texts.

    Args:
        data: the data of the run.
        split: `validation` or `test`.
        model: the model.
        path: the name of the table's weight in it.
    """
    rows = data.unseen.after(model.get_parameter(path).detach())
    texts = data.held_out[split]
    logits = forward_all(model, path, rows, texts)
    return logits, data.task.batch_targets(texts, torch.arange(len(texts))), texts.lengths


def results_of(
    data: Prepared, models: Sequence[nn.Module], path: str, classifier: LexicalClassifier | None
) -> Results:
    """Return the results of the models of a run, whose probabilities are averaged.

    Args:
        data: the data of the run.
        models: the models with their best weights.
        path: the name of the table's weight in each.
        classifier: the lexical classifier that is stacked with each model.
    """
    task, metrics = data.task, dict[str, Any]()
    each, targets, lengths = _outputs_of_all(data, "validation", models, path)
    parts: list[LexicalPart] = []
    if classifier is not None:
        words = classifier(*_words(data, "validation"))
        parts = [LexicalPart.stacked(classifier, one, words, targets, task.loss) for one in each]
        for name, alone in zip(PARTS, (task.average(each), words), strict=True):
            metrics[name] = task.fit(alone, targets).scores(alone, targets, lengths)
        each = [part.weighted(one, words) for part, one in zip(parts, each, strict=True)]
    logits = task.average(each)
    task = task.fit(logits, targets)
    metrics["validation"] = task.scores(logits, targets, lengths)
    notes = [f"validation: {note}" for note in task.notes(logits, targets)]
    if len(each) > 1:
        for at, one in enumerate(each):
            metrics[f"member_{at + 1}"] = task.fit(one, targets).scores(one, targets, lengths)
    outcomes = None
    if "test" in data.held_out:
        each, targets, lengths = _outputs_of_all(data, "test", models, path)
        if classifier is not None:
            words = classifier(*_words(data, "test"))
            each = [part.weighted(one, words) for part, one in zip(parts, each, strict=True)]
        logits = task.average(each)
        metrics["test"] = task.scores(logits, targets, lengths)
        notes += [f"test: {note}" for note in task.notes(logits, targets)]
        outcomes = task.outcomes(logits, targets, lengths)
    return Results(task, parts, metrics, outcomes, notes)


def _outputs_of_all(
    data: Prepared, split: str, models: Sequence[nn.Module], path: str
) -> tuple[list[torch.Tensor], torch.Tensor, torch.Tensor]:
    """Return the logits of each model, the targets, and the lengths of the texts of a split."""
    outputs = [outputs_of(data, split, model, path) for model in models]
    _, targets, lengths = outputs[0]
    return [logits for logits, _, _ in outputs], targets, lengths


def _words(data: Prepared, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ids of the texts of a split, in the vocabulary, and their lengths."""
    texts, size = data.held_out[split], len(data.vocab)
    ids, lengths = texts.packed(torch.arange(len(texts)))
    others = ids >= size
    ids[others] = data.unseen.ids[ids[others] - size].clamp(min=UNK_ID)
    return ids, lengths
