"""Measure how tuning changed a table, and what its vectors are worth by themselves."""

from .analogies import Analogies, evaluate_analogies, read_analogies
from .bands import Band
from .categories import Categories, evaluate_categories, read_categories
from .drift import drift
from .drift_report import Drift, Mover, Neighbours
from .geometry import Direction, Geometry, Rotation, Space
from .intervals import of_share
from .intrinsic import TESTS, TableScores, evaluate, side_by_side
from .movement import movement_of
from .neighbour_overlap import Kept, neighbour_overlap
from .outliers import Outliers, evaluate_outliers, read_outliers
from .weat import Weat, evaluate_weat, read_weat
from .word_pairs import WordPairs, evaluate_word_pairs, read_word_pairs

__all__ = [
    "TESTS",
    "Analogies",
    "Band",
    "Categories",
    "Direction",
    "Drift",
    "Geometry",
    "Kept",
    "Mover",
    "Neighbours",
    "Outliers",
    "Rotation",
    "Space",
    "TableScores",
    "Weat",
    "WordPairs",
    "drift",
    "evaluate",
    "evaluate_analogies",
    "evaluate_categories",
    "evaluate_outliers",
    "evaluate_weat",
    "evaluate_word_pairs",
    "movement_of",
    "neighbour_overlap",
    "of_share",
    "read_analogies",
    "read_categories",
    "read_outliers",
    "read_weat",
    "read_word_pairs",
    "side_by_side",
]
