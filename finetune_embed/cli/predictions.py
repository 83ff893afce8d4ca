"""Predictions of a run as columns, and the files they are written to."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, Either
from ..files import atomic_write

if TYPE_CHECKING:
    from ..training.run.run import Run

__all__ = ["check_output", "predictions_of", "write_columns"]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
Columns = Mapping[str, Sequence[Any]]


def predictions_of(run: Run, texts: Sequence[Any]) -> tuple[dict[str, list[Any]], list[int]]:
    """Return the predictions for texts, and which texts have no word that the run knows.

    Returns:
        The columns `prediction` and `probability_<label>` for each label; for a tagger, they hold
        lists, with an item for each word.
    """
    logits, lengths, unknown = run.logits_and_unknown(texts)
    chances = run.task.probabilities(logits)
    columns: list[list[Any]] = chances.T.tolist()
    if run.task.per_word:
        parts = chances.split(lengths.tolist())
        columns = [[part[:, at].tolist() for part in parts] for at in range(len(run.labels))]
    names = [f"probability_{label}" for label in run.labels]
    found = {
        "prediction": run.task.decode(logits, lengths),
        **dict(zip(names, columns, strict=True)),
    }
    return found, [at for at, n in enumerate((lengths.numpy() - unknown).tolist()) if n == 0]


def check_output(path: Path, data: str | None) -> None:
    """Check that predictions can be written to a file.

    Raises:
        DataError: its suffix is none that predictions are written in, or it is the data itself.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            "the suffix is not that of a format in which predictions are written",
            where=path,
            remedy=f"end the name with one of {', '.join(SUFFIXES)}",
        )
    if data is not None and os.path.realpath(data) == os.path.realpath(path):
        raise DataError(
            "this is the data itself, which the predictions would replace",
            where=path,
            remedy="name another file",
        )


def write_columns(path: Path, given: Columns, predicted: Columns) -> None:
    """Write columns of data and of predictions to a file, which appears complete or not at all.

    Args:
        path: the file; its suffix is that of the format.
        given: the columns of the data.
        predicted: the columns of the predictions.

    Raises:
        DataError: a column has the name of another, or the format cannot hold one.
    """
    if both := [name for name in predicted if name in given]:
        raise DataError(
            f"the data has a column {both[0]!r} already, which the predictions need",
            where=path,
            remedy="rename it in the data",
        )
    import polars as pl

    suffix = path.suffix.lower()
    try:
        frame = pl.DataFrame({**given, **predicted}, strict=False)
    except (pl.exceptions.PolarsError, TypeError, UnicodeEncodeError) as error:
        raise DataError(f"the values cannot be written: {error}", where=path) from error
    if suffix in (".csv", ".tsv"):
        frame = _flat(frame, path)
    with atomic_write(path) as file:
        if suffix in (".csv", ".tsv"):
            frame.write_csv(file, separator="\t" if suffix == ".tsv" else ",")
        elif suffix == ".parquet":
            frame.write_parquet(file)
        else:
            frame.write_ndjson(file)


def _flat(frame: Any, path: Path) -> Any:
    """Return a frame whose predictions of several labels are JSON text, as a cell can hold.

    Raises:
        DataError: another column holds lists.
    """
    import polars as pl

    name = "prediction"
    nested = [n for n, kind in frame.schema.items() if kind.is_nested() and n != name]
    if nested:
        raise DataError(
            f"the column {nested[0]!r} holds lists, and a cell of a CSV or TSV file cannot",
            where=path,
            remedy=Either("write another format", "write a .jsonl or a .parquet file"),
        )
    if not frame.schema[name].is_nested():
        return frame
    texts = [json.dumps(one, ensure_ascii=False) for one in frame[name].to_list()]
    return frame.with_columns(pl.Series(name, texts))
