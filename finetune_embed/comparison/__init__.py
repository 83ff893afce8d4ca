"""Compare strategies on a task in fair runs of each, or search for the best settings."""

from .autotune import autotune
from .autotuned import Autotuned, Tried
from .compare import REPRESENTATIVE, compare
from .report import Comparison, Confirmation, Standing

__all__ = [
    "REPRESENTATIVE",
    "Autotuned",
    "Comparison",
    "Confirmation",
    "Standing",
    "Tried",
    "autotune",
    "compare",
]
