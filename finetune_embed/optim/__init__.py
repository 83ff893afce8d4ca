"""Optimizers that touch the rows of the batch and no others, and a bag whose gradient does so."""

from .bag import mean_bag
from .exchange import broadcast_table, exchange_rows
from .row_adamw import RowAdamW

__all__ = ["RowAdamW", "broadcast_table", "exchange_rows", "mean_bag"]
