"""An optimizer by rows, and look-ups whose gradients have only the rows of a batch."""

from .bag import mean_bag
from .distinct import distinct_rows
from .exchange import broadcast_table, exchange_rows
from .kernels import own_threads
from .row_adamw import RowAdamW
from .windows import window_maxima

__all__ = [
    "RowAdamW",
    "broadcast_table",
    "distinct_rows",
    "exchange_rows",
    "mean_bag",
    "own_threads",
    "window_maxima",
]
