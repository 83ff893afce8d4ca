"""Optimizers that touch the rows of the batch and no others."""

from .row_adamw import RowAdamW

__all__ = ["RowAdamW"]
