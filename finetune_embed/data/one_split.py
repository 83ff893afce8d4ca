"""The one split of a data set that a finished run is used on."""

from __future__ import annotations

import os
from dataclasses import replace

from ..errors import DataError, Either
from .reading.splits import DataSource, Splits, open_splits

__all__ = ["open_one_split"]


def open_one_split(
    dataset: DataSource,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    sheet: str | None = None,
) -> Splits:
    """Open a data set to predict or to evaluate: its only split, or its test split.

    Args:
        dataset: as for `open_splits`.
        delimiter: as for `open_splits`.
        encoding: as for `open_splits`.
        sheet: as for `open_splits`.

    Returns:
        Splits of which that one is `train`.

    Raises:
        DataError: it cannot be read, or has several splits and none is a test split.
    """
    splits = open_splits(dataset, delimiter=delimiter, encoding=encoding, sheet=sheet)
    is_folder = isinstance(dataset, (str, os.PathLike)) and os.path.isdir(dataset)
    role = "train" if splits.test is None else "test"
    if role == "test" or is_folder:
        names = [part.path.name for part in getattr(getattr(splits, role), "files", ())]
        files = f", {names[0]}" if len(names) == 1 else f", {len(names):,} files" if names else ""
        splits = replace(splits, notes=(*splits.notes, f"the {role} split is read{files}"))
    if splits.test is not None:
        return replace(splits, train=splits.test, validation=None, test=None)
    if splits.validation is not None or splits.streamed:
        raise DataError(
            "it is streamed" if splits.streamed else "it has several splits, and none named test",
            where=splits.name,
            remedy=Either("pass a split that is held in memory", "name the file of one of them"),
        )
    return splits
