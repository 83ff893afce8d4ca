"""The lexical part of a model: its evidence beside that of the vectors' head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Thread
from typing import Any

import torch

from ..data import EncodedTexts
from ..lexical import LexicalClassifier
from ..vocabulary import UNK_ID, Vocabulary
from .tasks import Task

__all__ = ["LexicalPart", "fit_lexical", "in_background"]

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

STEPS = 100  # of L-BFGS, at most
SMALL = 1e-6  # a spread below which logits are all the same
PULL = 1e-3  # toward the start, which bounds the scales where validation has no mistakes


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

    def joined(
        self, logits: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits `(B, C)` of the model, from those of the head.

        Args:
            logits: the logits of the head, `(B, C)`.
            ids: int64 `(N,)`, the tokens as ids of the vocabulary.
            lengths: int64 `(B,)`, the number of tokens of each text.
        """
        return self.weighted(logits, self.classifier(ids, lengths))

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
        vectors, lexical = vectors.double(), lexical.double()
        spread = torch.stack([one.std(correction=0) for one in (vectors, lexical)])
        start = -torch.where(spread > SMALL, spread, 1).log()  # 0 for one number alone
        logs = start.clone().requires_grad_()
        search = torch.optim.LBFGS([logs], max_iter=STEPS, line_search_fn="strong_wolfe")

        def closure() -> torch.Tensor:
            search.zero_grad()
            weights = logs.exp()
            value = loss(weights[0] * vectors + weights[1] * lexical, targets)
            value = value + PULL * (logs - start).square().sum()
            value.backward()
            return value

        with torch.enable_grad():
            search.step(closure)
        found = logs.detach().exp().tolist()
        return cls(classifier, *found)

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


def fit_lexical(data: EncodedTexts, task: Task, vocab: Vocabulary, seed: int) -> LexicalClassifier:
    """Return a classifier of the training texts that count."""
    targets = task.batch_targets(data, torch.arange(len(data)))
    counted = task.counted(targets).nonzero()[:, 0]
    ids, lengths = data.packed(counted)
    targets, size, unused = targets[counted], len(vocab), UNK_ID + 1
    outputs, weights = task.outputs, task.weights
    return LexicalClassifier.fit(ids, lengths, targets, outputs, size, unused, seed, weights)


def in_background(work: Callable[[], LexicalClassifier]) -> Future[LexicalClassifier]:
    """Start work in a thread that does not keep the process from ending; return its result."""
    future: Future[LexicalClassifier] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future
