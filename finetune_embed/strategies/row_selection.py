"""Strategies of which rows of the table train, and how fast each of them does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from ..errors import StrategyError
from .arguments import check_count, check_number, check_share, check_text, factors_of, shown
from .base import Strategy, compose, named, parts_of
from .row_rules import RowRule
from .words import Words

__all__ = [
    "FrequencyLR",
    "LockRows",
    "TrainRows",
    "lexicon_of",
    "needed_counts",
    "with_absolute_paths",
]


@named
@dataclass(frozen=True, init=False)
class TrainRows(Strategy):
    """Train some rows of the table; the others stay unchanged, bit for bit.

    What PEFT's trainable tokens do, without a second copy of the rows. Use it to teach the table
    words it lacks, or the words of a domain, and keep everything else.

    Attributes:
        keys: the words whose rows train; or
        lexicon: a text file in UTF-8 with such words, separated by whitespace; or
        oov: whether only words train that the vectors lack; or
        top: the number of most frequent words that train; or
        min_count: only words train that occur at least this often; or
        ids: the rows that train, given as `rows=[...]`, for a table whose rows a tokenizer of
            another library numbers. Give one of the six.

    Example:
        >>> vocab = fe.Vocabulary({"film": 100, "good": 25, "bad": 4})  # rows 2, 3, 4
        >>> strategy = fe.TrainRows(keys=["good"])
        >>> rule = strategy.rows(torch.nn.Parameter(torch.ones(5, 2)), vocab)
        >>> rule.train.tolist()
        [False, False, False, True, False]
    """

    keys: Sequence[str] | None = None
    lexicon: str | None = None
    oov: bool = False
    top: int | None = None
    min_count: int | None = None
    # `rows` is a method of every strategy, so the argument of that name needs another attribute.
    ids: tuple[int, ...] | None = field(default=None, init=False, metadata={"argument": "rows"})

    def __init__(
        self,
        keys: Sequence[str] | None = None,
        lexicon: str | os.PathLike[str] | None = None,
        oov: bool = False,
        top: int | None = None,
        min_count: int | None = None,
        rows: Sequence[int] | None = None,
    ) -> None:
        ids = None if rows is None else _row_numbers(rows)
        vars(self).update(
            keys=keys, lexicon=lexicon, oov=oov, top=top, min_count=min_count, ids=ids
        )
        choices = (keys, lexicon, oov or None, top, min_count, ids)
        if sum(choice is not None for choice in choices) != 1:
            raise StrategyError(
                "TrainRows takes one of keys, lexicon, oov, top, min_count and rows",
                value=choices,
                remedy="write, for example, TrainRows(keys=['good', 'bad']) or TrainRows(oov=True)",
            )
        if self.keys is not None:
            is_list = isinstance(self.keys, Iterable) and not isinstance(self.keys, str)
            if not is_list or not all(isinstance(key, str) for key in self.keys):
                raise StrategyError(
                    f"TrainRows(keys={self.keys!r}) must be a list of words",
                    value=self.keys,
                    remedy="write, for example, TrainRows(keys=['good', 'bad'])",
                )
            object.__setattr__(self, "keys", tuple(sorted(set(self.keys))))
        if self.lexicon is not None:
            given = self.lexicon
            path = os.fspath(given) if isinstance(given, os.PathLike) else given
            object.__setattr__(self, "lexicon", path)
            check_text(self, "lexicon", self.lexicon)
        check_count(self, *(n for n in (self.top, self.min_count) if n is not None), least=1)

    def rows(self, weight: nn.Parameter, vocab: Words | None) -> RowRule:
        if self.oov:
            return RowRule(train=~needed_found(self, weight))
        if self.ids is not None:
            return RowRule(train=_chosen(self.ids, weight))
        if self.min_count is not None:
            return RowRule(train=needed_counts(self, vocab, weight) >= self.min_count)
        train = torch.zeros(len(weight), dtype=torch.bool, device=weight.device)
        if self.top is not None:
            counts = needed_counts(self, vocab, weight).clone()
            unk = needed_words(self, vocab, weight).unk_idx
            if unk is not None:
                counts[unk] = 0  # it counts many words
            train[counts.argsort(descending=True, stable=True)[: self.top]] = True
            return RowRule(train=train & (counts > 0))
        chosen = self.keys if self.lexicon is None else _words_in(self.lexicon)
        train[list(needed_rows(self, vocab, weight, chosen or ()).values())] = True
        return RowRule(train=train)


@named
@dataclass(frozen=True)
class LockRows(Strategy):
    """Give rows a factor on their updates: 0 is locked, 1 is free.

    What gensim's `vectors_lockf` promises, with the factor on the step: under Adam a factor on the
    gradient does nothing.

    Attributes:
        factors: the factor of each word.
        default: the factor of all other rows.

    Example:
        >>> vocab = fe.Vocabulary({"film": 100, "good": 25, "bad": 4})  # rows 2, 3, 4
        >>> strategy = fe.LockRows({"good": 0.5}, default=0.0)
        >>> rule = strategy.rows(torch.nn.Parameter(torch.ones(5, 2)), vocab)
        >>> rule.scale.tolist()
        [0.0, 0.0, 0.0, 0.5, 0.0]
    """

    factors: Mapping[str, float] = field(default_factory=dict)
    default: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", factors_of(self, self.factors))
        check_number(self, "default", self.default, zero=True)

    def rows(self, weight: nn.Parameter, vocab: Words | None) -> RowRule:
        scale = torch.full_like(weight[:, 0], float(self.default), requires_grad=False)
        row_of = needed_rows(self, vocab, weight, self.factors) if self.factors else {}
        factors = [self.factors[word] for word in row_of]
        scale[list(row_of.values())] = scale.new_tensor(factors)
        return RowRule(train=scale > 0, scale=scale)


@named
@dataclass(frozen=True)
class FrequencyLR(Strategy):
    """Give each row a rate that depends on how often its word occurs.

    A row's factor is `(count / full) ** power`, at most 1. With `power=0.5` rare words, whose few
    gradients are mostly noise, learn slowly, and words that occur `full` times or more learn at
    the full rate. With `power=-0.5` frequent words learn slowly, which Li et al. (2022,
    "Frequency-aware SGD for efficient embedding learning with provable benefits") find best under
    SGD. Adam already divides by the size of a row's own gradients, so here the factor is on the
    step.

    Attributes:
        power: 0.5 for the root, 1 for in proportion, below 0 for the inverse.
        full: the count of a word that has the full rate.
        min_count: words that occur less often don't train.

    Example:
        >>> vocab = fe.Vocabulary({"film": 100, "good": 25, "bad": 4})  # rows 2, 3, 4
        >>> strategy = fe.FrequencyLR(power=0.5, full=100)
        >>> rule = strategy.rows(torch.nn.Parameter(torch.ones(5, 2)), vocab)
        >>> rule.scale[2:].tolist()
        [1.0, 0.5, 0.20000000298023224]
    """

    power: float = 0.5
    full: int = 100
    min_count: int = 1

    def __post_init__(self) -> None:
        check_share(self, "power", self.power, "a number", lambda power: True)
        check_count(self, self.full, self.min_count, least=1)

    def rows(self, weight: nn.Parameter, vocab: Words | None) -> RowRule:
        counts = needed_counts(self, vocab, weight)
        share = counts.clamp(min=1).double() / self.full
        return RowRule(
            train=counts >= self.min_count,
            scale=share.pow(self.power).clamp(max=1).to(weight.dtype),
        )


def _row_numbers(rows: Any) -> tuple[int, ...]:
    """Return the numbers of rows, each once and sorted.

    Raises:
        StrategyError: they are not whole numbers of 0 or more, or there are none.
    """
    found = rows.tolist() if hasattr(rows, "tolist") else rows
    is_list = isinstance(found, Iterable) and not isinstance(found, (str, Mapping))
    numbers = [n.item() if hasattr(n, "item") else n for n in found] if is_list else []
    if not numbers or not all(type(n) is int and 0 <= n < 2**63 for n in numbers):
        raise StrategyError(
            f"TrainRows(rows={shown(rows)}) must be a list of row numbers, counted from 0",
            value=rows,
            remedy="write, for example, TrainRows(rows=[0, 5])",
        )
    return tuple(sorted(set(numbers)))


def _chosen(rows: tuple[int, ...], weight: nn.Parameter) -> torch.Tensor:
    """Return a mask `(V,)` of rows.

    Raises:
        StrategyError: the table has no such row.
    """
    if rows[-1] >= len(weight):
        raise StrategyError(
            f"TrainRows chooses row {rows[-1]:,}, but the table has {len(weight):,} rows, counted "
            "from 0",
            value=rows[-1],
        )
    train = torch.zeros(len(weight), dtype=torch.bool, device=weight.device)
    train[list(rows)] = True
    return train


def needed_words(strategy: Strategy, vocab: Words | None, weight: nn.Parameter) -> Words:
    """Return the vocabulary.

    Raises:
        StrategyError: there is none, or it is not the one of the table.
    """
    if vocab is None:
        raise StrategyError(
            f"{strategy} chooses rows by their words, so it needs the vocabulary",
            value=strategy,
            remedy="call strategy.param_groups(model, embedding, lr=lr, vocab=vocab)",
        )
    if not hasattr(vocab, "key_to_index") or not hasattr(vocab, "counts"):
        raise StrategyError(
            f"{strategy} needs a Vocabulary, but vocab is a {type(vocab).__name__}",
            value=strategy,
            remedy="for a dict of token: id, pass vocab=Vocabulary.from_ids(ids, pad=..., unk=...)",
        )
    if len(vocab) != len(weight):
        raise StrategyError(
            f"the table has {len(weight):,} rows, the vocabulary {len(vocab):,} words",
            where=str(strategy),
            value=len(vocab),
            remedy="pass the vocabulary that the table was made with",
        )
    return vocab


def needed_rows(
    strategy: Strategy, vocab: Words | None, weight: nn.Parameter, words: Iterable[str]
) -> dict[str, int]:
    """Return the rows of those words that the vocabulary has.

    Raises:
        StrategyError: there is no vocabulary, or it has none of the words.
    """
    words, vocab = list(words), needed_words(strategy, vocab, weight)
    found = {word: vocab.key_to_index[word] for word in words if word in vocab.key_to_index}
    if not found:
        raise StrategyError(
            f"none of its words is in the vocabulary ({vocab!r})",
            where=str(strategy),
            value=words,
            remedy="write words as they are in the texts, in the same case",
        )
    return found


def needed_counts(strategy: Strategy, vocab: Words | None, weight: nn.Parameter) -> torch.Tensor:
    """Return how often each word occurs, int64 `(V,)`.

    Raises:
        StrategyError: there is no vocabulary, or it has no counts.
    """
    counts = torch.as_tensor(needed_words(strategy, vocab, weight).counts, device=weight.device)
    if not bool(counts.any()):
        raise StrategyError(
            f"{strategy} depends on how often words occur, and this vocabulary has no counts",
            value=strategy,
            remedy="give it counts: vocab.with_counts({'good': 3, 'bad': 2}), or make it from "
            "texts: Vocabulary.from_dataset(dataset, 'text')",
        )
    return counts


def needed_found(strategy: Strategy, weight: nn.Parameter) -> torch.Tensor:
    """Return which rows start from the vectors, bool `(V,)`.

    Raises:
        StrategyError: the weight does not have this information.
    """
    found = getattr(weight, "pretrained", None)
    if found is None:
        raise StrategyError(
            f"{strategy} needs to know which words the vectors lack, and this embedding does not",
            value=strategy,
            remedy="make it with to_embedding(table, vocab), and use it itself: a copy loses this",
        )
    return torch.as_tensor(found, device=weight.device)


def with_absolute_paths(strategy: Strategy) -> Strategy:
    """Return a strategy that means the same in every folder: a lexicon has its absolute path."""
    parts = [
        replace(part, lexicon=os.path.abspath(part.lexicon))
        if isinstance(part, TrainRows) and part.lexicon is not None
        else part
        for part in parts_of(strategy)
    ]
    return strategy if parts == list(parts_of(strategy)) else compose(*parts)


def lexicon_of(strategy: Strategy) -> list[str]:
    """Return the distinct words, sorted, of the file from which a strategy takes them.

    Raises:
        StrategyError: it can't be read.
    """
    paths = [p.lexicon for p in parts_of(strategy) if isinstance(p, TrainRows)]
    return sorted({word for path in paths if path is not None for word in _words_in(path)})


def _words_in(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read().split()
    except (OSError, ValueError) as error:  # also a null character in the path
        raise StrategyError(
            f"TrainRows(lexicon={path!r}) can't be read: {error}", value=path
        ) from error
