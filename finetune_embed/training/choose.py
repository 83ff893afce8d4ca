"""The settings that are left out: chosen by the task and the size of the data.

`benchmarks/choose.py` has the data sets that the rule was made on, each without those of the set
that it was judged by. A setting that is given is never changed.
"""

from __future__ import annotations

from typing import Any

from ..data import EncodedTexts
from ..errors import DataError, Option
from .settings import Complete, Settings
from .tasks import Task

__all__ = ["GENERAL", "choose"]

#: What a head that was asked for is trained with.
GENERAL = {"epochs": 15, "lr": 5e-3, "schedule": "constant", "batch_size": 64}
#: What the default head for texts is trained with.
_TEXTS = {"epochs": 10, "lr": 3e-3, "schedule": "linear", "batch_size": 32}
TAGGER, CLASSIFIER = "bilstm", "pooled_cnn"
LONG = 2_000_000  # tokens of a training split from which on fewer, larger steps are enough


def choose(settings: Settings, task: Task, train: EncodedTexts | None) -> Complete:
    """Return settings with a value for each.

    Args:
        settings: the settings, of which `strategy` has a value.
        task: the task.
        train: the training texts; None if they are streamed.
    """
    chosen: dict[str, Any] = dict(GENERAL)
    lexical = False
    if settings.head is None and task.per_word:
        chosen["head"] = TAGGER
    elif settings.head is None:
        chosen |= {"head": CLASSIFIER, **_TEXTS}
        if train is None or int(train.lengths.sum()) > LONG:
            chosen |= {"epochs": 4, "batch_size": 64}
        lexical = train is not None and settings.loss_fn is None
    chosen["lexical"] = lexical
    if settings.lexical:
        _check_lexical(task, train)
    given = vars(settings)
    left_out = {name: value for name, value in chosen.items() if given[name] is None}
    return Complete(**{**given, **left_out})


def _check_lexical(task: Task, train: EncodedTexts | None) -> None:
    """Check that the words of texts can be counted.

    Raises:
        DataError: words are tagged, or the texts are streamed.
    """
    remedy = ("leave ", Option("lexical"), " out")
    if task.per_word:
        raise DataError(
            "classifies texts, and the task is to tag words",
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
