"""An optimizer that updates only the batch's rows, and a mean whose gradient has only its rows."""

from .bag import mean_bag
from .exchange import broadcast_table, exchange_rows
from .kernels import own_threads
from .row_adamw import RowAdamW

__all__ = ["RowAdamW", "broadcast_table", "exchange_rows", "mean_bag", "own_threads"]
