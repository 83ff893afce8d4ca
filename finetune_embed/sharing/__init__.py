"""Hand tuned vectors on: folders that other libraries open, model cards, and the Hub."""

from .card import save_card
from .hub import push_to_hub
from .static import save_static

__all__ = ["push_to_hub", "save_card", "save_static"]
