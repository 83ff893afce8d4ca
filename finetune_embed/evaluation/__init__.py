"""Measure how tuning changed a table."""

from .bands import Band
from .drift import drift
from .drift_report import Drift, Mover, Neighbours
from .geometry import Direction, Geometry, Rotation, Space
from .movement import movement_of
from .neighbour_overlap import Kept, neighbour_overlap
from .word_pairs import WordPairs, evaluate_word_pairs, read_word_pairs

__all__ = [
    "Band",
    "Direction",
    "Drift",
    "Geometry",
    "Kept",
    "Mover",
    "Neighbours",
    "Rotation",
    "Space",
    "WordPairs",
    "drift",
    "evaluate_word_pairs",
    "movement_of",
    "neighbour_overlap",
    "read_word_pairs",
]
