"""Hand tuned vectors on: folders that other libraries open, model cards, and the Hub."""

from .static import save_static

__all__ = ["save_static"]
