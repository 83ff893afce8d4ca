"""Data sets as batches: texts as ids, labels as class numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ..vocabulary import TokenizedTexts, Vocabulary
from .columns import texts_of

if TYPE_CHECKING:
    from datasets import Dataset


__all__ = ["EncodedTexts", "collate_bag", "collate_packed", "collate_padded", "encode"]


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
        texts: Sequence[Any] | TokenizedTexts,
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
