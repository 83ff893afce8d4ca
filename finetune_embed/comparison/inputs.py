"""The inputs of a comparison: vectors, data with a test split, settings, and their identity."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import (
    DataSource,
    Splits,
    column_of,
    ignored_labels,
    open_examples,
    texts_of,
    with_labelled_test,
    with_repeats_noted,
)
from ..errors import DataError, Option
from ..evaluation import read_word_pairs
from ..evaluation.word_pairs import Pair
from ..table import EmbeddingTable, sha256_of_table
from ..training.finetune import OF_THE_FILE, open_vectors, source_name
from ..training.given_objects import objects_of
from ..training.settings import FLOATING, Settings, settings_fields
from ..training.tasks import Regression, Task, task_of

__all__ = ["Inputs", "open_inputs"]

#: Settings that differ between the runs of a comparison, or that its runs do not need.
OF_EACH_RUN = ("strategy", "lr", "seed", "test", *OF_THE_FILE)


@dataclass(frozen=True)
class Inputs:
    """What all runs of a comparison share.

    Attributes:
        vectors: the vectors as given.
        reading: the settings about how the file of vectors is read.
        dataset: the data set as given.
        base: the table.
        splits: the data, with a test split.
        shared: the settings of every run.
        plain: the same as plain values.
        seed: the seed of the search.
        pairs: word pairs with human scores, by name.
        identity: plain values that identify all of this; a comparison continues with the same only.
        notes: what to report about the data.
    """

    vectors: Any
    reading: Mapping[str, Any]
    dataset: Any
    base: EmbeddingTable
    splits: Splits
    shared: Mapping[str, Any]
    plain: Mapping[str, Any]
    seed: int
    pairs: Mapping[str, Sequence[Pair]]
    identity: Mapping[str, Any]
    notes: tuple[str, ...]

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
    text, label, test = settings.text, settings.label, settings.test
    assert test is not None
    ignored = ignored_labels(settings.ignore_label)
    splits = open_examples(
        dataset,
        text,
        label,
        delimiter=settings.delimiter,
        encoding=settings.encoding,
        sheet=settings.sheet,
        missing=settings.missing,
    )
    if splits.streamed:
        raise DataError(
            "compare needs the data in memory",
            where=splits.name,
            remedy=("load it without ", Option("streaming", True)),
        )
    task = task_of(settings.task, splits, text, label, ignore_label=settings.ignore_label)
    if isinstance(task, Regression):
        raise DataError(
            f"compare resamples what each text adds to a score, and those of {task.name}, such as "
            f"{task.metric}, are not made of single texts",
            where=splits.name,
            remedy="run finetune with each strategy, and compare their test scores",
        )
    opened, splits = splits, with_labelled_test(splits, label, test, settings.seed, ignored)
    splits = with_repeats_noted(splits, opened, text)
    base, source = open_vectors(vectors, settings)
    pairs = {Path(path).stem: read_word_pairs(path) for path in word_pairs}
    names = [name for name in settings_fields() if name not in (*FLOATING, *OF_EACH_RUN)]
    plain = {name: value for name, value in settings.plain().items() if name in names}
    identity = {
        "vectors": source_name(vectors),
        **source,
        **({"table_sha256": sha256_of_table(base)} if vectors is base else {}),
        "data": source_name(dataset),
        "data_sha256": _sha256_of_splits(splits, text, label),
        "test": test,
        **plain,
        **({} if settings.output_dir is None else objects_of(settings)[0]),
        "word_pairs": {name: _sha256_of(rows) for name, rows in pairs.items()},
    }
    shared = {name: getattr(settings, name) for name in names}
    given = {name: getattr(settings, name) for name in OF_THE_FILE}
    reading = {name: value for name, value in given.items() if value is not None}
    return Inputs(
        vectors,
        reading,
        dataset,
        base,
        splits,
        shared,
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
