"""The inputs of a comparison: vectors, data with a test split, settings, and their identity."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..data import DataSource, Splits, column_of, has_hidden_labels, hold_out, open_splits, texts_of
from ..errors import DataError, Option
from ..evaluation import read_word_pairs
from ..evaluation.word_pairs import Pair
from ..table import EmbeddingTable, sha256_of_table
from ..training.finetune import open_vectors, source_name
from ..training.settings import FLOATING, Settings, name_of, settings_fields

__all__ = ["Inputs", "open_inputs"]


@dataclass(frozen=True)
class Inputs:
    """What all runs of a comparison share.

    Attributes:
        vectors: the vectors as given.
        member: the member of the archive of vectors.
        dataset: the data set as given.
        base: the table.
        splits: the data, with a test split.
        shared: the settings of every run that differ from the defaults.
        seed: the seed of the search.
        pairs: word pairs with human scores, by name.
        identity: plain values that identify all of this; a comparison continues with the same only.
    """

    vectors: Any
    member: str | None
    dataset: Any
    base: EmbeddingTable
    splits: Splits
    shared: Mapping[str, Any]
    seed: int
    pairs: Mapping[str, Sequence[Pair]]
    identity: Mapping[str, Any]

    def recipe(self, strategy: str, lr: float) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the settings of the recommended run, and the names of those no file can hold."""
        settings = {
            "vectors": self.vectors,
            **({"member": self.member} if self.member is not None else {}),
            "data": self.dataset,
            "strategy": strategy,
            "lr": lr,
            **self.shared,
            "seed": self.seed,
        }
        plain = {name: _shown(value) for name, value in settings.items() if _is_plain(value)}
        return plain, tuple(name for name in settings if name not in plain)


def open_inputs(
    vectors: str | os.PathLike[str] | EmbeddingTable,
    dataset: DataSource,
    settings: Mapping[str, Any],
    resolved: Settings,
    test: float,
    word_pairs: Sequence[str | os.PathLike[str]],
) -> Inputs:
    """Open what a comparison is given.

    Args:
        vectors: as for `compare`.
        dataset: as for `compare`.
        settings: the settings as the caller gave them.
        resolved: the same, resolved.
        test: the share of training examples to hold out for testing.
        word_pairs: as for `compare`.

    Raises:
        FinetuneEmbedError: something cannot be read.
    """
    text, label = resolved.text, resolved.label
    splits = _with_test(open_splits(dataset), label, test, resolved.seed)
    base, source = open_vectors(vectors, resolved.member)
    pairs = {Path(path).stem: read_word_pairs(path) for path in word_pairs}
    excluded = ("lr", "seed", "member", *FLOATING)
    defaults = {name: one.default for name, one in settings_fields().items()}
    shared = {
        name: value
        for name, value in settings.items()
        if name not in excluded and value != defaults[name]
    }
    shared = {"text": text, "label": label, "epochs": resolved.epochs, **shared}
    identity = {
        "vectors": source_name(vectors),
        **source,
        **({"table_sha256": sha256_of_table(base)} if vectors is base else {}),
        "data": source_name(dataset),
        "data_sha256": _sha256_of_splits(splits, text, label),
        "test": test,
        **{name: _shown(value) for name, value in shared.items()},
        "word_pairs": {name: _sha256_of(rows) for name, rows in pairs.items()},
    }
    return Inputs(
        vectors, resolved.member, dataset, base, splits, shared, resolved.seed, pairs, identity
    )


def _with_test(splits: Splits, label: str, share: float, seed: int) -> Splits:
    """Return splits with a labelled test split, held out where there is none.

    Raises:
        DataError: the training split is streamed, or no example can be held out.
    """
    if splits.streamed:
        raise DataError(
            "compare needs the data in memory",
            where=splits.name,
            remedy=("load it without ", Option("streaming", True)),
        )
    if splits.test is not None and has_hidden_labels(splits.test, label):
        splits = replace(splits, test=None)
    return hold_out(splits, label, share, seed, "test")


def _sha256_of_splits(splits: Splits, text: str | Sequence[str], label: str) -> str:
    """Return a hash of all texts and labels."""
    values = []
    for name in ("train", "validation", "test"):
        split, where = getattr(splits, name), f"{splits.name} ({name})"
        if split is not None:
            values += [texts_of(split, text, where), column_of(split, label, where, "label")]
    return _sha256_of(values)


def _sha256_of(values: Any) -> str:
    """Return a hash of lists of texts and numbers."""
    return hashlib.sha256(repr(values).encode("utf-8", "surrogatepass")).hexdigest()


def _is_plain(value: Any) -> bool:
    """Return whether YAML and JSON can hold a setting."""
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, int, float, os.PathLike))


def _shown(value: Any) -> Any:
    """Return a setting as YAML and JSON hold it; of an object that they cannot hold, its name."""
    if isinstance(value, (list, tuple)):
        return [_shown(one) for one in value]
    if _is_plain(value):
        return os.fspath(value) if isinstance(value, os.PathLike) else value
    return name_of(value)
