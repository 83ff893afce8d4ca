"""The report of a run: warnings, the metadata of the tuned table, one line per word."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from ...evaluation import Drift
from ...formats.common.text_end import CUT_SHORT
from ...strategies import Strategy
from ...table import EmbeddingTable
from ...vocabulary import AnyTokenizer, Coverage, LookupResult, Vocabulary
from .checkpoints import Progress

__all__ = ["MISSING", "SPECIAL", "metadata_of", "warnings_of", "words_of"]

LOW_COVERAGE, LOW_OF_PIECES = 0.5, 0.95
MISSING, SPECIAL = "missing", "special"


def warnings_of(
    strategy: Strategy,
    progress: Progress,
    coverage: Coverage,
    moved: Drift,
    tokenizer: AnyTokenizer,
) -> list[str]:
    """Return the warnings about a run: a damaged file, low coverage, an unchanged table."""
    warnings = []
    if why := moved.base.metadata.get(CUT_SHORT):
        warnings.append(f"the file of the vectors may be damaged: {why}; fetch it again")
    epochs, steps = progress.epoch, progress.step
    ran = f"{epochs} epoch{'s' * (epochs != 1)} ({steps:,} step{'s' * (steps != 1)})"
    own = moved.base.tokenizer
    is_another = own is not None and own != replace(tokenizer, specials=())
    if is_another and coverage.tokens_found < LOW_OF_PIECES * coverage.tokens:
        share = coverage.tokens_found / coverage.tokens
        warnings.append(
            f"only {share:.1%} of the tokens of the tokenizer {tokenizer.name} are in the vectors, "
            "which came with one of their own; leave tokenizer out to use it"
        )
    elif coverage.tokens_found < LOW_COVERAGE * coverage.tokens:
        share = coverage.tokens_found / coverage.tokens
        warnings.append(
            f"only {share:.1%} of the tokens are in the vectors; check that language, case and "
            "tokenizer fit them"
        )
    if strategy.tunes and progress.reached and not progress.opened:
        warnings.append(
            f"in {ran} no row that {strategy} lets "
            "train was in a batch while the table was open; the table is unchanged"
        )
    elif strategy.tunes and not progress.opened:
        warnings.append(
            f"the table was never open at a rate above 0 in {ran} of {strategy}; it is unchanged"
        )
    elif strategy.tunes and coverage.types_found and not moved.rows_moved:
        warnings.append(
            f"in the best epoch, {progress.best_epoch + 1}, no row had moved; the table is "
            "unchanged"
        )
    return warnings


def metadata_of(
    base: EmbeddingTable,
    config: Mapping[str, Any],
    vectors: Mapping[str, str],
    metrics: Mapping[str, Any],
) -> dict[str, str]:
    """Return the metadata of a tuned table; the provenance of the base goes to its `history`."""
    before = dict(base.metadata)
    history: list[Any] = json.loads(before.pop("history", "[]"))
    other_source = before.get("source", "") not in ("", vectors.get("source"))
    if "strategy" in before or "sources" in before or other_source:
        history.append(before)
    names = ("source", "source_sha256", "source_format")
    return {
        **{name: vectors[name] for name in names if vectors.get(name)},
        "data": _public_name(config["data"]),
        "strategy": config["strategy"],
        "seed": str(config["seed"]),
        "metrics": json.dumps(metrics),
        "library_version": version("finetune_embed"),
        **({"history": json.dumps(history)} if history else {}),
    }


def _public_name(data: str) -> str:
    """Return the name of a data set without its folders on this machine."""
    path = Path(data)
    name = path.resolve().name if os.path.exists(path) else data
    return name.encode("utf-8", "backslashreplace").decode()  # of paths that are not UTF-8


def words_of(
    vocab: Vocabulary, found: LookupResult, start: torch.Tensor, end: torch.Tensor
) -> dict[str, list[Any]]:
    """Return what became of each word of the vocabulary, as columns.

    `found` is `exact`, the step of the fallback chain that found the word, `missing`, or `special`.
    """
    specials = [SPECIAL] * (vocab.first_word - 2)
    norms = start.norm(dim=1)
    distance = torch.linalg.vector_norm(end - start, dim=1)
    movement = distance / torch.where(norms > 0, norms, torch.ones_like(norms))
    cosine = torch.where(
        (start == end).all(dim=1), torch.ones(()), functional.cosine_similarity(start, end)
    )
    return {
        "word": vocab.index_to_key[2:],
        "count": vocab.counts[2:].tolist(),
        "found": specials + found.step_of_each_word(MISSING),
        "movement": movement[2:].tolist(),
        "cosine": cosine[2:].tolist(),
    }
