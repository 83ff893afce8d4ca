"""The settings that are left out: chosen by the task and the size of the data.

`benchmarks/choose.py` compares them with others, each on data sets that it was not chosen on. A
setting that is given is never changed.
"""

from __future__ import annotations

from typing import Any

import torch

from ..data import EncodedTexts
from ..errors import DataError, Option
from ..heads import takes_pairs
from ..optim import OPTIMIZERS, build_optimizer
from .settings import Complete, Settings
from .tasks import Task

__all__ = ["GENERAL", "choose"]

#: What a head that was asked for is trained with.
GENERAL = {"epochs": 15, "lr": 5e-3, "schedule": "constant", "batch_size": 64}
#: The rates of other optimizers than AdamW, for any head; that of SGD is without momentum.
RATES = {"adagrad": 0.03, "sgd": 1.0}
TAGGER, CLASSIFIER = "bilstm", "pooled_cnn"
#: What the default head for texts is trained with, by the number of training texts up to which it
#: holds: epochs, texts per batch and learning rate.
_BY_TEXTS = {
    500: (50, 16, 3e-3),
    4_000: (15, 32, 3e-3),
    20_000: (8, 64, 6e-3),
    100_000: (4, 128, 6e-3),
}
_MORE = (3, 128, 6e-3)
#: Long texts need fewer epochs: about as many as make this number of tokens, but at least three.
TOKENS, LEAST_EPOCHS = 20_000_000, 3
#: The most weights that words alone may have in the lexical part of the default model: 2 GB.
MOST_WEIGHTS = 500_000_000


def choose(settings: Settings, task: Task, train: EncodedTexts | None) -> Complete:
    """Return settings with a value for each.

    Args:
        settings: the settings, of which `strategy` has a value.
        task: the task.
        train: the training texts; None if they are streamed.

    Raises:
        DataError: a lexical part is asked for where there can be none.
    """
    chosen: dict[str, Any] = dict(GENERAL)
    lexical = False
    if settings.head is None and task.per_word:
        chosen["head"] = TAGGER
    elif settings.head is None:
        chosen["head"] = CLASSIFIER
        if train is not None:
            epochs, batch_size, lr = _size_of_training(train)
            chosen |= {"epochs": epochs, "lr": lr, "schedule": "linear", "batch_size": batch_size}
            words = int(train.ids.max()) + 1 if len(train.ids) else 0
            lexical = settings.loss_fn is None and words * task.outputs <= MOST_WEIGHTS
    chosen["lexical"] = lexical
    chosen["lr"] = _rate(settings.optimizer, chosen["lr"])
    if settings.lexical:
        _check_lexical(settings.head, task, train)
    given = vars(settings)
    left_out = {name: value for name, value in chosen.items() if given[name] is None}
    return Complete(**{**given, **left_out})


def _rate(optimizer: str, of_adamw: float) -> float:
    """Return the rate for the text form of an optimizer; momentum adds up as many steps."""
    made = build_optimizer(optimizer, [torch.nn.Parameter(torch.empty(1))])
    name = next(name for name, kind in OPTIMIZERS.items() if type(made) is kind)
    momentum: float = made.param_groups[0].get("momentum", 0.0)
    return RATES.get(name, of_adamw) * round(1 - momentum, 9)


def _size_of_training(train: EncodedTexts) -> tuple[int, int, float]:
    """Return epochs, texts per batch and the learning rate of the default head for texts."""
    epochs, batch_size, lr = next((v for most, v in _BY_TEXTS.items() if len(train) <= most), _MORE)
    fewer = round(TOKENS / max(int(train.lengths.sum()), 1))
    return max(LEAST_EPOCHS, min(epochs, fewer)), batch_size, lr


def _check_lexical(head: object, task: Task, train: EncodedTexts | None) -> None:
    """Check that the words of texts can be counted.

    Raises:
        DataError: words are tagged, texts are in pairs, or they are streamed.
    """
    remedy = ("leave ", Option("lexical"), " out")
    if task.per_word:
        raise DataError(
            "classifies texts, and the task is to tag words",
            option="lexical",
            value=True,
            remedy=remedy,
        )
    if takes_pairs(head):
        raise DataError(
            "classifies single texts, and the head takes pairs of them",
            option="lexical",
            value=True,
            remedy=remedy,
        )
    if train is None:
        raise DataError(
            "needs all training texts in memory, and they are streamed",
            option="lexical",
            value=True,
            remedy=remedy,
        )
