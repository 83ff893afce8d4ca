"""Tasks: what a head is trained for, and how its outputs are read and scored."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ...data import (
    IGNORED_LABELS,
    Label,
    LocalDataset,
    Moments,
    Splits,
    are_scores,
    class_names,
    column_of,
    distinct_classes,
    distinct_labels,
    distinct_tags,
    ignored_labels,
    label_lists,
    label_values,
    texts_of,
)
from ...errors import DataError, Either, Option
from .base import LossFunction, Task
from .multi_label import MultiLabel
from .regression import Regression
from .single_label import SingleLabel
from .tagging import Tagging, check_aligned

__all__ = ["TASKS", "restore_task", "task_of", "unknown_metric"]

#: Every task by name.
TASKS: dict[str, type[SingleLabel] | type[MultiLabel] | type[Tagging] | type[Regression]] = {
    task.name: task for task in (SingleLabel, MultiLabel, Tagging, Regression)
}


def task_of(
    name: str | None,
    splits: Splits,
    text: str | Sequence[str],
    label: str,
    loss_fn: LossFunction | None = None,
    ignore_label: Label | None = None,
) -> Task:
    """Return the task of a data set, with the labels of its training split.

    Args:
        name: `single_label`, `multi_label`, `tagging` or `regression`. When left out, a column of
            labels means `single_label`, or `regression` where they are numbers that are not all
            whole, and one of lists of labels `multi_label`, or `tagging` where the texts are lists
            of words of the same lengths. It is required where all labels are strings such
            as `"['a', 'b']"`.
        splits: the data set.
        text: the column of texts, or several.
        label: the column of labels or of lists of labels.
        loss_fn: the loss of logits `(units, C)` and targets; the task's own when left out.
        ignore_label: a label that does not count, besides -100.

    Raises:
        DataError: the name is unknown, a column is missing or not what the task needs, there are
            too few labels, or it is not clear which task is meant.
    """
    where = f"{splits.name} (train)"
    ignored, inferred = ignored_labels(ignore_label, class_names(splits.train, label)), False
    if name is None:
        name, inferred = _inferred(splits, text, label, where), True
    elif name not in TASKS:
        raise _unknown_task(name)
    task: Task
    if name == SingleLabel.name:
        task = SingleLabel(distinct_classes(splits.train, label, where, ignored), ignored=ignored)
    elif name == Regression.name:
        numbers = Regression().ignoring(ignore_label, None).ignored
        found = Moments().add(label_values(splits.train, label, where, numbers))
        task = Regression.fitted(found, label, where, numbers)
    elif name == MultiLabel.name:
        labels = distinct_labels(splits.train, label, where, ignored, inferred)
        task = MultiLabel(labels, ignored=ignored)
    else:
        tags = label_lists(splits.train, label, where)
        check_aligned(texts_of(splits.train, text, where), tags, where)
        task = Tagging(distinct_tags(splits.train, label, where, ignored), ignored=ignored)
    return task if loss_fn is None else replace(task, loss_fn=loss_fn)


def _inferred(splits: Splits, text: str | Sequence[str], label: str, where: str) -> str:
    """Return the name of the task that the columns look like."""
    values = column_of(splits.train, label, where, "label")
    if not any(isinstance(value, list) for value in values):
        if values and all(_is_written_list(value) for value in values):
            in_python = (
                "make lists of them: dataset.map(lambda example: "
                f"{{{label!r}: ast.literal_eval(example[{label!r}])}})"
            )
            raise DataError(
                f"every label in {label!r} is a string that looks like a list, the first is "
                f"{values[0]!r}",
                where=where,
                value=values[0],
                remedy=(
                    Either(in_python, "write lists, as JSON Lines or Parquet can"),
                    ", or pass ",
                    Option("task", SingleLabel.name),
                    " if they are names",
                ),
            )
        as_written = isinstance(splits.train, LocalDataset) and splits.train.is_as_written
        return Regression.name if are_scores(values, as_written) else SingleLabel.name
    texts = texts_of(splits.train, text, where)
    if not all(isinstance(words, list) for words in texts):
        return MultiLabel.name
    labels = label_lists(splits.train, label, where)
    equal = [len(words) == len(given) for words, given in zip(texts, labels, strict=True)]
    if all(equal):
        return Tagging.name
    if 2 * sum(equal) > len(equal):
        at = equal.index(False)
        raise DataError(
            f"{sum(equal):,} of {len(equal):,} examples have one label per word in {label!r}, but "
            f"example {at} (counted from 0) has {len(texts[at]):,} words and {len(labels[at]):,} "
            "labels",
            where=where,
            remedy=(
                "pass ",
                Option("task", Tagging.name),
                " after removing such examples",
                Either(" with dataset.filter(...)", ""),
                ", or ",
                Option("task", MultiLabel.name),
            ),
        )
    return MultiLabel.name


def _is_written_list(value: Any) -> bool:
    """Return whether a label is the text form of a list, such as `"['a', 'b']"`."""
    if not isinstance(value, str) or not value.strip().startswith("["):
        return False
    try:
        return isinstance(ast.literal_eval(value.strip()), list)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def restore_task(settings: Mapping[str, Any]) -> Task:
    """Return the task that `settings()` of a task describes; other entries are ignored.

    Raises:
        DataError: there is no such task.
    """
    name = settings["task"]
    if name not in TASKS:
        raise _unknown_task(name)
    labels, ignored = list(settings["labels"]), IGNORED_LABELS | set(settings.get("ignored", ()))
    more: dict[str, Any] = {}
    if name == MultiLabel.name:
        more["threshold"] = float(settings["threshold"])
    task: Task
    if name == Regression.name:
        task = Regression.restored(settings)
    else:
        task = TASKS[name](labels, ignored=ignored, **more)
    chosen = settings.get("metric") or ""
    if chosen and chosen not in task.measures:
        raise unknown_metric(task, chosen)
    return replace(task, chosen=chosen)


def unknown_metric(task: Task, name: str) -> DataError:
    """Return the error about a score that a task does not have."""
    return DataError(
        ("is not a score of ", Option("task", task.name), " with these labels"),
        option="metric",
        value=name,
        remedy=f"use one of {', '.join(task.measures)}",
    )


def _unknown_task(name: str) -> DataError:
    names = ", ".join(TASKS)
    return DataError("is not a task", option="task", value=name, remedy=f"use one of {names}")
