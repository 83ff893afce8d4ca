"""Settings as the caller gave them become the settings of a run: checked, text forms parsed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from ..errors import DataError, Option, StrategyError
from ..heads import build_head
from ..optim import build_optimizer
from ..strategies import FullTune, Strategy
from ..vocabulary import AnyTokenizer, Tokenizer, Vocabulary, as_specials, parse_fallback
from ..vocabulary.start_values import check_start
from .plain import name_of
from .runtime.threads import ONE_AT_A_TIME
from .settings import Settings

__all__ = ["resolve"]


def resolve(settings: Settings) -> Settings:
    """Return settings with their values checked and their text forms parsed.

    Raises:
        StrategyError: a setting is out of range, or the strategy cannot be parsed.
        DataError: settings contradict each other, or one is of another type.
        VocabularyError: the tokenizer, a fallback step or a special token is not known.
    """
    settings.check()
    if settings.embedding is not None and not isinstance(settings.head, nn.Module):
        is_plain = settings.head is None or isinstance(settings.head, str)
        head = settings.head if is_plain else name_of(settings.head)
        raise DataError(
            f"names the embedding of a module, but head is {head!r}",
            option="embedding",
            value=settings.embedding,
            remedy="leave embedding out",
        )
    if isinstance(settings.head, str):
        with ONE_AT_A_TIME, torch.random.fork_rng(devices=[]):
            build_head(settings.head, nn.Embedding(1, 1), 2)  # its text form is checked early
    build_optimizer(settings.optimizer, [nn.Parameter(torch.empty(1))])  # checked early too
    check_start(settings.oov)
    tokenizer, trackers = settings.tokenizer, settings.trackers
    if isinstance(tokenizer, str):
        tokenizer = Tokenizer.named(tokenizer)
    specials = as_specials(settings.specials)
    resolved = replace(
        settings,
        strategy=_strategy(settings.strategy),
        class_weight=_class_weight(settings),
        tokenizer=tokenizer,
        fallback=parse_fallback(settings.fallback),
        specials=specials,
        trackers=(trackers,) if isinstance(trackers, str) else tuple(trackers),
    )
    if settings.vocab is None:
        return resolved
    return replace(resolved, vocab=_with_specials(settings.vocab, resolved))


def _strategy(strategy: Any) -> Strategy:
    """Return a strategy from its text form, or the default.

    Raises:
        StrategyError: it is not a strategy.
    """
    if isinstance(strategy, str):
        return Strategy.parse(strategy)
    if strategy is not None and not isinstance(strategy, Strategy):
        raise StrategyError(
            "is not a Strategy",
            option="strategy",
            value=strategy,
            remedy="pass one, such as fe.FullTune()",
        )
    return FullTune() if strategy is None else strategy


def _class_weight(settings: Settings) -> Any:
    """Return the weights of labels with texts as keys, as files have them.

    Raises:
        DataError: there is another loss than the task's own, which they are about.
    """
    given = settings.class_weight
    if settings.loss_fn is not None:
        for name in ("class_weight", "label_smoothing"):
            if value := getattr(settings, name):
                raise DataError(
                    "is about the loss of the task, and loss_fn is another",
                    option=name,
                    value=value,
                    remedy=("leave ", Option(name), " out, or loss_fn"),
                )
    if isinstance(given, Mapping):
        return {str(label): float(weight) for label, weight in given.items()}
    return given


def _with_specials(vocab: Vocabulary, settings: Settings) -> Vocabulary:
    """Return a given vocabulary with the special tokens of the settings.

    Raises:
        DataError: settings that a vocabulary is made with are given as well.
    """
    tokenizer = settings.tokenizer
    if vocab.has_given_ids:
        raise DataError(
            "has the ids of another tokenizer, and finetune splits texts itself",
            option="vocab",
            value=vocab,
            remedy=("leave ", Option("vocab"), " out, or train in your own loop"),
        )
    if settings.min_count != 1:
        raise _made_already("min_count", settings.min_count)
    if isinstance(tokenizer, AnyTokenizer) and _plain(tokenizer) != _plain(vocab.tokenizer):
        raise _made_already("tokenizer", tokenizer.name)
    return vocab.with_specials(settings.specials) if settings.specials else vocab


def _plain(tokenizer: AnyTokenizer) -> AnyTokenizer:
    """Return a tokenizer without special tokens, which a vocabulary adds to its own."""
    return replace(tokenizer, specials=())


def _made_already(name: str, value: object) -> DataError:
    return DataError(
        "has no effect on a vocabulary that is already made, and vocab is given",
        option=name,
        value=value,
        remedy=("leave ", Option(name), " out"),
    )
