"""Columns of a split: plain values, and texts."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, Either, Option, Text
from ..vocabulary import column_values
from .reading.file_kinds import EXCEL, kind_of
from .reading.local_dataset import LocalDataset

if TYPE_CHECKING:
    from datasets import Dataset

#: Names of columns in a message.
SHOWN = 6
#: Examples whose labels are counted to find a column of labels.
SAMPLE = 1000

__all__ = ["column_of", "invalid_examples", "pairs_of", "texts_of"]


def column_of(split: Dataset | LocalDataset, name: str, where: str, option: str) -> list[Any]:
    """Return the values of a column of a split as plain Python values, whatever its format.

    Args:
        split: the split.
        name: the name of the column.
        where: the name of the split in messages.
        option: the parameter that names the column.

    Raises:
        DataError: the column is missing.
    """
    if name not in split.column_names:
        files = split.files if isinstance(split, LocalDataset) else ()
        notes = [note for part in files if kind_of(part.path) == EXCEL for note in part.notes]
        likely = _likely_label(split) if option == "label" else ""
        raise missing_column(split.column_names, name, where, option, notes, likely)
    return column_values(split, name)


def missing_column(
    names: Sequence[str],
    name: str,
    where: str,
    option: str,
    notes: Sequence[str] = (),
    likely: str = "",
) -> DataError:
    """Return the error about a column that is not there.

    It proposes the one whose name is most like it, or else the one that is likely, or the first.
    """
    plain = {one.strip().lower(): one for one in reversed(names)}
    close = difflib.get_close_matches(name.strip().lower(), plain, 1)
    others = [one for one in names if one]
    likely = plain[close[0]] if close else likely or next(iter(others), "")
    shown = ", ".join(repr(one[:40]) for one in names[:SHOWN])
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return DataError(
        "; ".join([f"there is no column {name[:60]!r}", *notes]),
        where=where,
        value=name,
        remedy=(
            f"choose from {shown}{more}",
            (", such as ", Option(option, likely)) if close or len(others) > 1 else "",
        ),
    )


def _likely_label(split: Dataset | LocalDataset) -> str:
    """Return the column with the fewest different values, more than one, among the first rows."""
    names = [name for name in split.column_names if name]
    rows = split.select(np.arange(min(len(split), SAMPLE)))
    counts = {name: len(set(map(str, rows[name][:]))) for name in names}
    several = [name for name in reversed(names) if counts[name] > 1]
    return min(several or names[-1:], key=counts.__getitem__, default="")


def texts_of(split: Dataset | LocalDataset, columns: str | Sequence[str], where: str) -> list[Any]:
    """Return the texts of a split, or its lists of tokens; several columns are joined.

    Of several columns, an example may lack some.

    Args:
        split: the split.
        columns: the names of one or more columns.
        where: the name of the split in messages.

    Raises:
        DataError: a column is missing, or an example has no text; the message names the first.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    parts = _columns_of_texts(split, names, where)
    if len(parts) == 1:
        return parts[0]
    examples = [[v for v in example if v is not None] for example in zip(*parts, strict=True)]
    if all(isinstance(value, list) for example in examples for value in example):
        return [list(chain.from_iterable(example)) for example in examples]
    if any(isinstance(value, list) for values in parts for value in values):
        raise DataError(
            f"the columns {', '.join(map(repr, names))} hold both texts and lists of words, which "
            "cannot be joined",
            where=where,
            value=names,
            remedy=("choose columns of one kind: ", Option("text", ...)),
        )
    return [" ".join(example) for example in examples]


def pairs_of(split: Dataset | LocalDataset, columns: str | Sequence[str], where: str) -> list[Any]:
    """Return the texts of two columns, the first and the second of each example in turn.

    An example may lack one of the two, which is then an empty text.

    Args:
        split: the split.
        columns: the names of the columns.
        where: the name of the split in messages.

    Raises:
        DataError: there are more or fewer columns, one is missing, or an example has no text.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    if len(names) != 2:
        raise DataError(
            f"names {len(names)} column{'s' * (len(names) != 1)}, and a head of pairs takes the "
            "texts of two",
            where=where,
            option="text",
            value=columns,
            remedy=("name two: ", Option("text", ...)),
        )
    rows = zip(*_columns_of_texts(split, names, where), strict=True)
    return ["" if text is None else text for row in rows for text in row]


def _columns_of_texts(
    split: Dataset | LocalDataset, names: Sequence[str], where: str
) -> list[list[Any]]:
    """Return columns of texts or of lists of words.

    Of several columns, an example may lack some, for which there is None; see `texts_of`.
    """
    parts = []
    for name in names:
        values = column_of(split, name, where, "text")
        allowed = (str, list) if len(names) == 1 else (str, list, type(None))
        bad = [i for i, value in enumerate(values) if not isinstance(value, allowed)]
        if bad:
            other = _other_texts(split, names) if len(bad) == len(values) else ""
            raise invalid_examples(split, where, bad, f"no text in {name!r}", values[bad[0]], other)
        parts.append(values)
    rows = zip(*parts, strict=True) if len(parts) > 1 else ()
    bad = [i for i, row in enumerate(rows) if all(value is None for value in row)]
    if bad:
        fault = f"no text in any of {', '.join(map(repr, names))}"
        raise invalid_examples(split, where, bad, fault, None)
    return parts


def _other_texts(split: Dataset | LocalDataset, names: Sequence[str]) -> Text:
    """Return the advice to choose another column of texts, if there is one."""
    others = [name for name in split.column_names if name not in names]
    likely = next((name for name in others if isinstance(split[name][0], str)), None)
    return "" if likely is None else ("choose another column: ", Option("text", likely))


def invalid_examples(
    split: Dataset | LocalDataset,
    where: str,
    bad: Sequence[int],
    fault: str,
    value: Any,
    otherwise: Text = "",
) -> DataError:
    """Return an error about examples of a split, which shows where the first is.

    Args:
        split: the split.
        where: the name of the split.
        bad: the indices of the examples.
        fault: what they have, such as "no text".
        value: the value of the first.
        otherwise: an alternative to removing them.
    """
    place = split.place_of(bad[0]) if isinstance(split, LocalDataset) else None
    first = f"the first is example {bad[0]} (counted from 0)" if place is None else "the first here"
    if isinstance(split, LocalDataset):
        remove: Text = "remove them from the file" if split.files else "remove them from the frame"
    else:
        remove = Either(
            "remove them with dataset.filter(...)",
            ("write the others to a file and pass it: ", Option("dataset", ...)),
        )
    return DataError(
        f"{len(bad):,} of {len(split):,} examples have {fault}, {first}: {value!r}",
        where=where if place is None else place,
        value=value,
        remedy=(remove, ", or " if otherwise else "", otherwise)
        if len(bad) < len(split)
        else otherwise or None,
    )
