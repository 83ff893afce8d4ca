"""Texts of the test split that say most about a model, and what each of their words does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..heads import takes_pairs
from ..training.run.run import Run
from ..vocabulary import words_in
from .judged import Judged

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


def mistakes(found: Judged) -> list[ShownText]:
    """Return the texts that are given another label, the most certain of them first."""
    best, predicted = found.chances.max(dim=1)
    wrong = (predicted != found.targets) & found.run.task.counted(found.targets)
    order = torch.where(wrong, best, -1.0).argsort(descending=True, stable=True)
    return _shown(found, order[: min(MISTAKES, int(wrong.sum()))].tolist())


def uncertain(found: Judged) -> list[ShownText]:
    """Return the texts whose best label has the smallest lead over the next."""
    if found.chances.shape[1] < 2:
        return []
    counted = found.run.task.counted(found.targets)
    first, second = found.chances.topk(2, dim=1).values.unbind(dim=1)
    order = torch.where(counted, first - second, 2.0).argsort(stable=True)
    return _shown(found, order[: min(UNCERTAIN, int(counted.sum()))].tolist())


def changed_texts(found: Judged, other: Judged) -> tuple[list[ShownText], int, int]:
    """Return the texts that two runs with the same labels give different ones.

    Args:
        found: the run on the texts.
        other: the run that it is compared with, on the same texts.

    Returns:
        Some of them, those with the largest change first; and how many there are that only the run
        and that only the other gets right.
    """
    chances, former, targets = found.chances, other.chances, found.targets
    now, then = chances.argmax(dim=1), former.argmax(dim=1)
    changed = (now != then) & found.run.task.counted(targets)
    gained = int((changed & (now == targets)).sum())
    lost = int((changed & (then == targets)).sum())
    rise = (chances - former).gather(1, now[:, None])[:, 0]
    order = torch.where(changed, rise, -2.0).argsort(descending=True, stable=True)
    return _shown(found, order[: min(CHANGED, int(changed.sum()))].tolist(), other), gained, lost


def _shown(found: Judged, rows: Sequence[int], other: Judged | None = None) -> list[ShownText]:
    """Return some texts with the effects of their words."""
    run, data = found.run, found.data
    labels = [*run.labels, *data.task.others]
    texts = [list(words_in(data.texts[row], run.vocab.tokenizer)) for row in rows]
    best = found.chances[rows].argmax(dim=1).tolist()
    effects = _effects(run, texts, best)
    before = [None] * len(rows)
    if other is not None:
        before = [labels[at] for at in other.chances[rows].argmax(dim=1).tolist()]
        effects = [
            [a - b for a, b in zip(one, two, strict=True)]
            for one, two in zip(effects, _effects(other.run, texts, best), strict=True)
        ]
    return [
        ShownText(
            words,
            effect,
            len(words) > len(effect),
            labels[int(found.targets[row])],
            labels[at],
            float(found.chances[row, at]),
            former,
        )
        for words, effect, row, at, former in zip(texts, effects, rows, best, before, strict=True)
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
