"""The settings as keyword arguments of functions."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypedDict

from .settings import Settings

if TYPE_CHECKING:
    from torch import nn

    from ..strategies import Strategy
    from ..vocabulary import AnyTokenizer, Special, StartValue, Vocabulary
    from .build_model import Head
    from .tasks import LossFunction

__all__ = ["Keywords", "settings_from"]

#: What other libraries call a setting.
_ELSEWHERE = {"learning_rate": "lr", "text_column": "text", "label_column": "label"}


def settings_from(function: str, keywords: Mapping[str, Any]) -> Settings:
    """Return the settings that a function was called with.

    Raises:
        TypeError: one is not a setting.
    """
    known = [one.name for one in fields(Settings)]
    for name in keywords:
        if name not in known:
            close = difflib.get_close_matches(name, [*known, *_ELSEWHERE], 1)
            hint = f"; did you mean {_ELSEWHERE.get(close[0], close[0])}?" if close else ""
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}{hint}")
    return Settings(**keywords)


class Keywords(TypedDict, total=False):
    """The settings as keyword arguments, for type checkers and editors; a test keeps it equal."""

    text: str | Sequence[str]
    label: str
    task: str | None
    ignore_label: str | int | None
    delimiter: str | None
    encoding: str | None
    sheet: str | None
    missing: str
    streaming: bool
    validation: float
    test: float | None
    member: str | None
    limit: int | None
    vector_size: int | None
    tokenizer: AnyTokenizer | str | None
    vocab: Vocabulary | None
    min_count: int
    max_length: int | None
    oov: StartValue
    fallback: Sequence[str]
    specials: Sequence[Special | str]
    head: Head | None
    lexical: bool | None
    embedding: str | nn.Module | None
    strategy: Strategy | str | None
    optimizer: str
    epochs: int | None
    max_steps: int | None
    lr: float | None
    schedule: str | None
    warmup: float | None
    batch_size: int | None
    batch_tokens: int | None
    gradient_accumulation_steps: int
    weight_decay: float
    max_grad_norm: float | None
    word_dropout: float
    patience: int | None
    metric: str | None
    class_weight: str | Mapping[str | int, float] | None
    label_smoothing: float
    loss_fn: LossFunction | None
    ensemble: int
    seed: int
    device: str | None
    mixed_precision: str | None
    output_dir: str | os.PathLike[str] | None
    checkpoint_steps: int | None
    checkpoint_minutes: float | None
    trackers: Sequence[str]
    resume: bool
    overwrite: bool
    progress: bool
