"""Compare strategies on a task in fair runs of each, and recommend one."""

from .compare import REPRESENTATIVE, compare
from .report import Comparison, Confirmation, Standing

__all__ = ["REPRESENTATIVE", "Comparison", "Confirmation", "Standing", "compare"]
