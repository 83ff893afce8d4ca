"""The inputs of a comparison: what its runs are made on, and what identifies it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import DataSource, Splits, column_of, texts_of, with_repeats_noted
from ..errors import DataError
from ..evaluation import evaluate_word_pairs, read_word_pairs
from ..evaluation.word_pairs import Pair
from ..table import EmbeddingTable, sha256_of_table
from ..training.given_objects import objects_of
from ..training.open_inputs import OF_THE_FILE, source_name
from ..training.settings import FLOATING, Settings, settings_fields
from ..training.tasks import Regression, Task, task_of
from .engine import Engine

__all__ = ["TEST", "Inputs", "open_inputs"]

TEST = 0.2  # the share of training examples held out where there is no test split

#: Settings that differ between the runs of a comparison, or that its runs do not need.
OF_EACH_RUN = ("strategy", "lr", "seed", "test", *OF_THE_FILE)


@dataclass(frozen=True)
class Inputs:
    """What all runs of a comparison share.

    Attributes:
        engine: makes the runs.
        vectors: the vectors as given.
        reading: the settings about how the file of vectors is read.
        dataset: the data set as given.
        plain: the settings of every run as plain values.
        seed: the seed of the search.
        pairs: word pairs with human scores, by name.
        identity: plain values that identify all of this; a comparison continues with the same only.
        notes: what to report about the data.
    """

    engine: Engine
    vectors: Any
    reading: Mapping[str, Any]
    dataset: Any
    plain: Mapping[str, Any]
    seed: int
    pairs: Mapping[str, Sequence[Pair]]
    identity: Mapping[str, Any]
    notes: tuple[str, ...]

    def correlations(self, table: EmbeddingTable) -> dict[str, float]:
        """Return Spearman's correlation of a table with each of the word pairs."""
        return {n: evaluate_word_pairs(table, pairs).spearman for n, pairs in self.pairs.items()}

    def recipe(self, strategy: str, lr: float) -> tuple[dict[str, Any], tuple[str, ...]]:
        """Return the settings of the recommended run, and the names of those no file can hold."""
        given = {"vectors": self.vectors, "data": self.dataset}
        paths = {n: source_name(v) for n, v in given.items() if isinstance(v, (str, os.PathLike))}
        defaults = Settings().plain()
        changed = {
            name: value
            for name, value in self.plain.items()
            if name in ("text", "label", "epochs") or value != defaults[name]
        }
        objects = [name for name in given if name not in paths]
        objects += [name for name, value in changed.items() if _is_object(name, value)]
        settings = {**paths, **self.reading, "strategy": strategy, "lr": lr, **changed}
        settings = {name: value for name, value in settings.items() if name not in objects}
        return {**settings, "seed": self.seed}, tuple(objects)


def _is_object(name: str, value: Any) -> bool:
    """Return whether a plain setting stands for an object, which only Python can give."""
    if name == "specials":  # a token such as <url> is a text
        return any(_is_object("start", one["start"]) for one in value if isinstance(one, dict))
    return isinstance(value, str) and value.startswith("<") and value.endswith(">")


def open_inputs(
    vectors: str | os.PathLike[str] | EmbeddingTable,
    dataset: DataSource,
    settings: Settings,
    word_pairs: Sequence[str | os.PathLike[str]],
) -> Inputs:
    """Open what a comparison is given.

    Args:
        vectors: as for `compare`.
        dataset: as for `compare`.
        settings: the resolved settings.
        word_pairs: as for `compare`.

    Raises:
        FinetuneEmbedError: something cannot be read.
    """
    names = [name for name in settings_fields() if name not in (*FLOATING, *OF_EACH_RUN)]
    shared = {name: getattr(settings, name) for name in names}
    engine = Engine.open("compare", vectors, dataset, shared, settings, TEST)
    if engine.numbers:
        regression = Regression()
        raise DataError(
            "compare resamples what each text adds to a score, and those of "
            f"{regression.name}, such as {regression.metric}, are not made of single texts",
            where=engine.opened.name,
            remedy="run finetune with each strategy, and compare their test scores",
        )
    base, splits, text, label = engine.table, engine.data, settings.text, settings.label
    splits = with_repeats_noted(splits, engine.opened, text)
    task = task_of(settings.task, splits, text, label, ignore_label=settings.ignore_label)
    pairs = {Path(path).stem: read_word_pairs(path) for path in word_pairs}
    plain = {name: value for name, value in settings.plain().items() if name in names}
    identity = {
        "vectors": engine.named["vectors"],
        **engine.source,
        **({"table_sha256": sha256_of_table(base)} if vectors is base else {}),
        "data": engine.named["data"],
        "data_sha256": _sha256_of_splits(splits, text, label),
        "test": TEST if settings.test is None else settings.test,
        **plain,
        **({} if settings.output_dir is None else objects_of(settings)[0]),
        "word_pairs": {name: _sha256_of(rows) for name, rows in pairs.items()},
    }
    given = {name: getattr(settings, name) for name in OF_THE_FILE}
    reading = {name: value for name, value in given.items() if value is not None}
    return Inputs(
        engine,
        vectors,
        reading,
        dataset,
        plain,
        settings.seed,
        pairs,
        identity,
        (*splits.notes, *_unknown_labels(task, splits, label)),
    )


def _unknown_labels(task: Task, splits: Splits, label: str) -> list[str]:
    """Return notes about labels of held-out splits that training lacks."""
    notes = []
    for name in ("validation", "test"):
        split, where = getattr(splits, name), f"{splits.name} ({name})"
        if split is not None:
            notes += task.unknown_labels(split, label, where).note(f"{name} ")
    return notes


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
