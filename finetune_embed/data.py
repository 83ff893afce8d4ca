"""Data sets as batches: texts as ids, labels as class numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from .batches import batch_indices
from .cutting import CutTexts
from .errors import DataError
from .splits import Splits, column_of
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from datasets import Dataset

    from .frame import Frame

__all__ = [
    "EncodedTexts",
    "batch_indices",
    "collate_bag",
    "collate_packed",
    "collate_padded",
    "encode",
    "labels_of",
    "texts_of",
]

Label = str | int | bool


def texts_of(split: Dataset | Frame, columns: str | Sequence[str], where: str) -> list[Any]:
    """Return the texts of a split, or its lists of words; several columns are joined.

    Raises:
        DataError: a column is missing, or a row has no text; the message names the first.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    parts = []
    for name in names:
        values = list(column_of(split, name, where, "text")[:])  # at once: several times faster
        bad = [i for i, v in enumerate(values) if not isinstance(v, (str, list))]
        if bad:
            raise DataError(
                f"{where}: {len(bad):,} of {len(values):,} rows have no text in {name!r}, the "
                f"first is row {bad[0]} (counted from 0): {values[bad[0]]!r}; remove them with "
                "dataset.filter(...)"
            )
        parts.append(values)
    if len(parts) == 1:
        return parts[0]
    lists = [all(isinstance(value, list) for value in values) for values in parts]
    if all(lists):
        return [list(chain.from_iterable(row)) for row in zip(*parts, strict=True)]
    if any(isinstance(value, list) for values in parts for value in values):
        raise DataError(
            f"{where}: the columns {', '.join(map(repr, names))} are partly texts, partly lists of "
            "words, and can't be joined; pass columns of one kind"
        )
    return [" ".join(row) for row in zip(*parts, strict=True)]


def labels_of(splits: Splits, column: str) -> list[Label]:
    """Return the classes of a data set in the order of their numbers.

    Names of a `ClassLabel` column are kept; other labels are sorted. Only the training split
    counts.

    Raises:
        DataError: the column is missing, its values are no classes, or there is one class only.
    """
    values = _named(splits.train, column, f"{splits.name} (train)")
    names = getattr(splits.train.features[column], "names", None)
    distinct = _distinct(values, column, splits.name, names)
    if len(distinct) < 2:
        raise DataError(
            f"{splits.name}: every training row has the label {distinct[0]!r} in {column!r}; a "
            "classifier needs two classes or more"
        )
    return distinct


def _named(split: Dataset | Frame, column: str, where: str) -> list[Any]:
    """Return a column of labels; numbers of a `ClassLabel` column that have a name as the name."""
    values = list(column_of(split, column, where, "label")[:])
    if names := getattr(split.features[column], "names", None):
        values = [names[v] if v is not None and 0 <= v < len(names) else v for v in values]
    return values


def _distinct(values: list[Any], column: str, name: str, names: list[str] | None) -> list[Any]:
    for row, value in enumerate(values):
        if not isinstance(value, str if names else (str, int)):
            kind = "one of the column's class names" if names else "a string or a whole number"
            raise DataError(
                f"{name}: row {row} (counted from 0) of the training split has {value!r} in "
                f"{column!r}; a label is {kind}; remove such rows with dataset.filter(...)"
            )
    if names:
        return list(names)
    try:
        return sorted(set(values))
    except TypeError as error:
        raise DataError(
            f"{name}: the labels in {column!r} are partly text, partly numbers"
        ) from error


def label_numbers(
    split: Dataset | Frame, column: str, labels: Sequence[Label], where: str
) -> torch.Tensor:
    """Return the class number of each row, int64 `(rows,)`.

    Raises:
        DataError: a row has a label that the training split does not have.
    """
    values = _named(split, column, where)
    numbers = {label: number for number, label in enumerate(labels)}
    bad = [i for i, v in enumerate(values) if isinstance(v, (list, dict)) or v not in numbers]
    if bad:
        raise DataError(
            f"{where}: {len(bad):,} of {len(values):,} rows have a label that is not among the "
            f"{len(labels)} of the training split, the first is row {bad[0]} (counted from 0): "
            f"{values[bad[0]]!r}; remove them with dataset.filter(...)"
        )
    return torch.tensor([numbers[value] for value in values], dtype=torch.int64)


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as ids, one after the other, with their class numbers.

    Attributes:
        ids: int64 `(N,)`.
        offsets: int64 `(texts,)`, where each text starts.
        lengths: int64 `(texts,)`, 0 for an empty text.
        labels: int64 `(texts,)`, or None.
    """

    ids: torch.Tensor
    offsets: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        texts: Sequence[Any] | CutTexts,
        vocab: Vocabulary,
        labels: torch.Tensor | None = None,
        max_length: int | None = None,
    ) -> EncodedTexts:
        """Encode texts, cut already or not; of each, only the first `max_length` words count."""
        ids, offsets = vocab.encode(texts)
        lengths = torch.diff(offsets, append=torch.tensor([len(ids)]))
        if max_length is not None:
            lengths = lengths.clamp(max=max_length)
        return cls(ids, offsets, lengths, labels)

    def __len__(self) -> int:
        return len(self.offsets)

    def packed(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some texts one after the other: ids `(N,)` and lengths `(B,)`, which may be 0."""
        return torch.from_numpy(self.ids.numpy()[self.places(rows)]), self.lengths[rows]

    def places(self, rows: torch.Tensor) -> npt.NDArray[np.int64]:
        """Return where the words of some texts stand in `ids`, one text after the other `(N,)`."""
        lengths = self.lengths[rows].numpy()
        ends = np.cumsum(lengths)
        ahead = self.offsets[rows].numpy() - (ends - lengths)
        places: npt.NDArray[np.int64] = np.arange(lengths.sum()) + np.repeat(ahead, lengths)
        return places

    def padded(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some texts as ids `(B, L)`, padded with 0 to the longest, and lengths `(B,)`.

        An empty text is one position of padding: every length is 1 at least, as packed sequences
        need.
        """
        words, lengths = self.packed(rows)
        inside = np.arange(max(1, int(lengths.max()))) < lengths.numpy()[:, None]
        ids = np.full(inside.shape, Vocabulary.padding_idx)
        ids[inside] = words.numpy()
        return torch.from_numpy(ids), lengths.clamp(min=1)


def encode(dataset: Dataset, vocab: Vocabulary, column: str = "text") -> Dataset:
    """Return a data set with a further column `ids`, the ids of each text's words.

    Args:
        dataset: one split.
        vocab: the vocabulary.
        column: the column of texts or of lists of words.
    """
    ids, offsets = vocab.encode(texts_of(dataset, column, "the data set"))
    bounds = [*offsets.tolist(), len(ids)]
    flat = ids.tolist()
    encoded: Dataset = dataset.add_column("ids", [flat[a:b] for a, b in pairwise(bounds)])
    return encoded


def collate_padded(
    examples: Sequence[Mapping[str, Any]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return encoded examples as ids `(B, L)` padded with 0, lengths `(B,)` and labels `(B,)`.

    An empty text is one position of padding: every length is 1 at least, as packed sequences need.
    """
    rows = [torch.as_tensor(example["ids"], dtype=torch.int64) for example in examples]
    rows = [row if len(row) else torch.tensor([Vocabulary.padding_idx]) for row in rows]
    ids = torch.nn.utils.rnn.pad_sequence(
        rows, batch_first=True, padding_value=Vocabulary.padding_idx
    )
    lengths = torch.tensor([len(row) for row in rows])
    return ids, lengths, torch.tensor([example["label"] for example in examples])


def collate_bag(
    examples: Sequence[Mapping[str, Any]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return encoded examples as `nn.EmbeddingBag` takes them: ids `(N,)`, offsets and labels.

    An empty text is an empty bag.
    """
    ids, lengths, labels = collate_packed(examples)
    return ids, lengths.cumsum(0) - lengths, labels


def collate_packed(
    examples: Sequence[Mapping[str, Any]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return encoded examples one after the other: ids `(N,)`, lengths `(B,)` and labels `(B,)`.

    The length of an empty text is 0.
    """
    rows = [torch.as_tensor(example["ids"], dtype=torch.int64) for example in examples]
    lengths = torch.tensor([len(row) for row in rows])
    return torch.cat(rows), lengths, torch.tensor([example["label"] for example in examples])
