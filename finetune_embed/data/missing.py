"""Missing texts and labels: examples without one are left out and counted, or kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, Option
from .reading.local_dataset import LocalDataset
from .reading.splits import Splits

if TYPE_CHECKING:
    import polars as pl
    from datasets import Dataset

__all__ = ["MISSING", "Missing", "without_missing"]

#: What CSV and TSV files have in cells without a value, as pandas, R and Excel write them.
MISSING = ("NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null")
_WORDS = {"text": "no text", "label": "no label"}


@dataclass(frozen=True)
class Missing:
    """What becomes of examples of a stream without a text or a label.

    Attributes:
        texts: the columns of texts; a text is missing if it is missing in all of them.
        label: the column of labels.
        is_kept: whether a missing text is an empty one, and nothing is left out.
        is_as_written: whether the values are fields of a text file, where `MISSING` stand for none.
    """

    texts: tuple[str, ...]
    label: str
    is_kept: bool
    is_as_written: bool

    def _is_missing(self, value: Any) -> bool:
        if value is None or (isinstance(value, float) and value != value):
            return True
        return self.is_as_written and not self.is_kept and value in MISSING

    def kind(self, example: Mapping[str, Any]) -> str | None:
        """Return `text` or `label`, whichever an example lacks, or None for one that is used."""
        if self.is_kept:
            return None
        texts = [example[name] for name in self.texts if name in example]
        if texts and all(map(self._is_missing, texts)):
            return "text"
        if self.label in example and self._is_missing(example[self.label]):
            return "label"
        return None

    def is_used(self, example: Mapping[str, Any]) -> bool:
        """Return whether an example is not left out."""
        return self.kind(example) is None

    def plain(self, example: dict[str, Any]) -> dict[str, Any]:
        """Return an example with None for a missing text, or an empty text if they are kept."""
        found = [n for n in self.texts if n in example and self._is_missing(example[n])]
        value = "" if self.is_kept else None
        return {**example, **dict.fromkeys(found, value)} if found else example

    def note(self, role: str, counts: Mapping[str, int], examples: int, place: str) -> str:
        """Return what to report about the examples that are left out."""
        columns = {"text": ", ".join(map(repr, self.texts)), "label": repr(self.label)}
        parts = [f"{n:,} with {_WORDS[k]} in {columns[k]}" for k, n in counts.items() if n]
        left_out = sum(counts.values())
        return (
            f"{left_out:,} of {examples:,} examples of {role} are left out: {', '.join(parts)}; "
            f"the first is {place}"
        )


def without_missing(
    splits: Splits, text: str | Sequence[str], label: str | None, missing: str = "drop"
) -> Splits:
    """Return splits without the examples that have no text or no label, and say how many.

    None and NaN are missing. A text is missing if it is missing in every column. In CSV and TSV
    files an empty field is missing, and one of `MISSING`. A test split without any label keeps its
    examples. A streamed split is returned unchanged.

    Args:
        splits: the splits.
        text: the column of texts, or several.
        label: the column of labels; None for texts alone.
        missing: `drop`, or `keep`: a missing text is then an empty one, and the fields of a file
            are texts as written.

    Raises:
        DataError: no example of a split has a text, or a label.
    """
    texts = (text,) if isinstance(text, str) else tuple(text)
    given = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    notes = list(splits.notes)
    for role, split in given.items():
        if split is None or (role == "train" and splits.streamed):
            continue
        as_written = isinstance(split, LocalDataset) and split.is_as_written
        rule = Missing(texts, label or "", missing == "keep", as_written)
        if missing == "keep":
            given[role] = _filled(split, texts)
            continue
        split = given[role] = _with_nulls(split, [*texts, rule.label])
        absent = _absent(split, texts, rule.label)
        if role == "test" and absent["label"].all():
            absent["label"][:] = False
        counts = {"text": int(absent["text"].sum())}
        counts["label"] = int((absent["label"] & ~absent["text"]).sum())
        for kind, columns in (("text", texts), ("label", (rule.label,))):
            if absent[kind].all():
                raise _nothing(kind, columns, split, f"{splits.name} ({role})")
        out = absent["text"] | absent["label"]
        if out.any():
            first = int(np.argmax(out))
            place = split.place_of(first) if isinstance(split, LocalDataset) else None
            place = place or f"example {first} (counted from 0)"
            notes.append(rule.note(role, counts, len(split), place))
            given[role] = split.select(np.flatnonzero(~out))
            if not len(given[role]):
                raise DataError(
                    f"no example has both a text and a label, of {len(split):,}",
                    where=f"{splits.name} ({role})",
                )
    return replace(splits, **given, notes=tuple(notes))


def _nothing(kind: str, columns: Sequence[str], split: Any, where: str) -> DataError:
    """Return the error about a column without any value."""
    named = ", ".join(map(repr, columns))
    others = [name for name in split.column_names if name not in columns]
    return DataError(
        f"all {len(split):,} examples have {_WORDS[kind]} in {named}",
        where=where,
        value=list(columns),
        remedy=("choose another column: ", Option(kind, others[0] if others else ...)),
    )


def _absent(
    split: Dataset | LocalDataset, texts: Sequence[str], label: str
) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which examples lack a text, and which a label."""
    known = [name for name in texts if name in split.column_names]
    nothing = np.zeros(len(split), bool)
    return {
        "text": np.logical_and.reduce([_nulls(split, name) for name in known])
        if known
        else nothing,
        "label": _nulls(split, label) if label in split.column_names else nothing.copy(),
    }


def _nulls(split: Dataset | LocalDataset, name: str) -> npt.NDArray[np.bool_]:
    """Return which values of a column are missing."""
    if isinstance(split, LocalDataset):
        values = split.columns[name]
        absent = values.is_null() | values.is_nan() if values.dtype.is_float() else values.is_null()
        return absent.to_numpy()
    import pyarrow.compute as pc

    column = split.select_columns([name]).with_format("arrow")[:].column(0)
    is_float = str(column.type) in ("halffloat", "float", "double")
    found: npt.NDArray[np.bool_] = pc.is_null(column, nan_is_null=is_float).to_numpy()
    return found


def _with_nulls(split: Any, names: Sequence[str]) -> Any:
    """Return a split of a text file with nulls for the fields that stand for none."""
    if not isinstance(split, LocalDataset) or not split.is_as_written:
        return split
    import polars as pl

    columns = [name for name in names if name in split.column_names]
    words = list(MISSING)
    if not any(split.columns[name].is_in(words).any() for name in columns):
        return split
    known = pl.col(columns)
    return split.with_columns(
        split.columns.with_columns(pl.when(~known.is_in(words)).then(known).name.keep())
    )


def _filled(split: Any, names: Sequence[str]) -> Any:
    """Return a split with an empty text, or an empty list of words, for each missing one."""
    import polars as pl

    columns = [name for name in names if name in split.column_names]
    if not any(_nulls(split, name).any() for name in columns):
        return split
    if not isinstance(split, LocalDataset):
        frame = pl.from_arrow(split.with_format("arrow")[:])
        assert isinstance(frame, pl.DataFrame)
        split = LocalDataset(frame, features=split.features)
    empty: list[pl.Expr] = [
        pl.col(name).fill_null(pl.lit("") if kind == pl.String else pl.lit([], kind))
        for name, kind in split.columns.schema.items()
        if name in columns and (kind == pl.String or isinstance(kind, pl.List))
    ]
    return split.with_columns(split.columns.with_columns(empty))
