"""Missing texts and labels: examples without one are left out and counted, or kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError, Option
from .reading.cells import ERROR, MISSING, Quoted, stands_for_none
from .reading.local_dataset import LocalDataset
from .reading.splits import Splits

if TYPE_CHECKING:
    import polars as pl
    from datasets import Dataset

__all__ = ["MISSING", "Missing", "without_missing"]

SHOWN = 3  # words for no value in a note
_WORDS = {"text": "no text", "label": "no label"}


@dataclass(frozen=True)
class Missing:
    """What becomes of examples of a stream without a text or a label.

    Attributes:
        texts: the columns of texts; a text is missing if it is missing in all of them.
        label: the column of labels.
        is_kept: whether a missing text is an empty one, and nothing is left out.
        is_as_written: whether the values are fields of a text file, where some words stand for
            none unless they are quoted.
    """

    texts: tuple[str, ...]
    label: str
    is_kept: bool
    is_as_written: bool

    def _is_missing(self, value: Any) -> bool:
        if value is None or (isinstance(value, float) and value != value):
            return True
        if self.is_kept or not self.is_as_written or isinstance(value, Quoted):
            return False
        return stands_for_none(value)

    def kind(self, example: Mapping[str, Any]) -> tuple[str, str] | None:
        """Return `text` or `label`, whichever an example lacks, and the word that stands for it.

        The word is empty for a value that is not there; None for an example that is used.
        """
        if self.is_kept:
            return None
        texts = [example[name] for name in self.texts if name in example]
        if texts and all(map(self._is_missing, texts)):
            return "text", _word(texts[0])
        if self.label in example:
            value = example[self.label]
            if self._is_missing(value) or (isinstance(value, str) and not value.strip()):
                return "label", _word(value)
        return None

    def is_used(self, example: Mapping[str, Any]) -> bool:
        """Return whether an example is not left out."""
        return self.kind(example) is None

    def plain(self, example: dict[str, Any]) -> dict[str, Any]:
        """Return an example with None for a missing text, or an empty text if they are kept."""
        found = [n for n in self.texts if n in example and self._is_missing(example[n])]
        value = "" if self.is_kept else None
        return {**example, **dict.fromkeys(found, value)} if found else example

    def note(
        self, role: str, counts: Mapping[tuple[str, str], int], examples: int, place: str
    ) -> str:
        """Return what to report about the examples that are left out.

        Args:
            role: their split; empty where there is but one.
            counts: how many, by what `kind` returns.
            examples: the number of all examples.
            place: where the first one is.
        """
        columns = {"text": ", ".join(map(repr, self.texts)), "label": repr(self.label)}
        parts = []
        for kind, column in columns.items():
            if number := sum(n for (one, _), n in counts.items() if one == kind):
                words = {word: n for (one, word), n in counts.items() if one == kind and word}
                parts.append(f"{number:,} with {_WORDS[kind]} in {column}{_listed(words)}")
        left_out = sum(counts.values())
        keep = "; missing='keep' keeps such words" if any(word for _, word in counts) else ""
        return (
            f"{left_out:,} of {examples:,} examples {f'of {role} ' if role else ''}are left out: "
            f"{', '.join(parts)}"
            f"{keep}; the first is {place}"
        )


def _word(value: Any) -> str:
    """Return a word that stands for no value, empty for one that is not there."""
    return value.strip() if isinstance(value, str) else ""


def _listed(words: Mapping[str, int]) -> str:
    """Return the words that stand for no value, and how many times each is there."""
    order = sorted(words, key=lambda word: -words[word])
    shown = ", ".join(f"{words[word]:,} {word[:30]!r}" for word in order[:SHOWN])
    more = f" and {len(order) - SHOWN:,} more words" if len(order) > SHOWN else ""
    return f" ({shown}{more})" if words else ""


def without_missing(
    splits: Splits,
    text: str | Sequence[str],
    label: str | None,
    missing: str = "drop",
    *,
    is_one: bool = False,
) -> Splits:
    """Return splits without the examples that have no text or no label, and say how many.

    None and NaN are missing, and so is a label of blanks alone. A text is missing if it is missing
    in every column. In CSV and TSV files an empty field is missing, and one without quotation marks
    that is one of `MISSING` or the error of a formula. A test split without any label keeps its
    examples. A streamed split is returned unchanged.

    Args:
        splits: the splits.
        text: the column of texts, or several.
        label: the column of labels; None for texts alone.
        missing: `drop`, or `keep`: a missing text is then an empty one, and the fields of a file
            are texts as written.
        is_one: whether the splits are one, which a run is used on; see `open_one_split`.

    Raises:
        DataError: no example of a split has a text, or a label, or words for no value are left out
            and leave a single label.
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
        written, split = split, _with_nulls(split, [*texts, rule.label])
        given[role] = split
        absent = _absent(split, texts, rule.label)
        if role == "test" and absent["label"].all():
            absent["label"][:] = False
        counts = _counts(written, "text", texts, absent["text"])
        labels = _counts(written, "label", (rule.label,), absent["label"] & ~absent["text"])
        counts.update(labels)
        where = splits.name if is_one else f"{splits.name} ({role})"
        for kind, columns in (("text", texts), ("label", (rule.label,))):
            if absent[kind].all():
                words = {word: n for (one, word), n in counts.items() if one == kind and word}
                can_keep = kind == "text" and (is_one or role != "train")
                others = [name for name in split.column_names if name not in (*texts, rule.label)]
                raise _nothing(kind, columns, len(split), others, where, words, can_keep)
        out = absent["text"] | absent["label"]
        if out.any():
            first = int(np.argmax(out))
            place = split.place_of(first) if isinstance(split, LocalDataset) else None
            place = place or f"example {first} (counted from 0)"
            notes.append(rule.note("" if is_one else role, counts, len(split), place))
            given[role] = split.select(np.flatnonzero(~out))
            if not len(given[role]):
                raise DataError(
                    f"no example has both a text and a label, of {len(split):,}",
                    where=where,
                )
            words = {word: n for (_, word), n in labels.items() if word}
            if role == "train" and words and given[role].columns[rule.label].n_unique() < 2:
                raise DataError(
                    f"{sum(words.values()):,} labels in {rule.label!r} are words for no value"
                    f"{_listed(words)}, and the others are all the same",
                    where=f"{splits.name} (train)",
                    value=list(words),
                    remedy=("if they are labels, pass ", Option("missing", "keep")),
                )
    return replace(splits, **given, notes=tuple(notes))


def _counts(
    split: Any, kind: str, columns: Sequence[str], out: npt.NDArray[np.bool_]
) -> Counter[tuple[str, str]]:
    """Return how many examples lack something, by the word that stands for it; see `kind`."""
    name = next((one for one in columns if one in split.column_names), None)
    if name is None or not isinstance(split, LocalDataset):
        return Counter({(kind, ""): int(out.sum())} if out.any() else {})
    return Counter((kind, _word(value)) for value in split.columns[name].filter(out))


def _nothing(
    kind: str,
    columns: Sequence[str],
    examples: int,
    others: Sequence[str],
    where: str,
    words: Mapping[str, int],
    can_keep: bool,
) -> DataError:
    """Return the error about a column without any value, which may be one of empty texts."""
    named = ", ".join(map(repr, columns))
    keep = Option("missing", "keep")
    return DataError(
        f"all {examples:,} examples have {_WORDS[kind]} in {named}{_listed(words)}",
        where=where,
        value=list(columns),
        remedy=(
            *(
                ("choose another column: ", Option(kind, others[0]))
                if others
                else (f"fill in the {kind}s",)
            ),
            (f", or keep {'these words' if words else 'them as empty texts'}: ", keep)
            if words or can_keep
            else "",
        ),
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
        "label": _nulls(split, label) | _blank(split, label)
        if label in split.column_names
        else nothing.copy(),
    }


def _blank(split: Dataset | LocalDataset, name: str) -> npt.NDArray[np.bool_]:
    """Return which values of a column are texts of blanks alone."""
    import polars as pl

    if isinstance(split, LocalDataset):
        values = split.columns[name]
    else:
        found = pl.from_arrow(split.select_columns([name]).with_format("arrow")[:].column(0))
        assert isinstance(found, pl.Series)
        values = found
    if values.dtype != pl.String:
        return np.zeros(len(split), bool)
    return (values.str.strip_chars() == "").fill_null(value=False).to_numpy()


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

    for name in names:
        if name not in split.column_names:
            continue
        is_none = split.columns[name].is_in(MISSING) | split.columns[name].str.contains(ERROR)
        if not is_none.any():
            continue
        is_none &= pl.Series(~split.is_quoted(name))
        known = pl.when(~is_none).then(pl.col(name)).alias(name)
        split = split.with_columns(split.columns.with_columns(known))
    return split


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
        pl.col(name).fill_null(pl.lit([], kind) if isinstance(kind, pl.List) else pl.lit(""))
        for name, kind in split.columns.schema.items()
        if name in columns and (kind in (pl.String, pl.Null) or isinstance(kind, pl.List))
    ]
    return split.with_columns(split.columns.with_columns(empty))
