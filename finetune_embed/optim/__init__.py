"""Optimizers by rows, and look-ups whose gradients have only the rows of a batch."""

from .bag import mean_bag
from .distinct import distinct_rows
from .exchange import broadcast_table, exchange_rows
from .kernels import own_threads
from .registry import OPTIMIZERS, build_optimizer
from .row_adagrad import RowAdagrad
from .row_adamw import RowAdamW
from .row_optimizer import RowOptimizer
from .row_sgd import RowSGD
from .windows import window_maxima

__all__ = [
    "OPTIMIZERS",
    "RowAdagrad",
    "RowAdamW",
    "RowOptimizer",
    "RowSGD",
    "broadcast_table",
    "build_optimizer",
    "distinct_rows",
    "exchange_rows",
    "mean_bag",
    "own_threads",
    "window_maxima",
]
