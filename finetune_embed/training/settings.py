"""The plain settings of a run, checked before anything large is read."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from ..errors import DataError, StrategyError
from .schedule import check_schedule

__all__ = ["check_settings", "plain_settings", "same_settings"]

PRECISIONS = ("no", "bf16", "fp16")
SCHEDULES = ("constant", "linear", "cosine", "slanted_triangular", "one_cycle")
TASKS = ("single_label", "multi_label", "tagging")

_WHOLE = {
    "epochs": 1,
    "batch_size": 1,
    "gradient_accumulation_steps": 1,
    "keep_checkpoints": 1,
    "min_count": 1,
    "seed": 0,
}
_WHOLE_OR_NONE = {
    "batch_tokens": 1,
    "max_steps": 1,
    "max_length": 1,
    "patience": 1,
    "checkpoint_steps": 1,
}
_POSITIVE_OR_NONE = ("max_grad_norm", "max_row_grad_norm", "checkpoint_minutes")
_NUMBERS = ("lr", "weight_decay", "validation", "word_dropout")
#: Where something lies; what it is, is told by a hash.
_PLACES = frozenset({"vectors", "data", "source"})
#: What is written and told while a run goes on, not what comes of it.
_ON_THE_WAY = frozenset({"checkpoint_steps", "checkpoint_minutes", "keep_checkpoints", "trackers"})


def plain_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with Python's numbers in the place of numpy's, as files hold them."""
    return {n: v.item() if isinstance(v, np.generic) else v for n, v in settings.items()}


def check_settings(settings: dict[str, Any]) -> None:
    """Check the settings of a run, each by itself.

    Raises:
        StrategyError: one is of the wrong type, out of range, or names nothing known.
    """
    for name, least in (_WHOLE | _WHOLE_OR_NONE).items():
        value = settings[name]
        if value is None and name in _WHOLE_OR_NONE:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise StrategyError(f"{name}={value!r} must be a whole number of {least} or more")
    for name in (*_NUMBERS, *_POSITIVE_OR_NONE, "warmup"):
        value, needed = settings[name], name in _NUMBERS
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if (value is not None or needed) and not number:
            raise StrategyError(f"{name}={value!r} must be a number{'' if needed else ', or None'}")
    for name in _POSITIVE_OR_NONE:
        if settings[name] is not None and not 0 < settings[name] < math.inf:
            raise StrategyError(f"{name}={settings[name]!r} must be above 0, or None")
    for name in ("lr", "weight_decay"):
        if not 0 <= settings[name] < math.inf:
            raise StrategyError(f"{name}={settings[name]!r} must be 0 or more")
    if not 0 < settings["validation"] < 1:
        raise StrategyError(
            f"validation={settings['validation']!r} must be a share of the training data, above 0 "
            "and below 1"
        )
    if not 0 <= settings["word_dropout"] < 1:
        raise StrategyError(
            f"word_dropout={settings['word_dropout']!r} must be a probability, from 0 to below 1"
        )
    if settings["mixed_precision"] not in PRECISIONS:
        raise StrategyError(
            f"mixed_precision={settings['mixed_precision']!r} is none of {', '.join(PRECISIONS)}"
        )
    check_schedule(settings["schedule"], settings["warmup"])
    _check_device(settings["device"])


def _check_device(device: str) -> None:
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().split("\n")[0]
        raise StrategyError(f"device={device!r} can't be used: {reason}; try 'cpu'") from error


def same_settings(where: object, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Check that a run on the disk was made with the settings asked for now.

    When checkpoints are written, who is told of it and where the files lie may change.

    Raises:
        DataError: one differs; the message has both values.
    """
    for name in sorted(now, key=lambda name: (name.endswith("_sha256"), name)):  # causes first
        if name not in _ON_THE_WAY | _PLACES and before.get(name) != now[name]:
            raise DataError(
                f"{where} was written with {name}={before.get(name)!r}, this run has "
                f"{name}={now[name]!r}; go on with the same settings, or start over with "
                "overwrite=True"
            )
