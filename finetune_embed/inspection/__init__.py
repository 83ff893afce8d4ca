"""Inspects vector files: what is wrong with one, and what it covers of a data set."""

from .advice import Advice
from .findings import Finding
from .inspect import inspect
from .report import Inspection

__all__ = ["Advice", "Finding", "Inspection", "inspect"]
