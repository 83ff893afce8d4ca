"""Tasks: what a head is trained for, and how its outputs are read and scored."""

from .base import LossFunction, Task
from .multi_label import MultiLabel
from .registry import TASKS, restore_task, task_of
from .single_label import SingleLabel
from .tagging import Tagging, entity_f1, real_positions

__all__ = [
    "TASKS",
    "LossFunction",
    "MultiLabel",
    "SingleLabel",
    "Tagging",
    "Task",
    "entity_f1",
    "real_positions",
    "restore_task",
    "task_of",
]
