"""Texts of the test split that say most about a model, and what each of their words does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..errors import DataError
from ..heads import takes_pairs
from ..training.run.labelled import Labelled
from ..training.run.run import Run
from ..vocabulary import words_in

__all__ = ["ShownText", "changed_texts", "has_shown_texts", "mistakes", "uncertain"]

MISTAKES, UNCERTAIN, CHANGED = 24, 12, 30  # texts of each kind at most
WORDS = 60  # of a text that are looked at
SMALL = 1e-12  # the least probability whose odds are told apart


@dataclass(frozen=True)
class ShownText:
    """A text, and what its words do.

    Attributes:
        words: its words.
        effects: for each of the first words, by how much the log-odds of `predicted` fall without
            it. Of a text whose label changed, by how much more than those of the other model.
        is_cut: whether there are more words than those.
        label: its true label.
        predicted: the predicted one.
        chance: the probability of that.
        before: what the other model predicts; None without one.
    """

    words: Sequence[str]
    effects: Sequence[float]
    is_cut: bool
    label: Any
    predicted: Any
    chance: float
    before: Any = None

    def strongest(self, most: int = 4) -> list[tuple[str, float]]:
        """Return the words with the largest effects, each once."""
        largest: dict[str, float] = {}
        for word, effect in zip(self.words, self.effects, strict=False):
            if abs(effect) > abs(largest.get(word, 0.0)):
                largest[word] = effect
        order = sorted(largest.items(), key=lambda one: -abs(one[1]))
        return [one for one in order[:most] if abs(one[1]) >= 0.05]


def has_shown_texts(run: Run) -> bool:
    """Return whether texts can be shown for a run: each has one label and is no pair."""
    return (
        bool(run.labels)
        and run.task.exclusive
        and not run.task.per_word
        and not takes_pairs(run.model)
    )


def mistakes(run: Run, data: Labelled) -> list[ShownText]:
    """Return the texts that are taken for something else, the most certain of them first."""
    chances, targets = _chances(run, data)
    best, predicted = chances.max(dim=1)
    wrong = (predicted != targets) & run.task.counted(targets)
    order = torch.where(wrong, best, -1.0).argsort(descending=True, stable=True)
    return _shown(run, data, chances, targets, order[: min(MISTAKES, int(wrong.sum()))].tolist())


def uncertain(run: Run, data: Labelled) -> list[ShownText]:
    """Return the texts whose best label has the smallest lead over the next."""
    chances, targets = _chances(run, data)
    if chances.shape[1] < 2:
        return []
    first, second = chances.topk(2, dim=1).values.unbind(dim=1)
    lead = torch.where(run.task.counted(targets), first - second, 2.0)
    order = lead.argsort(stable=True)[: min(UNCERTAIN, int(run.task.counted(targets).sum()))]
    return _shown(run, data, chances, targets, order.tolist())


def changed_texts(run: Run, other: Run, data: Labelled) -> tuple[list[ShownText], int, int]:
    """Return the texts that two runs give different labels.

    Args:
        run: the run.
        other: the run that it is compared with.
        data: the texts, as `run` reads them.

    Returns:
        Some of them, those with the largest change first; and how many there are that only `run`
        and that only `other` gets right.

    Raises:
        DataError: the runs do not have the same labels.
    """
    if list(map(str, run.labels)) != list(map(str, other.labels)):
        raise DataError(
            "the two runs have other labels",
            remedy="compare runs on the same data",
        )
    chances, targets = _chances(run, data)
    former = other.task.probabilities(other.logits(data.texts)[0])
    now, then = chances.argmax(dim=1), former.argmax(dim=1)
    counted = run.task.counted(targets)
    changed = (now != then) & counted
    gained = int((changed & (now == targets)).sum())
    lost = int((changed & (then == targets)).sum())
    rise = (chances - former).gather(1, now[:, None])[:, 0]
    order = torch.where(changed, rise, -2.0).argsort(descending=True, stable=True)
    rows = order[: min(CHANGED, int(changed.sum()))].tolist()
    return _shown(run, data, chances, targets, rows, other, former), gained, lost


def _chances(run: Run, data: Labelled) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the probability of each label for each text `(B, C)`, and the targets."""
    logits, lengths = run.logits(data.texts)
    return run.task.probabilities(logits), data.targets(lengths)


def _shown(
    run: Run,
    data: Labelled,
    chances: torch.Tensor,
    targets: torch.Tensor,
    rows: Sequence[int],
    other: Run | None = None,
    former: torch.Tensor | None = None,
) -> list[ShownText]:
    """Return some texts with the effects of their words."""
    labels = [*run.labels, *data.task.others]
    texts = [list(words_in(data.texts[row], run.vocab.tokenizer)) for row in rows]
    found = chances[rows].argmax(dim=1).tolist()
    effects = _effects(run, texts, found)
    if other is not None:
        effects = [
            [a - b for a, b in zip(one, two, strict=True)]
            for one, two in zip(effects, _effects(other, texts, found), strict=True)
        ]
    return [
        ShownText(
            words,
            effect,
            len(words) > len(effect),
            labels[int(targets[row])],
            labels[best],
            float(chances[row, best]),
            None if former is None else labels[int(former[row].argmax())],
        )
        for words, effect, row, best in zip(texts, effects, rows, found, strict=True)
    ]


def _effects(run: Run, texts: Sequence[list[str]], labels: Sequence[int]) -> list[list[float]]:
    """Return, for each of the first words of texts, what the log-odds of a label lose without it.

    The whole model is run without the word: so it holds for any head and for the lexical part.
    """
    without = [
        words[:at] + words[at + 1 :] for words in texts for at in range(min(len(words), WORDS))
    ]
    if not without:
        return [[] for _ in texts]
    whole, parts = (
        run.task.probabilities(run.logits(one)[0].double()).logit(SMALL) for one in (texts, without)
    )
    found, first = [], 0
    for words, odds, label in zip(texts, whole, labels, strict=True):
        last = first + min(len(words), WORDS)
        found.append((odds[label] - parts[first:last, label]).tolist())
        first = last
    return found
