"""The rows of a local file, as far as a run needs them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LocalDataset"]


class LocalDataset:
    """Columns in memory, with as much of `datasets.Dataset` as is asked of a split.

    That library takes as long to import as a small run to train.

    Args:
        columns: the columns.
    """

    def __init__(self, columns: pl.DataFrame) -> None:
        self._columns = columns

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in their order."""
        return self._columns.columns

    @property
    def features(self) -> dict[str, None]:
        """For each column what a `Dataset` knows beyond its values, such as names of classes."""
        return dict.fromkeys(self.column_names)

    def __len__(self) -> int:
        return len(self._columns)

    def __getitem__(self, name: str) -> list[Any]:
        """Return the values of a column."""
        return self._columns[name].to_list()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._columns.iter_rows(named=True)

    def select(self, rows: npt.NDArray[np.int64]) -> LocalDataset:
        """Return some rows, by their numbers."""
        return LocalDataset(self._columns[rows])
