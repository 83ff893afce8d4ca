"""What a table covers of a data set, and the settings that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..table import EmbeddingTable
from ..vocabulary import CASED, GLOVE, STEPS, SUBWORDS, WHITESPACE, Coverage, Tokenizer, Vocabulary

__all__ = ["Advice", "advise"]

SAMPLE = 2_000  # texts that tokenizers are compared on
BETTER = 0.02  # of running words, for another tokenizer than the one that fits the table
PAYS = 0.0005  # of running words, for a step of the fallback chain
KEPT = 100  # missing words


@dataclass(frozen=True)
class Advice:
    """What a table covers of a data set, and settings for `finetune` and `finetune-embed train`.

    Attributes:
        tokenizer: the convention that finds most running words; the one that fits the words of the
            table unless another is better by 2 points on the first 2,000 texts.
        fallback: steps, the one that finds most running words first, as long as one finds at least
            0.05 % of them.
        min_count: 2 where most of the words that occur once are not in the table, else 1.
        oov: `subwords` where the table composes, else `normal`.
        tokenizers: the share of running words of the first texts found with each tokenizer, as they
            stand or else lower-cased.
        exact: what is found as it stands.
        alone: what each step of the fallback finds further, taken alone: `types` and `tokens`.
        coverage: what is found with the chain recommended; of the words that are missing then, the
            100 most frequent are kept.
    """

    tokenizer: str
    fallback: tuple[str, ...]
    min_count: int
    oov: str
    tokenizers: Mapping[str, float]
    exact: Coverage
    alone: Mapping[str, Mapping[str, int]]
    coverage: Coverage

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as keyword arguments of `finetune`."""
        return {
            "tokenizer": self.tokenizer,
            "fallback": self.fallback,
            "min_count": self.min_count,
            "oov": self.oov,
        }

    @property
    def options(self) -> str:
        """The settings as options of `finetune-embed train`."""
        chain = f"--fallback {','.join(self.fallback)} " if self.fallback else ""
        return f"--tokenizer {self.tokenizer} {chain}--min-count {self.min_count} --oov {self.oov}"

    def __str__(self) -> str:
        tokens, types = max(1, self.exact.tokens), max(1, self.exact.types)
        lines = [
            f"coverage of {self.exact.tokens:,} running words, {self.exact.types:,} distinct, cut "
            f"by the tokenizer {self.tokenizer}",
            f"  {'as they stand':<18}{self.exact.tokens_found / tokens:8.2%} of running words"
            f"{self.exact.types_found / types:9.2%} of distinct ones",
        ]
        for step, found in self.alone.items():
            share, kinds = found["tokens"] / tokens, found["types"] / types
            lines.append(f"  {step:<18}{share:+8.2%} {kinds:+25.2%}")
        if self.fallback:
            share, kinds = self.coverage.tokens_found / tokens, self.coverage.types_found / types
            lines.append(f"  {'with the chain':<18}{share:8.2%} {kinds:25.2%}")
        if self.coverage.missing:
            shown = ", ".join(f"{word} ({n:,})" for word, n in self.coverage.missing[:10])
            more = self.coverage.types - self.coverage.types_found > 10
            lines.append(f"not in the table: {shown}{', ...' if more else ''}")
        spelled = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        lines.append(f"settings: finetune(..., {spelled})")
        lines.append(f"  finetune-embed train ... {self.options}")
        return "\n".join(lines)


def advise(table: EmbeddingTable, texts: Sequence[Any]) -> Advice:
    """Return what a table covers of texts, and what to do about the rest.

    Args:
        table: words; of the vectors only `subwords` are used.
        texts: texts or lists of words.
    """
    fitting = Tokenizer.for_table(table)
    shares = {one.name: _share(table, texts[:SAMPLE], one) for one in (GLOVE, CASED, WHITESPACE)}
    best = max(shares, key=lambda name: shares[name])
    tokenizer = Tokenizer.named(
        best if shares[best] > shares[fitting.name] + BETTER else fitting.name
    )
    vocabulary = Vocabulary.from_texts(texts, tokenizer)
    exact = vocabulary.coverage(table)
    steps = [step for step in STEPS if step != SUBWORDS or table.subwords is not None]
    lacking = Vocabulary(dict(exact.missing), replace(tokenizer, specials=()))
    alone = {step: _found(lacking.coverage(table, (step,))) for step in steps}
    chain = _chain(lacking, table, steps, PAYS * exact.tokens)
    coverage = vocabulary.coverage(table, chain)
    return Advice(
        tokenizer=tokenizer.name,
        fallback=chain,
        min_count=_min_count(vocabulary, coverage),
        oov="normal" if table.subwords is None else SUBWORDS,
        tokenizers=shares,
        exact=replace(exact, missing=exact.missing[:KEPT]),
        alone=alone,
        coverage=replace(coverage, missing=coverage.missing[:KEPT]),
    )


def _share(table: EmbeddingTable, texts: Sequence[Any], tokenizer: Tokenizer) -> float:
    """Return the share of running words of some texts that a table has, lower-cased if need be."""
    found = Vocabulary.from_texts(texts, tokenizer).coverage(table, ("lower",))
    return found.tokens_found / max(1, found.tokens)


def _found(coverage: Coverage) -> dict[str, int]:
    return {"types": coverage.types_found, "tokens": coverage.tokens_found}


def _chain(
    lacking: Vocabulary, table: EmbeddingTable, steps: Sequence[str], least: float
) -> tuple[str, ...]:
    """Return the steps that pay, each the one that finds most of what is still missing.

    Subwords come last: they compose something for almost any word, but no word's own row.
    """
    chain: tuple[str, ...] = ()
    found, left = 0, [step for step in steps if step != SUBWORDS]
    while left:
        by_step = {step: lacking.coverage(table, (*chain, step)).tokens_found for step in left}
        step = max(left, key=lambda name: by_step[name])
        if by_step[step] - found < max(1, least):
            break
        chain, found = (*chain, step), by_step[step]
        left.remove(step)
    if SUBWORDS in steps:
        gain = lacking.coverage(table, (*chain, SUBWORDS)).tokens_found - found
        chain = (*chain, SUBWORDS) if gain >= max(1, least) else chain
    return chain


def _min_count(vocabulary: Vocabulary, coverage: Coverage) -> int:
    """Return 2 where most words that occur once would start from nothing, else 1."""
    once = int(np.count_nonzero(vocabulary.counts[vocabulary.first_word :] == 1))
    lacking = sum(count == 1 for _, count in coverage.missing)
    return 2 if 2 * lacking > once and once < coverage.types else 1
