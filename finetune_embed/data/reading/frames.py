"""Objects in memory as data sets: frames of pandas and polars, Arrow tables, lists of examples."""

from __future__ import annotations

from typing import Any

from ...errors import DataError
from .column_names import refuse_duplicates
from .local_dataset import LocalDataset

__all__ = ["as_local", "is_frame"]


def is_frame(value: Any) -> bool:
    """Return whether an object is a frame, an Arrow table or a list of dictionaries.

    Libraries are not imported for it.
    """
    if isinstance(value, list):
        return bool(value) and all(isinstance(one, dict) for one in value)
    library, name = type(value).__module__.split(".")[0], type(value).__name__
    if library == "pyarrow":
        return name == "Table"
    return library in ("pandas", "polars") and name in ("DataFrame", "LazyFrame")


def as_local(frame: Any, where: str) -> LocalDataset:
    """Return the rows of a frame as examples; the index of pandas is left out.

    Args:
        frame: a frame, an Arrow table or a list of dictionaries. Categories become their values,
            NaN a missing value.
        where: the name of the data set in messages.

    Raises:
        DataError: a column has values of several types, or two columns have the same name.
    """
    import polars as pl
    import polars.selectors as cs

    if isinstance(frame, list):
        frame = _from_examples(frame, where)
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    names = [str(name) for name in getattr(frame, "column_names", frame.columns)]
    refuse_duplicates(names, where)
    if type(frame).__module__.startswith("pyarrow"):
        frame = pl.from_arrow(frame)
    if not isinstance(frame, pl.DataFrame):
        frame = _from_pandas(frame, where)
    categories = cs.by_dtype(pl.Categorical) | cs.enum()
    return LocalDataset(frame.with_columns(categories.cast(pl.String), cs.float().fill_nan(None)))


def _from_examples(examples: list[dict[Any, Any]], where: str) -> Any:
    """Return examples as a frame; a key that one lacks is a missing value there.

    Raises:
        DataError: the values of a key have several types.
    """
    import polars as pl

    names = dict.fromkeys(name for one in examples for name in one)
    columns = {}
    for name in names:
        try:
            values = [one.get(name) for one in examples]
            known = [None if isinstance(v, float) and v != v else v for v in values]
            columns[str(name)] = pl.Series(known)
        except (pl.exceptions.PolarsError, TypeError, ValueError, OverflowError) as error:
            raise _unreadable(str(name), error, where) from error
    return pl.DataFrame(columns)


def _unreadable(name: str, error: Exception, where: str) -> DataError:
    """Return the error about a column that cannot be read."""
    return DataError(
        f"the column {name!r} cannot be read: {str(error).strip().splitlines()[0][:200]}",
        where=where,
        remedy="give all its values one type",
    )


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
            raise _unreadable(str(name), error, where) from error
    return pl.DataFrame(columns)
