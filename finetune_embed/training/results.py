"""What the models of a run make of the held-out texts, and the scores of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..lexical import LexicalClassifier, Texts
from ..vocabulary import UNK_ID
from .inference import forward_all
from .lexical_part import (
    LexicalPart,
    fit_lexical,
    least_loss,
    lexical_texts,
    texts_of_words,
    words_of,
)
from .prepare import Prepared
from .run.run import PARTS, HeldOut
from .settings import Complete
from .tasks import Task

__all__ = ["Lexical", "Results", "lexical_of", "outputs_of", "results_of", "scored"]


class Results(NamedTuple):
    """The scores of the models of a run, and what was learnt on validation.

    Attributes:
        task: the task, with what its decoding takes from validation.
        parts: the lexical part beside each model, with its weights; empty without one.
        metrics: the scores on each split, and those of the parts and of each model of an ensemble
            on validation.
        outcomes: what each text of the test split adds to the score; see `Task.outcomes`.
        held_out: what the models make of each split.
        notes: what to report about the scores.
    """

    task: Task
    parts: Sequence[LexicalPart]
    metrics: dict[str, Any]
    outcomes: npt.NDArray[np.float64] | None
    held_out: Mapping[str, HeldOut]
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


class Lexical(NamedTuple):
    """A lexical classifier, and its logits on each held-out split."""

    classifier: LexicalClassifier
    logits: Mapping[str, torch.Tensor]


def lexical_of(data: Prepared, settings: Complete, threads: int) -> Lexical:
    """Fit the lexical classifier of a run to its training texts, and apply it to the others."""
    task, validation = data.task, data.held_out["validation"]
    targets = task.batch_targets(validation, torch.arange(len(validation)))

    assert data.train is not None
    train, vocab, words = data.train, data.vocab, words_of(data, settings.min_count)
    if words is not None:
        train, vocab = words

    held_out = {
        split: _texts(data, split)
        if words is None
        else texts_of_words(data.texts(split), vocab, data.max_length)
        for split in data.held_out
    }

    def quality(classifier: LexicalClassifier) -> float:
        return -least_loss(classifier(held_out["validation"]), targets, task.loss)

    classifier = fit_lexical(train, task, vocab, settings.seed, quality, threads)
    logits = {split: classifier(texts) for split, texts in held_out.items()}
    return Lexical(replace(classifier, vocab=None if words is None else vocab), logits)


def results_of(
    data: Prepared, models: Sequence[nn.Module], path: str, lexical: Lexical | None
) -> Results:
    """Return the results of the models of a run, whose probabilities are averaged.

    Args:
        data: the data of the run.
        models: the models with their best weights.
        path: the name of the table's weight in each.
        lexical: the lexical classifier that is stacked with each model.
    """
    held_out = {}
    for split in data.held_out:
        outputs = [outputs_of(data, split, model, path) for model in models]
        _, targets, lengths = outputs[0]
        words = None if lexical is None else lexical.logits[split]
        held_out[split] = HeldOut([logits for logits, _, _ in outputs], words, targets, lengths)
    parts: list[LexicalPart] = []
    if lexical is not None:
        each, words, targets, _ = held_out["validation"]
        assert words is not None
        loss = data.task.loss
        parts = [LexicalPart.stacked(lexical.classifier, one, words, targets, loss) for one in each]
    return scored(data.task, held_out, parts)


def scored(task: Task, held_out: Mapping[str, HeldOut], parts: Sequence[LexicalPart]) -> Results:
    """Return the results of models from what they make of the held-out splits.

    Args:
        task: the task.
        held_out: `validation`, and `test` where there is one.
        parts: the lexical part beside each model; none without one.
    """
    metrics, notes, outcomes = dict[str, Any](), list[str](), None
    for split, found in held_out.items():
        targets, lengths = found.targets, found.lengths
        each = found.joined(parts)
        logits = task.average(each)
        if split == "validation":
            if found.words is not None:
                alone = (task.average(found.vectors), found.words)
                for name, one in zip(PARTS, alone, strict=True):
                    metrics[name] = task.fit(one, targets).scores(one, targets, lengths)
            task = task.fit(logits, targets)
        metrics[split] = task.scores(logits, targets, lengths)
        notes += [f"{split}: {note}" for note in task.notes(logits, targets)]
        if split == "validation" and len(each) > 1:
            for at, one in enumerate(each):
                metrics[f"member_{at + 1}"] = task.fit(one, targets).scores(one, targets, lengths)
        if split == "test":
            outcomes = task.outcomes(logits, targets, lengths)
    return Results(task, parts, metrics, outcomes, held_out, notes)


def _texts(data: Prepared, split: str) -> Texts:
    """Return the texts of a split as a lexical part takes them that has the ids of the vectors."""
    tokenized, size = data.tokenized[split], len(data.vocab)
    ids = np.array([data.extended.key_to_index.get(word, UNK_ID) for word in tokenized.tokens], int)
    others = ids >= size
    ids[others] = data.unseen.ids.numpy()[ids[others] - size].clip(min=UNK_ID)
    return lexical_texts(data.held_out[split], tokenized, ids)
