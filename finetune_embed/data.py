"""Data sets as batches: texts as ids, labels as class numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .errors import DataError
from .splits import Splits
from .vocabulary import Vocabulary

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "EncodedTexts",
    "batch_indices",
    "collate_bag",
    "collate_padded",
    "encode",
    "labels_of",
    "texts_of",
]

Label = str | int | bool


def texts_of(split: Dataset, columns: str | Sequence[str], where: str) -> list[Any]:
    """Return the texts of a split, or its lists of words; several columns are joined.

    Raises:
        DataError: a column is missing, or a row has no text; the message names the first.
    """
    names = [columns] if isinstance(columns, str) else list(columns)
    parts = []
    for name in names:
        values = list(_column(split, name, where, "text"))
        bad = [i for i, v in enumerate(values) if not isinstance(v, (str, list))]
        if bad:
            raise DataError(
                f"{where}: {len(bad):,} of {len(values):,} rows have no text in {name!r}, row "
                f"{bad[0]} the first ({values[bad[0]]!r}); remove them with dataset.filter(...)"
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


def _column(split: Dataset, name: str, where: str, option: str) -> Any:
    if name not in split.column_names:
        raise DataError(
            f"{where}: there is no column {name!r}; there are "
            f"{', '.join(map(repr, split.column_names))}; pass {option}='...'"
        )
    return split[name]


def labels_of(splits: Splits, column: str) -> list[Label]:
    """Return the classes of a data set in the order of their numbers.

    Names of a `ClassLabel` column are kept; other labels are sorted. Only the training split
    counts.

    Raises:
        DataError: the column is missing, its values are no classes, or there is one class only.
    """
    values = _column(splits.train, column, f"{splits.name} (train)", "label")
    feature = splits.train.features[column]
    names = getattr(feature, "names", None)
    distinct: list[Any] = list(names) if names else _distinct(list(values), column, splits.name)
    if len(distinct) < 2:
        raise DataError(
            f"{splits.name}: every training row has the label {distinct[0]!r} in {column!r}; a "
            "classifier needs two classes or more"
        )
    return distinct


def _distinct(values: list[Any], column: str, name: str) -> list[Any]:
    for row, value in enumerate(values):
        if not isinstance(value, (str, int)):
            raise DataError(
                f"{name}: row {row} of the training split has {value!r} in {column!r}; a label is "
                "a string or a whole number"
            )
    try:
        return sorted(set(values))
    except TypeError as error:
        raise DataError(
            f"{name}: the labels in {column!r} are partly text, partly numbers"
        ) from error


def label_numbers(split: Dataset, column: str, labels: Sequence[Label], where: str) -> torch.Tensor:
    """Return the class number of each row, int64 `(rows,)`.

    Raises:
        DataError: a row has a label that the training split does not have.
    """
    values = list(_column(split, column, where, "label"))
    if names := getattr(split.features[column], "names", None):
        values = [names[v] if v is not None and 0 <= v < len(names) else v for v in values]
    numbers = {label: number for number, label in enumerate(labels)}
    bad = [i for i, value in enumerate(values) if value not in numbers]
    if bad:
        raise DataError(
            f"{where}: {len(bad):,} of {len(values):,} rows have a label that is not among the "
            f"{len(labels)} of the training split, row {bad[0]} the first ({values[bad[0]]!r})"
        )
    return torch.tensor([numbers[value] for value in values], dtype=torch.int64)


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as ids, one after the other, with their class numbers.

    Attributes:
        ids: int64 `(N,)`.
        offsets: int64 `(texts,)`, where each text starts.
        lengths: int64 `(texts,)`.
        labels: int64 `(texts,)`, or None.
    """

    ids: torch.Tensor
    offsets: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        texts: Sequence[Any],
        vocab: Vocabulary,
        labels: torch.Tensor | None = None,
        max_length: int | None = None,
    ) -> EncodedTexts:
        """Encode texts; of each, only the first `max_length` words count."""
        ids, offsets = vocab.encode(texts)
        lengths = torch.diff(offsets, append=torch.tensor([len(ids)]))
        if max_length is not None:
            lengths = lengths.clamp(max=max_length)
        return cls(ids, offsets, lengths, labels)

    def __len__(self) -> int:
        return len(self.offsets)

    def padded(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return some texts as ids `(B, L)`, padded with 0 to the longest, and lengths `(B,)`."""
        lengths = self.lengths[rows]
        columns = torch.arange(max(1, int(lengths.max())))
        at = self.offsets[rows][:, None] + columns
        inside = columns < lengths[:, None]
        if not len(self.ids):
            return torch.zeros_like(at), lengths
        ids = self.ids[at.clamp(max=len(self.ids) - 1)]
        return torch.where(inside, ids, Vocabulary.padding_idx), lengths


def batch_indices(texts: int, batch_size: int, seed: int, epoch: int) -> Iterator[torch.Tensor]:
    """Yield the row numbers of each batch of an epoch: a pure function of seed and epoch."""
    order = torch.from_numpy(np.random.default_rng((seed, epoch)).permutation(texts))
    yield from torch.split(order, batch_size)


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

    There is one column at least, so that a batch of empty texts fits every head.
    """
    rows = [torch.as_tensor(example["ids"], dtype=torch.int64) for example in examples]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=0)
    if not ids.shape[1]:
        ids = ids.new_zeros(len(rows), 1)
    lengths = torch.tensor([len(row) for row in rows])
    return ids, lengths, torch.tensor([example["label"] for example in examples])


def collate_bag(
    examples: Sequence[Mapping[str, Any]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return encoded examples as `nn.EmbeddingBag` takes them: ids `(N,)`, offsets and labels."""
    rows = [torch.as_tensor(example["ids"], dtype=torch.int64) for example in examples]
    lengths = torch.tensor([len(row) for row in rows])
    offsets = lengths.cumsum(0) - lengths
    return torch.cat(rows), offsets, torch.tensor([example["label"] for example in examples])
