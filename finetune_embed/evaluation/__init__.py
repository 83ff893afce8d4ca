"""Measure how tuning changed a table."""

from .bands import Band
from .drift import drift
from .drift_report import Drift, Mover
from .neighbour_overlap import neighbour_overlap
from .word_pairs import WordPairs, evaluate_word_pairs, read_word_pairs

__all__ = [
    "Band",
    "Drift",
    "Mover",
    "WordPairs",
    "drift",
    "evaluate_word_pairs",
    "neighbour_overlap",
    "read_word_pairs",
]
