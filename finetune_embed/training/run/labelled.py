"""Labelled data as a run reads it: texts, and their targets among the labels of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import torch

from ...data import (
    DataSource,
    EncodedTexts,
    Label,
    are_whole,
    class_names,
    open_one_split,
    text_labels,
    with_whole_labels,
    without_missing,
)
from ..settings import Settings
from ..tasks import Task

__all__ = ["Labelled", "Reading", "read_labelled"]


class Reading(TypedDict, total=False):
    """How labelled data is read; see `Run.evaluate`. None is the same as what is left out."""

    text: str | Sequence[str] | None
    label: str | None
    delimiter: str | None
    encoding: str | None
    sheet: str | None
    missing: str | None
    ignore_label: str | int | None


@dataclass(frozen=True, eq=False)
class Labelled:
    """Texts with labels.

    Attributes:
        where: the name of the data.
        texts: the texts, as `predict` takes them.
        task: the task of the run, with the labels that only this data has as its `others`.
        notes: what to report about how the data was read.
        stored: the targets of all texts, as `Task.targets` gives them.
    """

    where: str
    texts: Sequence[Any]
    task: Task
    notes: Sequence[str]
    stored: torch.Tensor

    def targets(self, lengths: torch.Tensor) -> torch.Tensor:
        """Return the targets of the units of all texts.

        Args:
            lengths: int64 `(texts,)`, the number of units that logits are of in each text.
        """
        per_word = self.task.per_word
        full = torch.tensor([len(words) for words in self.texts]) if per_word else lengths
        data = EncodedTexts(torch.zeros(0), full.cumsum(0) - full, lengths, self.stored)
        return self.task.batch_targets(data, torch.arange(len(self.texts)))


def read_labelled(
    dataset: DataSource,
    task: Task,
    settings: Mapping[str, Any],
    texts_in: Callable[[Any, str | Sequence[str], str], list[Any]],
    reading: Reading,
) -> Labelled:
    """Read labelled data for a run.

    Args:
        dataset: the data.
        task: the task of the run.
        settings: its settings, which say what `reading` leaves out.
        texts_in: returns the texts of a split, of some columns, under a name for messages.
        reading: how it is read.

    Raises:
        TypeError: `reading` has a name that is not one of `Reading`.
    """
    for name in reading.keys() - Reading.__annotations__.keys():
        raise TypeError(f"read_labelled() got an unexpected keyword argument {name!r}")
    given: dict[str, Any] = {n: value for n, value in reading.items() if value is not None}
    ignored = reading.get("ignore_label")
    columns, column, missing = (
        given[name] if name in given else settings[name] for name in ("text", "label", "missing")
    )
    layout = {name: given.get(name) for name in ("delimiter", "encoding", "sheet")}
    splits = open_one_split(dataset, **layout)
    Settings(missing=missing, ignore_label=ignored).check()
    splits = without_missing(splits, columns, column, missing, is_one=True)
    known = _knows_labels(task.labels, splits.train, column)
    if not known and are_whole(text_labels(splits, column)):
        splits = with_whole_labels(splits, column)
    where = splits.name
    texts = texts_in(splits.train, columns, where)
    as_there = _with_labels_as_in(splits.train, column, task)
    as_there = as_there.ignoring(ignored, class_names(splits.train, column))
    unknown = as_there.unknown_labels(splits.train, column, where)
    as_there = replace(as_there, others=tuple(unknown))
    targets = as_there.targets(splits.train, column, where, texts)
    notes = (*splits.notes, *unknown.note())
    return Labelled(where, texts, replace(task, others=as_there.others), notes, targets)


def _knows_labels(labels: Sequence[Label], split: Any, column: str) -> bool:
    """Return whether the labels of a split are among some labels as they are written."""
    known = set(map(str, labels))
    return column in split.column_names and all(str(one) in known for one in split[column][:])


def _with_labels_as_in(split: Any, column: str, task: Task) -> Task:
    """Return a task whose labels are texts or numbers as those of a split are.

    A CSV file has the text `"1"` for what is the number 1 in other files.
    """
    values = split[column][:] if column in split.column_names else []
    flat = [one for value in values for one in (value if isinstance(value, list) else [value])]
    if all(isinstance(one, str) for one in flat):
        return replace(task, labels=[str(label) for label in task.labels])
    as_numbers = {str(one): one for one in flat if isinstance(one, int)}
    return replace(task, labels=[as_numbers.get(str(label), label) for label in task.labels])
