"""Encoded texts: tokens as ids, labels as numbers, and batches of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from ..vocabulary import PAD_ID, TokenizedTexts, Vocabulary, tokenize_texts
from .columns import texts_of
from .labels import IGNORED

if TYPE_CHECKING:
    from datasets import Dataset


__all__ = ["EncodedTexts", "collate_bag", "collate_packed", "collate_padded", "encode"]


@dataclass(frozen=True)
class EncodedTexts:
    """Texts as ids, one after the other, with their labels.

    Attributes:
        ids: int64 `(N,)`.
        offsets: int64 `(texts,)`, where each text starts in `ids`.
        lengths: int64 `(texts,)`, the number of tokens of each text, 0 for an empty one.
        labels: the numbers of the labels, int64 `(texts,)`, or other targets of a task; or None.
        halves: the numbers of tokens of both texts of each pair, int64 `(texts, 2)`, if each text
            here is a pair: its first text and then its second.
        first: bool `(N,)`, which tokens are the first of a word, where words that have labels are
            split into pieces. The other pieces have the label that is ignored.
    """

    ids: torch.Tensor
    offsets: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor | None = None
    halves: torch.Tensor | None = None
    first: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        texts: Sequence[Any] | TokenizedTexts,
        vocab: Vocabulary,
        labels: torch.Tensor | None = None,
        max_length: int | None = None,
        pairs: bool = False,
        per_word: bool = False,
    ) -> EncodedTexts:
        """Encode texts, tokenized or not, truncated to `max_length` tokens each.

        With `pairs`, the first and the second text of each pair come in turn. With `per_word`, each
        word has a label.
        """
        first = None
        if per_word:
            if not isinstance(texts, TokenizedTexts):
                texts = tokenize_texts(texts, vocab.tokenizer)
            if texts.first is not None and labels is not None:
                first = torch.from_numpy(texts.first)
                labels = labels.new_full((len(first),), IGNORED).masked_scatter(first, labels)
        ids, offsets = vocab.encode(texts)
        lengths = torch.diff(offsets, append=torch.tensor([len(ids)]))
        if max_length is not None:
            lengths = lengths.clamp(max=max_length)
        encoded = cls(ids, offsets, lengths, labels, first=first)
        return encoded.paired() if pairs else encoded

    def paired(self) -> EncodedTexts:
        """Return these texts, of which each two that follow each other are a pair, as pairs."""
        ids = self.ids[torch.from_numpy(self.positions(torch.arange(len(self))))]
        halves = self.lengths.view(-1, 2)
        lengths = halves.sum(dim=1)
        return EncodedTexts(ids, lengths.cumsum(0) - lengths, lengths, self.labels, halves)

    def __len__(self) -> int:
        return len(self.offsets)

    def packed(self, texts: torch.Tensor | slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a batch of texts, given by their indices or as a slice, without padding.

        A slice of texts that are not truncated is not copied.

        Returns:
            Ids `(N,)`, one text after the other, and lengths `(B,)`, which may be 0. For pairs
            these are `(2B,)`, those of the first and the second text of each pair in turn.
        """
        sizes = self.lengths if self.halves is None else self.halves
        if isinstance(texts, slice):
            starts, lengths = self.offsets[texts].numpy(), self.lengths[texts].numpy()
            if len(starts) and (starts[1:] == starts[:-1] + lengths[:-1]).all():
                end = int(starts[-1] + lengths[-1])
                return self.ids[int(starts[0]) : end], sizes[texts].flatten()
            texts = torch.arange(len(self))[texts]
        ids = torch.from_numpy(self.ids.numpy()[self.positions(texts)])
        return ids, sizes.index_select(0, texts).flatten()

    def positions(self, texts: torch.Tensor) -> npt.NDArray[np.int64]:
        """Return the positions in `ids` of the tokens of a batch, one text after the other."""
        lengths = self.lengths.index_select(0, texts).numpy()
        ends = lengths.cumsum()
        shift = self.offsets.index_select(0, texts).numpy() - (ends - lengths)
        positions: npt.NDArray[np.int64] = np.arange(lengths.sum())
        positions += shift.repeat(lengths)
        return positions

    def padded(self, texts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return a batch of texts, given by their indices, with padding.

        Returns:
            Ids `(B, L)`, padded with 0 to the longest, and lengths `(B,)`. An empty text is one
            position of padding: every length is 1 or more, as packed sequences need.
        """
        tokens, lengths = self.packed(texts)
        is_token = np.arange(max(1, int(lengths.max()))) < lengths.numpy()[:, None]
        ids = np.full(is_token.shape, PAD_ID)
        ids[is_token] = tokens.numpy()
        return torch.from_numpy(ids), lengths.clamp(min=1)


def encode(dataset: Dataset, vocab: Vocabulary, column: str = "text") -> Dataset:
    """Return a data set with a new column `ids`, the ids of each text's tokens.

    Args:
        dataset: one split.
        vocab: the vocabulary.
        column: the column of texts or of lists of tokens.

    Raises:
        DataError: the column is missing, or an example has no text.

    Example:
        >>> import datasets
        >>> rows = datasets.Dataset.from_dict({"text": ["good film", "bad"], "label": [1, 0]})
        >>> vocab = fe.Vocabulary.from_dataset(rows, "text")
        >>> fe.encode(rows, vocab)[1]["ids"]
        [2]
    """
    ids, offsets = vocab.encode(texts_of(dataset, column, "the data set"))
    bounds = [*offsets.tolist(), len(ids)]
    flat = ids.tolist()
    encoded: Dataset = dataset.add_column("ids", [flat[a:b] for a, b in pairwise(bounds)])
    return encoded


def collate_padded(
    examples: Sequence[Mapping[str, Any]], padding_idx: int = PAD_ID
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return encoded examples as padded ids `(B, L)`, lengths `(B,)` and labels `(B,)`.

    An empty text is one position of padding: every length is 1 or more, as packed sequences need.

    Args:
        examples: the examples, with `ids` and `label`.
        padding_idx: the id of padding, for a vocabulary of given ids:
            `functools.partial(collate_padded, padding_idx=vocab.padding_idx)`.

    Example:
        >>> import datasets
        >>> rows = datasets.Dataset.from_dict({"text": ["good film", "bad"], "label": [1, 0]})
        >>> vocab = fe.Vocabulary.from_dataset(rows, "text")
        >>> ids, lengths, labels = fe.collate_padded(list(fe.encode(rows, vocab)))
        >>> ids.tolist(), lengths.tolist(), labels.tolist()
        ([[4, 3], [2, 0]], [2, 1], [1, 0])
    """
    texts = [torch.as_tensor(example["ids"], dtype=torch.int64) for example in examples]
    texts = [text if len(text) else torch.tensor([padding_idx]) for text in texts]
    ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True, padding_value=padding_idx)
    lengths = torch.tensor([len(text) for text in texts])
    return ids, lengths, torch.tensor([example["label"] for example in examples])


def collate_bag(
    examples: Sequence[Mapping[str, Any]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return encoded examples for `nn.EmbeddingBag`: ids `(N,)`, offsets `(B,)`, labels `(B,)`.

    An empty text is an empty bag.

    Example:
        >>> import datasets
        >>> rows = datasets.Dataset.from_dict({"text": ["good film", "bad"], "label": [1, 0]})
        >>> vocab = fe.Vocabulary.from_dataset(rows, "text")
        >>> ids, offsets, labels = fe.collate_bag(list(fe.encode(rows, vocab)))
        >>> ids.tolist(), offsets.tolist(), labels.tolist()
        ([4, 3, 2], [0, 2], [1, 0])
    """
    ids, lengths, labels = collate_packed(examples)
    return ids, lengths.cumsum(0) - lengths, labels


def collate_packed(
    examples: Sequence[Mapping[str, Any]],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return encoded examples one after the other: ids `(N,)`, lengths `(B,)` and labels `(B,)`.

    The length of an empty text is 0.

    Example:
        >>> import datasets
        >>> rows = datasets.Dataset.from_dict({"text": ["good film", "bad"], "label": [1, 0]})
        >>> vocab = fe.Vocabulary.from_dataset(rows, "text")
        >>> ids, lengths, labels = fe.collate_packed(list(fe.encode(rows, vocab)))
        >>> ids.tolist(), lengths.tolist(), labels.tolist()
        ([4, 3, 2], [2, 1], [1, 0])
    """
    texts = [torch.as_tensor(example["ids"], dtype=torch.int64) for example in examples]
    lengths = torch.tensor([len(text) for text in texts])
    return torch.cat(texts), lengths, torch.tensor([example["label"] for example in examples])
