"""Small classes that say which part of a model trains, when, and how fast. They know torch only."""

from .base import Clock, Strategy
from .checks import check_moved, check_optimizer
from .composition import STRATEGIES, Composition
from .layout import EMBEDDING
from .rates import DiscriminativeLR
from .rules import RowRule
from .when import Freeze, FullTune, UnfreezeAfter

__all__ = [
    "EMBEDDING",
    "STRATEGIES",
    "Clock",
    "Composition",
    "DiscriminativeLR",
    "Freeze",
    "FullTune",
    "RowRule",
    "Strategy",
    "UnfreezeAfter",
    "check_moved",
    "check_optimizer",
]
