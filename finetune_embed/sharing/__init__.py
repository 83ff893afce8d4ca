"""Hand tuned vectors on: folders that other libraries open, model cards, and the Hub."""

from .card import save_card
from .static import save_static

__all__ = ["save_card", "save_static"]
