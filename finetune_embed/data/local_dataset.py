"""`LocalDataset`: the examples of local files, without the library `datasets`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .file_places import place_of_example

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LocalDataset"]


class LocalDataset:
    """Examples in memory, with the part of the interface of `datasets.Dataset` that a run needs.

    Importing that library takes as long as a small run.

    Args:
        columns: the examples.
        files: the files they were read from, each with its number of examples.
        numbers: int64 `(examples,)`, the number of each example in the files; by default all of
            them in order.
    """

    def __init__(
        self,
        columns: pl.DataFrame,
        files: Sequence[tuple[Path, int]] = (),
        numbers: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self._columns, self._files, self._numbers = columns, files, numbers

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return self._columns.columns

    @property
    def features(self) -> dict[str, None]:
        """What a `Dataset` knows about each column, such as names of classes: nothing here."""
        return dict.fromkeys(self.column_names)

    def __len__(self) -> int:
        return len(self._columns)

    def __getitem__(self, name: str) -> list[Any]:
        """Return the values of a column."""
        return self._columns[name].to_list()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._columns.iter_rows(named=True)

    def select(self, indices: npt.NDArray[np.int64]) -> LocalDataset:
        """Return some of the examples."""
        numbers = np.asarray(indices) if self._numbers is None else self._numbers[indices]
        return LocalDataset(self._columns[indices], self._files, numbers)

    def place_of(self, index: int) -> str | None:
        """Return where an example is in its file, such as `file:line`; None if not known."""
        number = index if self._numbers is None else int(self._numbers[index])
        for path, examples in self._files:
            if number < examples:
                return place_of_example(path, number)
            number -= examples
        return None
