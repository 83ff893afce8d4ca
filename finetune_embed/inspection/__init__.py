"""The doctor: what is wrong with a vector file, and what it covers of a data set."""

from .advice import Advice
from .findings import Finding
from .inspect import inspect
from .report import Inspection

__all__ = ["Advice", "Finding", "Inspection", "inspect"]
