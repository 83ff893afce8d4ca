"""A model that looks words up in a whole table, also those that its vocabulary lacks.

Training holds the rows of the training vocabulary only. For a text, the rows of its words are put
in the place of the model's table for one forward pass, so that any row of the tuned table counts
and a table of any size stays on disk. A word that neither has is looked up by the fallback chain of
the run, but for `subwords`: the rows of subwords are no part of a run, and what is measured must be
what is exported.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.func import functional_call

from ..data import EncodedTexts, split_by_words
from ..table import EmbeddingTable
from ..vocabulary import Found, Vocabulary, check_finite, follow, without_subwords
from .tasks import real_positions

__all__ = ["UnseenRows", "forward_all", "table_path", "unseen_rows"]

#: The most texts in a batch, and the most words with their padding; a longer text goes by itself.
BATCH, TOKENS = 512, 1 << 16


def table_path(model: nn.Module, embedding: nn.Module) -> str:
    """Return the dotted name of an embedding's weight in a model."""
    return next(
        name for name, parameter in model.named_parameters() if parameter is embedding.weight
    )


@dataclass(frozen=True)
class UnseenRows:
    """Rows of words that a vocabulary lacks, behind the `V` rows of its own words.

    Attributes:
        ids: int64 `(W,)`, the id whose row a word takes: one of the vocabulary, where the word was
            found under another form of itself; else -1.
        rows: `(W, D)`, the row of a word found in the table alone; zeros for the others.
    """

    ids: torch.Tensor
    rows: torch.Tensor

    def after(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the rows `(V + W, D)` of a vocabulary's weight `(V, D)` and of further words."""
        joined, own = torch.cat([weight, self.rows.to(weight)]), self.ids >= 0
        joined[len(weight) :][own.to(weight.device)] = weight[self.ids[own].to(weight.device)]
        return joined


def _look_up(
    words: Sequence[str], table: EmbeddingTable, vocab: Vocabulary, fallback: Sequence[str]
) -> Found:
    """Look words up in a vocabulary and in a table of which some rows were tuned as its words.

    Returns:
        How each word was found. Its `row` is an id of the vocabulary; or, from `len(vocab)` on, a
        row of the table.
    """

    def rows_of(forms: Sequence[str]) -> npt.NDArray[np.int64]:
        rows = table.rows_of(forms)
        ids = np.fromiter(map(vocab.key_to_index.get, forms, repeat(-1)), np.int64, len(forms))
        known = (ids > vocab.unk_idx) | ((ids == vocab.unk_idx) & (rows >= 0))
        return np.where(known, ids, np.where(rows >= 0, len(vocab) + rows, -1))

    return follow(words, without_subwords(fallback), rows_of)


def unseen_rows(
    table: EmbeddingTable, vocab: Vocabulary, words: Iterable[str], fallback: Sequence[str] = ()
) -> tuple[Vocabulary, UnseenRows]:
    """Return a vocabulary extended by the words of texts that only the table has, and their rows.

    Args:
        table: the table to look words up in.
        vocab: the vocabulary whose rows the model has.
        words: the words of the texts to come, as `cut` gives them.
        fallback: the steps to take for words that neither has.

    Returns:
        The vocabulary, whose first ids are those of `vocab`, and the rows of the further ones.

    Raises:
        VocabularyError: a row of the table has values that are not finite.
    """
    known = vocab.key_to_index
    words = [word for word in dict.fromkeys(words) if word not in known]
    row = _look_up(words, table, vocab, fallback).row
    unseen = [words[at] for at in np.flatnonzero(row >= 0).tolist()]
    row = row[row >= 0]
    rows = np.zeros((len(row), table.vector_size), np.float32)
    in_table = np.flatnonzero(row >= len(vocab))
    rows[in_table] = table.rows(row[in_table] - len(vocab))
    check_finite(rows, unseen, row - len(vocab))
    ids = torch.from_numpy(np.where(row < len(vocab), row, -1))
    return vocab.extended(unseen), UnseenRows(ids, torch.from_numpy(rows))


@torch.no_grad()
def forward_all(
    model: nn.Module, path: str, weight: torch.Tensor, data: EncodedTexts
) -> torch.Tensor:
    """Return the logits `(texts, C)` of a model with `weight` in the place of its table.

    Of a tagger, the logits `(N, C)` of the words of all texts, one text after the other.

    Texts of like length are taken together, so that a long one does not pad many short ones.

    Args:
        model: called as `model(ids, lengths)`: with ids `(B, L)`, or, if it has an attribute
            `packed` that is true, with ids `(N,)`, the texts one after the other without padding.
        path: the name of the table's weight in the model.
        weight: `(rows, D)`, the rows that the ids of `data` mean.
        data: encoded texts.
    """
    training = model.training
    model.eval()
    packed = bool(getattr(model, "packed", False))
    shortest_first = data.lengths.argsort(stable=True)
    batches = split_by_words(shortest_first, data.lengths, TOKENS, not packed, BATCH)
    parts = []
    for rows in batches:
        ids, lengths = data.packed(rows) if packed else data.padded(rows)
        inputs = (ids.to(weight.device), lengths.to(weight.device))
        logits = functional_call(model, {path: weight}, inputs).float().cpu()
        parts.append(real_positions(logits, data.lengths[rows]) if logits.dim() == 3 else logits)
    model.train(training)
    order, joined = torch.cat(batches), torch.cat(parts)
    if logits.dim() < 3:
        return joined[order.argsort()]
    texts = joined.split(data.lengths[order].tolist())
    return torch.cat([texts[at] for at in order.argsort().tolist()])
