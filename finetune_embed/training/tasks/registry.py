"""Tasks: what a head is trained for, and how its outputs are read and scored."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...data import (
    Splits,
    column_of,
    distinct_labels,
    label_lists,
    labels_of,
    texts_of,
)
from ...errors import DataError
from .base import LossFunction, Task
from .multi_label import MultiLabel
from .single_label import SingleLabel
from .tagging import Tagging, check_aligned

__all__ = ["TASKS", "restore_task", "task_of"]

#: Every task by name.
TASKS: dict[str, type[SingleLabel] | type[MultiLabel] | type[Tagging]] = {
    task.name: task for task in (SingleLabel, MultiLabel, Tagging)
}


def task_of(
    name: str | None,
    splits: Splits,
    text: str | Sequence[str],
    label: str,
    loss_fn: LossFunction | None = None,
) -> Task:
    """Return the task of a data set, with the labels of its training split.

    Args:
        name: `single_label`, `multi_label` or `tagging`. When left out, a column of labels is
            `single_label` and one of lists of labels `multi_label`, but `tagging` where the texts
            are lists of as many words. It has to be given where all labels are texts such as
            `"['a', 'b']"`.
        splits: the data set.
        text: the column of texts, or several.
        label: the column of labels or of lists of labels.
        loss_fn: of logits `(units, C)` and targets; the task's own when left out.

    Raises:
        DataError: the name is unknown, a column is missing or not what the task needs, there are
            too few labels, or it is not clear which task is meant.
    """
    where = f"{splits.name} (train)"
    if name is None:
        name = _inferred(splits, text, label, where)
    elif name not in TASKS:
        raise DataError(f"no task is called {name!r}; there are {', '.join(TASKS)}")
    task: Task
    if name == SingleLabel.name:
        task = SingleLabel(labels_of(splits, label))
    elif name == MultiLabel.name:
        task = MultiLabel(distinct_labels(splits.train, label, where))
    else:
        tags = label_lists(splits.train, label, where)
        check_aligned(texts_of(splits.train, text, where), tags, where)
        task = Tagging(distinct_labels(splits.train, label, where))
    return task if loss_fn is None else replace(task, loss_fn=loss_fn)


def _inferred(splits: Splits, text: str | Sequence[str], label: str, where: str) -> str:
    """Return the name of the task that the columns look like."""
    values = list(column_of(splits.train, label, where, "label"))
    if not any(isinstance(value, list) for value in values):
        if values and all(_is_written_list(value) for value in set(values)):
            raise DataError(
                f"{where}: every label in {label!r} is a text that looks like a list, the first is "
                f"{values[0]!r}; make lists of them: dataset.map(lambda row: {{{label!r}: "
                f"ast.literal_eval(row[{label!r}])}}), or pass task='single_label' if they are "
                "names"
            )
        return SingleLabel.name
    texts = texts_of(splits.train, text, where)
    if not all(isinstance(words, list) for words in texts):
        return MultiLabel.name
    labels = label_lists(splits.train, label, where)
    equal = [len(words) == len(given) for words, given in zip(texts, labels, strict=True)]
    if all(equal):
        return Tagging.name
    if 2 * sum(equal) > len(equal):
        row = equal.index(False)
        raise DataError(
            f"{where}: {sum(equal):,} of {len(equal):,} rows have as many labels in {label!r} as "
            f"words, but row {row} (counted from 0) has {len(texts[row]):,} words and "
            f"{len(labels[row]):,} labels; say what they are: task='tagging', after removing such "
            "rows with dataset.filter(...), or task='multi_label'"
        )
    return MultiLabel.name


def _is_written_list(value: Any) -> bool:
    """Tell whether a label is the text of a list, as `"['a', 'b']"`."""
    if not isinstance(value, str) or not value.strip().startswith("["):
        return False
    try:
        return isinstance(ast.literal_eval(value.strip()), list)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def restore_task(settings: Mapping[str, Any]) -> Task:
    """Return the task that gave `settings()`; further entries are left alone.

    Without an entry `task` it is `single_label`.

    Raises:
        DataError: there is no such task.
    """
    name = settings.get("task", SingleLabel.name)
    if name not in TASKS:
        raise DataError(f"no task is called {name!r}; there are {', '.join(TASKS)}")
    if name == MultiLabel.name:
        return MultiLabel(list(settings["labels"]), threshold=float(settings["threshold"]))
    return TASKS[name](list(settings["labels"]))
