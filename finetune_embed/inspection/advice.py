"""What a table covers of a data set, and the settings to use with both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import printable
from ..table import EmbeddingTable
from ..vocabulary import (
    CONVENTIONS,
    STEPS,
    SUBWORDS,
    AnyTokenizer,
    Coverage,
    Tokenizer,
    Vocabulary,
)

__all__ = ["Advice", "advise"]

SAMPLE = 2_000  # texts on which tokenizers are compared
BETTER = 0.02  # share of tokens by which another tokenizer must beat the one that fits the table
PAYS = 0.0005  # share of tokens that a step of the fallback chain must find
KEPT = 100  # missing words


@dataclass(frozen=True)
class Advice:
    """What a table covers of a data set, and settings for `finetune` and `finetune-embed train`.

    Attributes:
        tokenizer: the tokenizer that fits the words of the table, unless another one finds 2
            percentage points more of the tokens in the first 2,000 texts. That of the table itself
            if it came with one, as the kind of its model.
        fallback: the steps that find at least 0.05 % of the tokens, the one that finds most first.
        min_count: 2 if most of the words that occur once are not in the table, else 1.
        oov: `subwords` if the table can compose words, else `normal`.
        tokenizers: the share of tokens in the first texts that are found with each tokenizer, as
            written or lower-cased.
        exact: the coverage of words as written.
        alone: the number of words (`types`) and `tokens` that each fallback step finds in addition,
            on its own.
        coverage: the coverage with the recommended steps, and the 100 most frequent missing words.
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
        chosen = {"tokenizer": self.tokenizer} if self.tokenizer in CONVENTIONS else {}
        return {
            **chosen,
            "fallback": self.fallback,
            "min_count": self.min_count,
            "oov": self.oov,
        }

    @property
    def options(self) -> str:
        """The settings as options of `finetune-embed train`."""
        chain = f"--fallback {','.join(self.fallback)} " if self.fallback else ""
        chosen = f"--tokenizer {self.tokenizer} " if self.tokenizer in CONVENTIONS else ""
        return f"{chosen}{chain}--min-count {self.min_count} --oov {self.oov}"

    def __str__(self) -> str:
        tokens, types = max(1, self.exact.tokens), max(1, self.exact.types)
        lines = [
            f"coverage of {self.exact.tokens:,} tokens, {self.exact.types:,} distinct words, with "
            f"the tokenizer {self.tokenizer}",
            f"  {'as written':<18}{self.exact.tokens_found / tokens:8.2%} of tokens"
            f"{self.exact.types_found / types:9.2%} of distinct words",
        ]
        for step, found in self.alone.items():
            share, kinds = found["tokens"] / tokens, found["types"] / types
            lines.append(f"  {step:<18}{share:+8.2%}{kinds:+19.2%}")
        if self.fallback:
            share, kinds = self.coverage.tokens_found / tokens, self.coverage.types_found / types
            lines.append(f"  {'with the chain':<18}{share:8.2%}{kinds:19.2%}")
        if self.coverage.missing:
            shown = ", ".join(
                f"{printable(word)} ({n:,})" for word, n in self.coverage.missing[:10]
            )
            more = self.coverage.types - self.coverage.types_found > 10
            lines.append(f"not in the table: {shown}{', ...' if more else ''}")
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.settings.items())
        lines.append(f"settings: finetune(..., {arguments})")
        lines.append(f"  finetune-embed train ... {self.options}")
        return "\n".join(lines)


def advise(table: EmbeddingTable, texts: Sequence[Any]) -> Advice:
    """Return what a table covers of texts, and the settings to use with both.

    Args:
        table: a table, of which only the words and `subwords` are used.
        texts: texts or lists of words.
    """
    tokenizer = Tokenizer.for_table(table)
    known = {one.name: one for one in (tokenizer, *CONVENTIONS.values())}
    shares = {name: _share(table, texts[:SAMPLE], one) for name, one in known.items()}
    best = max(shares, key=lambda name: shares[name])
    if table.tokenizer is None and shares[best] > shares[tokenizer.name] + BETTER:
        tokenizer = known[best]
    vocabulary = Vocabulary.from_texts(texts, tokenizer)
    exact = vocabulary.coverage(table)
    steps = [step for step in STEPS if step != SUBWORDS or table.subwords is not None]
    missing = Vocabulary(dict(exact.missing), replace(tokenizer, specials=()))
    alone = {step: _found(missing.coverage(table, (step,))) for step in steps}
    chain = _best_chain(missing, table, steps, PAYS * exact.tokens)
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


def _share(table: EmbeddingTable, texts: Sequence[Any], tokenizer: AnyTokenizer) -> float:
    """Return the share of the tokens in texts that a table has, as written or lower-cased."""
    found = Vocabulary.from_texts(texts, tokenizer).coverage(table, ("lower",))
    return found.tokens_found / max(1, found.tokens)


def _found(coverage: Coverage) -> dict[str, int]:
    return {"types": coverage.types_found, "tokens": coverage.tokens_found}


def _best_chain(
    missing: Vocabulary, table: EmbeddingTable, steps: Sequence[str], least: float
) -> tuple[str, ...]:
    """Return a fallback chain in which each step finds the most of the words still missing.

    A step must find at least `least` tokens. Subwords come last: they compose almost any word, and
    other steps find rows that were trained.
    """
    chain: tuple[str, ...] = ()
    found, left = 0, [step for step in steps if step != SUBWORDS]
    while left:
        by_step = {step: missing.coverage(table, (*chain, step)).tokens_found for step in left}
        step = max(left, key=lambda name: by_step[name])
        if by_step[step] - found < max(1, least):
            break
        chain, found = (*chain, step), by_step[step]
        left.remove(step)
    if SUBWORDS in steps:
        gain = missing.coverage(table, (*chain, SUBWORDS)).tokens_found - found
        chain = (*chain, SUBWORDS) if gain >= max(1, least) else chain
    return chain


def _min_count(vocabulary: Vocabulary, coverage: Coverage) -> int:
    """Return 2 if most of the words that occur once are not in the table, else 1."""
    once = int(np.count_nonzero(vocabulary.counts[vocabulary.first_word :] == 1))
    missing = sum(count == 1 for _, count in coverage.missing)
    return 2 if 2 * missing > once and once < coverage.types else 1
