"""What tuning did to a table."""

from .drift import Band, Drift, Mover, drift
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
