"""The settings about labels and scores that a task takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch

from ..data import EncodedTexts
from ..errors import DataError, Option
from .settings import Settings
from .tasks import Regression, Task, unknown_metric

__all__ = ["with_settings"]

SHOWN = 10  # labels in a message


def with_settings(task: Task, settings: Settings, train: EncodedTexts | None) -> Task:
    """Return a task with the metric, the class weights and the label smoothing of the settings.

    Args:
        task: the task.
        settings: the resolved settings.
        train: the training texts; None if they are streamed.

    Raises:
        DataError: the task has no such score, or no labels to weigh or smooth; a label is weighed
            that training lacks, or labels cannot be counted.
    """
    given = settings.class_weight
    if settings.metric is not None and settings.metric not in task.measures:
        raise unknown_metric(task, settings.metric)
    for name in ("class_weight", "label_smoothing"):
        if isinstance(task, Regression) and (value := getattr(settings, name)):
            raise DataError(
                "is about labels, and the task is to predict numbers",
                option=name,
                value=value,
                remedy=("leave ", Option(name), " out"),
            )
    task = replace(task, smoothing=settings.label_smoothing, chosen=settings.metric or "")
    if given is None:
        return task
    if not task.exclusive:
        raise DataError(
            "weighs labels of which a text has one, and it may have several; their threshold is "
            "chosen on validation instead",
            option="class_weight",
            value=given,
            remedy=("leave ", Option("class_weight"), " out"),
        )
    if isinstance(given, Mapping):
        return replace(task, weights=_given(task, given))
    if train is None:
        example = dict.fromkeys(map(str, task.labels[:2]), 1.0)
        raise DataError(
            "counts all training labels, and they are streamed",
            option="class_weight",
            value=given,
            remedy=("pass the weights of labels, such as ", Option("class_weight", example)),
        )
    return replace(task, weights=_balanced(task, train))


def _given(task: Task, given: Mapping[str | int, float]) -> tuple[float, ...]:
    """Return the weight of each label; 1 for those that have none."""
    labels = list(map(str, task.labels))
    if unknown := [label for label in given if label not in labels]:
        more = ", ..." if len(labels) > SHOWN else ""
        raise DataError(
            f"has {unknown[0]!r}, which is not among the {len(labels):,} training labels: "
            f"{', '.join(labels[:SHOWN])}{more}",
            option="class_weight",
            value=dict(given),
            remedy="write labels as they are there",
        )
    return tuple(float(given.get(label, 1.0)) for label in labels)


def _balanced(task: Task, train: EncodedTexts) -> tuple[float, ...]:
    """Return the weights with which all labels count the same, as scikit-learn does.

    A label has `n / (k n_label)`, of `n` units and the `k` labels that they have.
    """
    targets = task.batch_targets(train, torch.arange(len(train)))
    numbers = torch.bincount(targets[task.counted(targets)], minlength=len(task.labels)).double()
    balanced = numbers.sum() / (numbers > 0).sum() / numbers
    return tuple(torch.where(numbers > 0, balanced, 1.0).tolist())
