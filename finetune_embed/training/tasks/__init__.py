"""Tasks: what a head is trained for, and how its outputs are read and scored."""

from .base import ADDS_UP, LOWER, NO_SHARES, LossFunction, Task, score_text
from .entities import entity_f1
from .multi_label import MultiLabel
from .registry import TASKS, restore_task, task_of, unknown_metric
from .regression import Regression
from .single_label import SingleLabel
from .tagging import Tagging, real_positions

__all__ = [
    "ADDS_UP",
    "LOWER",
    "NO_SHARES",
    "TASKS",
    "LossFunction",
    "MultiLabel",
    "Regression",
    "SingleLabel",
    "Tagging",
    "Task",
    "entity_f1",
    "real_positions",
    "restore_task",
    "score_text",
    "task_of",
    "unknown_metric",
]
