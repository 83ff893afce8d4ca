"""pandas and polars frames as data sets."""

from __future__ import annotations

from typing import Any

from ...errors import DataError
from .column_names import refuse_duplicates
from .local_dataset import LocalDataset

__all__ = ["as_local", "is_frame"]


def is_frame(value: Any) -> bool:
    """Return whether an object is a frame of pandas or polars, which are not imported for it."""
    library = type(value).__module__.split(".")[0]
    return library in ("pandas", "polars") and type(value).__name__ in ("DataFrame", "LazyFrame")


def as_local(frame: Any, where: str) -> LocalDataset:
    """Return the rows of a frame as examples; the index of pandas is left out.

    Args:
        frame: a pandas or polars frame. Categories become their values, NaN a missing value.
        where: the name of the data set in messages.

    Raises:
        DataError: a column has values of several types, or two columns have the same name.
    """
    import polars as pl
    import polars.selectors as cs

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    names = [str(name) for name in frame.columns]
    refuse_duplicates(names, where)
    if not isinstance(frame, pl.DataFrame):
        frame = _from_pandas(frame, where)
    categories = cs.by_dtype(pl.Categorical) | cs.enum()
    return LocalDataset(frame.with_columns(categories.cast(pl.String), cs.float().fill_nan(None)))


def _from_pandas(frame: Any, where: str) -> Any:
    """Return a pandas frame as one of polars.

    Raises:
        DataError: a column has values of several types.
    """
    import polars as pl
    import pyarrow as pa

    columns = {}
    for name in frame.columns:
        try:
            columns[str(name)] = pl.from_pandas(frame[name])
        except (pa.ArrowException, pl.exceptions.PolarsError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DataError(
                f"the column {str(name)!r} cannot be read: {reason}",
                where=where,
                remedy="give all its values one type",
            ) from error
    return pl.DataFrame(columns)
