"""Optimizers by rows, and look-ups whose gradients have only the rows of a batch."""

from .bag import mean_bag
from .exchange import broadcast_table, exchange_rows
from .features import POOLS, Filters, text_features
from .kernels import alongside, own_threads
from .registry import OPTIMIZERS, build_optimizer
from .row_adagrad import RowAdagrad
from .row_adamw import RowAdamW
from .row_optimizer import RowOptimizer
from .row_sgd import RowSGD

__all__ = [
    "OPTIMIZERS",
    "POOLS",
    "Filters",
    "RowAdagrad",
    "RowAdamW",
    "RowOptimizer",
    "RowSGD",
    "alongside",
    "broadcast_table",
    "build_optimizer",
    "exchange_rows",
    "mean_bag",
    "own_threads",
    "text_features",
]
