"""`LocalDataset`: the examples of local files or of a frame, without the library `datasets`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .csv_layout import CsvLayout
from .file_places import place_of_example, quoted_in
from .text_encoding import UTF8

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FilePart", "LocalDataset"]


class FilePart(NamedTuple):
    """A file of a data set.

    Attributes:
        path: the file.
        examples: the number of examples in it.
        layout: how it is written, for CSV and TSV.
        encoding: the encoding of JSON, as Python names it.
        sheet: the sheet to read of a workbook; the first by default.
        rows: the row of each example, for a workbook.
        notes: what to report about it.
    """

    path: Path
    examples: int = 0
    layout: CsvLayout | None = None
    encoding: str = UTF8
    sheet: str | None = None
    rows: Sequence[int] = ()
    notes: tuple[str, ...] = ()


class LocalDataset:
    """Examples in memory, with the part of the interface of `datasets.Dataset` that a run needs.

    Importing that library takes as long as a small run.

    Args:
        columns: the examples.
        files: the files they were read from.
        numbers: int64 `(examples,)`, the number of each example in the files; by default all of
            them in order.
        features: what a file of the library `datasets` says about its columns, such as the names
            of classes.
    """

    def __init__(
        self,
        columns: pl.DataFrame,
        files: Sequence[FilePart] = (),
        numbers: npt.NDArray[np.int64] | None = None,
        features: Mapping[str, Any] | None = None,
    ) -> None:
        self.columns, self.files = columns, files
        self._numbers, self._features = numbers, features or {}

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in order."""
        return self.columns.columns

    @property
    def features(self) -> dict[str, Any]:
        """What a `Dataset` knows about each column, such as names of classes."""
        return {name: self._features.get(name) for name in self.column_names}

    @property
    def is_as_written(self) -> bool:
        """Whether every value is a field of a text file as written."""
        return bool(self.files) and all(part.layout is not None for part in self.files)

    @property
    def notes(self) -> tuple[str, ...]:
        """What to report about the files."""
        return tuple(note for part in self.files for note in part.notes)

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, name: str) -> list[Any]:
        """Return the values of a column."""
        return self.columns[name].to_list()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self.columns.iter_rows(named=True)

    def select(self, indices: npt.NDArray[np.int64]) -> LocalDataset:
        """Return some of the examples."""
        numbers = np.asarray(indices) if self._numbers is None else self._numbers[indices]
        return LocalDataset(self.columns[indices], self.files, numbers, self._features)

    def with_columns(self, columns: pl.DataFrame) -> LocalDataset:
        """Return the same examples with other values."""
        return LocalDataset(columns, self.files, self._numbers, self._features)

    def is_quoted(self, name: str) -> npt.NDArray[np.bool_]:
        """Return which values of a column are words for no value in quotation marks: texts."""
        at, before, found = self.column_names.index(name), 0, []
        for part in self.files:
            if part.layout is not None:
                found += [before + number for number in quoted_in(part.path, part.layout, at)]
            before += part.examples
        mask = np.zeros(before, bool)
        mask[found] = True
        return mask if self._numbers is None else mask[self._numbers]

    def place_of(self, index: int) -> str | None:
        """Return where an example is in its file, such as `file:line`; None if not known."""
        number = index if self._numbers is None else int(self._numbers[index])
        for part in self.files:
            if number < part.examples:
                if part.rows:
                    return f"{part.path} row {part.rows[number]}"
                return place_of_example(part.path, number, part.layout, part.encoding)
            number -= part.examples
        return None
