"""Reports for people to look at: a run, a comparison or a search as one HTML file."""

from .page import report

__all__ = ["report"]
