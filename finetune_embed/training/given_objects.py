"""The objects among the settings of a run, which a run that continues it must share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ..strategies import STRATEGIES, Strategy, lexicon_of, parts_of
from ..table import PipelineTokenizer
from ..vocabulary import Tokenizer, Vocabulary
from .fingerprint import Fingerprint
from .settings import Settings

__all__ = ["Objects", "objects_of", "strategy_sha256"]

Objects = tuple[dict[str, str], list[str]]


def objects_of(settings: Settings) -> Objects:
    """Return a fingerprint of each object among settings that a text cannot describe.

    Args:
        settings: the resolved settings.

    Returns:
        The fingerprints by `<setting>_sha256`, and what cannot be compared of which setting, in
        words.
    """
    skipped = _tables_of(settings) if isinstance(settings.head, nn.Module) else []
    given: dict[str, tuple[Any, Callable[[Any], Any]]] = {
        "head": (None if isinstance(settings.head, str) else settings.head, lambda head: head),
        "loss_fn": (settings.loss_fn, lambda loss: loss),
        "strategy": (settings.strategy, _parts_to_compare),
        "tokenizer": (settings.tokenizer, _if_of_a_class_of_its_own),
        "vocab": (settings.vocab, _parts_of_vocabulary),
    }
    found, unknown = {}, []
    for name, (value, parts_of_value) in given.items():
        parts = None if value is None else parts_of_value(value)
        if parts is not None:
            fingerprint = Fingerprint(skipped)
            found[f"{name}_sha256"] = fingerprint.of(parts).hex()
            if fingerprint.unknown:
                unknown.append(f"{name} is the same: it uses {', '.join(fingerprint.unknown[:3])}")
    return found, unknown


def strategy_sha256(strategy: Strategy) -> str:
    """Return what a strategy is beyond its text form; empty if the text says all."""
    parts = _parts_to_compare(strategy)
    return "" if parts is None else Fingerprint().of(parts).hex()


def _tables_of(settings: Settings) -> list[object]:
    """Return the weights in a module that the rows of the vocabulary will replace."""
    head, which = settings.head, settings.embedding
    assert isinstance(head, nn.Module)
    tables = {
        n: m for n, m in head.named_modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag)
    }
    if which is not None:
        tables = {name: module for name, module in tables.items() if which in (name, module)}
    return [module.weight for module in tables.values()] if len(tables) == 1 else []


def _parts_to_compare(strategy: Strategy) -> list[Any] | None:
    """Return what a strategy is beyond its text form: words of a file, classes of the caller."""
    parts, words = parts_of(strategy), lexicon_of(strategy)
    own = [part for part in parts if STRATEGIES.get(type(part).__name__) is not type(part)]
    own += [part for part in parts if not type(part).__module__.startswith("finetune_embed.")]
    return [words, *own] if words or own else None


def _if_of_a_class_of_its_own(tokenizer: Any) -> Any:
    return tokenizer if type(tokenizer) not in (str, Tokenizer, PipelineTokenizer) else None


def _parts_of_vocabulary(vocab: Vocabulary) -> list[Any]:
    specials = [(special.token, special.start, special.trainable) for special in vocab.specials]
    tokenizer = _if_of_a_class_of_its_own(vocab.tokenizer) or repr(vocab.tokenizer)
    return ["\n".join(vocab.index_to_key), vocab.counts, tokenizer, specials]
