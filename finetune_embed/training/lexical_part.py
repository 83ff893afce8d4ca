"""The lexical part of a model: its evidence beside that of the vectors' head."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..data import EncodedTexts
from ..lexical import LexicalClassifier, Texts
from ..table import PipelineTokenizer
from ..vocabulary import GLOVE, UNK_ID, Text, TokenizedTexts, Vocabulary, tokenize_texts
from .prepare import Prepared
from .tasks import Task

__all__ = [
    "LexicalPart",
    "fit_lexical",
    "least_loss",
    "lexical_texts",
    "texts_of_words",
    "words_of",
]

Numbers = npt.NDArray[np.int64]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

STEPS = 100  # of Newton's method, at most
SMALL = 1e-6  # a spread below which logits are all the same
PULL = 1.0  # toward the start, as much as one text; it bounds the scales where few have mistakes


@dataclass(frozen=True)
class LexicalPart:
    """A lexical classifier, and what its evidence counts beside the vectors' head.

    The two are stacked (Wolpert 1992): the logits of the model are a weighted sum of theirs, whose
    two weights have the least loss on validation. So probabilities are calibrated too. That loss
    has no class weights: they change what each part learns, not what counts as evidence.

    Attributes:
        classifier: the classifier.
        vectors: the weight of the head's logits.
        lexical: the weight of the classifier's.
    """

    classifier: LexicalClassifier
    vectors: float = 1.0
    lexical: float = 1.0

    def weighted(self, vectors: torch.Tensor, lexical: torch.Tensor) -> torch.Tensor:
        """Return the weighted sum of both kinds of logits."""
        return self.vectors * vectors + self.lexical * lexical

    @classmethod
    def stacked(
        cls,
        classifier: LexicalClassifier,
        vectors: torch.Tensor,
        lexical: torch.Tensor,
        targets: torch.Tensor,
        loss: Loss,
    ) -> LexicalPart:
        """Return the part with the weights that have the least loss on validation.

        Args:
            classifier: the classifier.
            vectors: the head's logits on validation, `(B, C)`.
            lexical: the classifier's, `(B, C)`.
            targets: the targets there.
            loss: the mean loss of logits and targets.
        """
        weights, _ = _weighted([vectors, lexical], targets, loss)
        return cls(classifier, *weights)

    def record(self) -> dict[str, Any]:
        """Return the weights as plain values."""
        return {"vectors": self.vectors, "lexical": self.lexical}

    @classmethod
    def restored(
        cls,
        record: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor],
        vocab: Vocabulary,
        labels: int,
    ) -> LexicalPart:
        """Return the part of a run from its record and its file.

        Raises:
            ValueError: they do not fit the run.
        """
        classifier = LexicalClassifier.from_tensors(tensors, len(vocab), labels)
        return cls(classifier, float(record["vectors"]), float(record["lexical"]))


def least_loss(logits: torch.Tensor, targets: torch.Tensor, loss: Loss) -> float:
    """Return the mean loss of logits `(B, C)` times the weight that makes it least."""
    return _weighted([logits], targets, loss)[1]


def _weighted(
    logits: Sequence[torch.Tensor], targets: torch.Tensor, loss: Loss
) -> tuple[list[float], float]:
    """Return the weights of logits, each `(B, C)`, whose sum has the least loss, and that loss."""
    logits = [one.double() for one in logits]
    spread = torch.stack([one.std(correction=0) for one in logits])
    start = -torch.where(spread > SMALL, spread, 1).log()  # 0 for one number alone

    def loss_of(logs: torch.Tensor) -> torch.Tensor:
        terms = [weight * one for weight, one in zip(logs.exp(), logits, strict=True)]
        return loss(sum(terms[1:], terms[0]), targets)

    def value_of(logs: torch.Tensor) -> torch.Tensor:
        return loss_of(logs) + PULL / len(targets) * (logs - start).square().sum()

    logs = _minimum(value_of, start)
    return logs.exp().tolist(), float(loss_of(logs))


def _minimum(value_of: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor) -> torch.Tensor:
    """Return the minimum of a smooth function of a few numbers, by Newton's method.

    Where the function curves downward the step is turned around (Dauphin et al. 2014), and a step
    that does not lower the value is halved. (`torch.optim.LBFGS` imports torch's compiler, which
    takes longer than many a training.)
    """
    at = start
    with torch.enable_grad():
        for _ in range(STEPS):
            point = at.clone().requires_grad_()
            value = value_of(point)
            (slope,) = torch.autograd.grad(value, point, create_graph=True)
            rows = [torch.autograd.grad(one, point, retain_graph=True)[0] for one in slope]
            curvature, axes = torch.linalg.eigh(torch.stack(rows))
            step = axes @ ((axes.T @ slope.detach()) / curvature.abs().clamp(min=SMALL))
            while step.abs().max() > SMALL and not value_of(at - step) < value:
                step = step / 2
            if not step.abs().max() > SMALL:
                break
            at = at - step
    return at


def lexical_texts(data: EncodedTexts, tokenized: TokenizedTexts, ids: Numbers) -> Texts:
    """Return texts as the lexical part takes them.

    Args:
        data: the texts, which may be truncated.
        tokenized: the same texts as tokens.
        ids: int64 `(T,)`, the id of each distinct token in the vocabulary.
    """
    numbers, lengths = tokenized.numbers.astype(np.int64), data.lengths.numpy()
    if lengths.sum() < len(numbers):
        numbers = numbers[data.positions(torch.arange(len(data)))]
    return Texts(ids[numbers], lengths, numbers, tokenized.tokens)


def texts_of_words(texts: Iterable[Text], vocab: Vocabulary, max_length: int | None) -> Texts:
    """Return texts as a lexical part takes them that has a vocabulary of its own.

    Args:
        texts: the texts.
        vocab: that vocabulary.
        max_length: the number of words to which texts are truncated.
    """
    found = tokenize_texts(texts, vocab.tokenizer)
    data = EncodedTexts.of(found, vocab, None, max_length)
    known = map(vocab.key_to_index.get, found.tokens, repeat(UNK_ID))
    return lexical_texts(data, found, np.fromiter(known, np.int64, len(found.tokens)))


def words_of(data: Prepared, min_count: int) -> tuple[EncodedTexts, Vocabulary] | None:
    """Return the training texts as words, and their vocabulary, where vectors are of pieces.

    The words are those of the convention `glove`. Where vectors are of words, return None.
    """
    train, tokenizer = data.train, data.vocab.tokenizer
    if train is None or not isinstance(tokenizer, PipelineTokenizer):
        return None
    tokenizer = replace(GLOVE, specials=tokenizer.specials)
    found = tokenize_texts(data.texts("train"), tokenizer)
    counts = {word: n for word, n in found.counts.items() if n >= min_count}
    vocab = Vocabulary(counts, tokenizer)
    return EncodedTexts.of(found, vocab, train.labels, data.max_length), vocab


def fit_lexical(
    data: EncodedTexts,
    task: Task,
    vocab: Vocabulary,
    seed: int,
    quality: Callable[[LexicalClassifier], float],
    threads: int,
) -> LexicalClassifier:
    """Return a classifier of the training texts that count; for the others see its `fit`."""
    targets = task.batch_targets(data, torch.arange(len(data)))
    counted = task.counted(targets).nonzero()[:, 0]
    ids, lengths = (one.numpy() for one in data.packed(counted))
    size, unused = len(vocab), UNK_ID + 1
    words = [*[""] * unused, *vocab.index_to_key[unused:]]
    texts = Texts(ids, lengths, ids, words)
    return LexicalClassifier.fit(
        texts, targets[counted], task.outputs, size, unused, seed, task.weights, quality, threads
    )
