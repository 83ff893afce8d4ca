"""Which way to tune a table pays on a task, by fair runs of each."""

from .compare import REPRESENTATIVE, compare
from .report import Comparison, Confirmation, Standing

__all__ = ["REPRESENTATIVE", "Comparison", "Confirmation", "Standing", "compare"]
