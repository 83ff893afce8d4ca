"""Inference with every row of a table, not only those of the training vocabulary.

A model holds the rows of the training vocabulary. For a forward pass, the rows of other words in
the texts are appended: every row of the tuned table counts, and a table of any size stays on disk.
A word that neither has is looked up by the run's fallback chain, except by `subwords`: the rows of
subwords are not part of a run, and what is evaluated must be what is exported.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..data import MOST_PADDED, EncodedTexts, split_by_tokens
from ..table import EmbeddingTable
from ..vocabulary import (
    UNK_ID,
    Vocabulary,
    apply_fallback,
    check_finite,
    without_subwords,
)
from .tasks import real_positions

__all__ = [
    "UnseenRows",
    "forward_all",
    "lock_of",
    "look_up_both",
    "table_path",
    "unseen_rows",
    "weight_of",
]

#: The most texts in a batch, and the most tokens with padding; a longer text is a batch of its own.
BATCH, TOKENS = 512, MOST_PADDED
#: The most texts and tokens in a batch of a head of ours without padding, whose work grows with the
#: different words.
PACKED_BATCH, PACKED_TOKENS = 16 * BATCH, 2 * MOST_PADDED
_LOCKS: WeakKeyDictionary[nn.Module, threading.RLock] = WeakKeyDictionary()
_LOCK = threading.Lock()


def table_path(model: nn.Module, embedding: nn.Module) -> str:
    """Return the dotted name of an embedding's weight in a model."""
    return next(
        name for name, parameter in model.named_parameters() if parameter is embedding.weight
    )


@dataclass(frozen=True)
class UnseenRows:
    """Rows of `W` words that a vocabulary lacks.

    Attributes:
        ids: int64 `(W,)`, the id of the vocabulary whose row a word uses, where another form of it
            is in the vocabulary; else -1.
        rows: `(W, D)`, the row of a word that only the table has; zeros for the others.
    """

    ids: torch.Tensor
    rows: torch.Tensor

    def after(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the rows `(V + W, D)` of a vocabulary's weight `(V, D)`, then of these words."""
        joined, own = torch.cat([weight, self.rows.to(weight)]), self.ids >= 0
        joined[len(weight) :][own.to(weight.device)] = weight[self.ids[own].to(weight.device)]
        return joined


def look_up_both(
    words: Sequence[str], table: EmbeddingTable, vocab: Vocabulary, fallback: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Look words up in a vocabulary, then in the table that its rows belong to.

    Returns:
        The row of each word, -1 for none. One below `len(vocab)` is an id of the vocabulary; from
        there on it is `len(vocab)` plus a row of the table.
    """

    def rows_of(forms: Sequence[str]) -> npt.NDArray[np.int64]:
        rows = table.rows_of(forms)
        in_table = rows >= 0
        rows[in_table] += len(vocab)
        ids = np.fromiter(map(vocab.key_to_index.get, forms, repeat(-1)), np.int64, len(forms))
        known = ids > UNK_ID - in_table  # `<unk>` is a word only if the table has it
        rows[known] = ids[known]
        return rows

    steps = without_subwords(fallback)
    return apply_fallback(words, steps, rows_of).rows if steps else rows_of(words)


def unseen_rows(
    table: EmbeddingTable, vocab: Vocabulary, words: Iterable[str], fallback: Sequence[str] = ()
) -> tuple[Vocabulary, UnseenRows]:
    """Return a vocabulary extended by words that only the table has, and their rows.

    Args:
        table: the table to look words up in.
        vocab: the vocabulary whose rows the model has.
        words: the words of the texts.
        fallback: the steps of the fallback chain, for words that neither has.

    Returns:
        The vocabulary, whose first ids are those of `vocab`, and the rows of the added ids.

    Raises:
        VocabularyError: a row of the table has values that are not finite.
    """
    known = vocab.key_to_index
    words = [word for word in dict.fromkeys(words) if word not in known]
    row = look_up_both(words, table, vocab, fallback)
    unseen = [words[at] for at in np.flatnonzero(row >= 0).tolist()]
    row = row[row >= 0]
    rows = np.zeros((len(row), table.vector_size), np.float32)
    in_table = np.flatnonzero(row >= len(vocab))
    rows[in_table] = table.rows(row[in_table] - len(vocab))
    check_finite(rows, unseen, row - len(vocab))
    ids = torch.from_numpy(np.where(row < len(vocab), row, -1))
    return vocab.extended(unseen), UnseenRows(ids, torch.from_numpy(rows))


def lock_of(model: nn.Module) -> threading.RLock:
    """Return what whoever runs a model or copies it holds: its table is exchanged during a pass."""
    with _LOCK:
        return _LOCKS.get(model) or _LOCKS.setdefault(model, threading.RLock())


def weight_of(model: nn.Module, path: str) -> nn.Parameter:
    """Return the weight of a model's table, by its name, also while other threads run the model."""
    with lock_of(model):
        weight: nn.Parameter = attrgetter(path)(model)
        return weight


@contextlib.contextmanager
def _evaluating(model: nn.Module, path: str, weight: torch.Tensor) -> Iterator[None]:
    """Put a model in evaluation mode, with other rows in its table, and put back what it had."""
    table = attrgetter(path)(model)
    training: list[nn.Module] = []
    places: list[tuple[dict[str, nn.Parameter | None], str]] = []
    modules = [model]
    for module in modules:  # `model.modules()` takes several times as long
        modules += [one for one in module._modules.values() if one is not None]
        if module.training:
            training.append(module)
        for name, parameter in module._parameters.items():
            if parameter is table:
                places.append((module._parameters, name))
    try:
        for module in training:
            module.training = False
        for parameters, name in places:
            parameters[name] = weight  # type: ignore[assignment]  # as torch.func does
        yield
    finally:
        for parameters, name in places:
            parameters[name] = table
        for module in training:
            module.training = True


@torch.no_grad()
def forward_all(
    model: nn.Module, path: str, weight: torch.Tensor, data: EncodedTexts
) -> torch.Tensor:
    """Return the logits `(texts, C)` of a model with `weight` instead of its table.

    For a tagger, return the logits `(N, C)` of the words of all texts, one text after the other.
    Padded texts of similar length form a batch, so that a long one does not pad many short ones.

    Args:
        model: called as `model(ids, lengths)`, with ids `(B, L)`; or, if its attribute `packed` is
            true, with ids `(N,)`, the texts one after the other without padding.
        path: the name of the table's weight in the model.
        weight: `(rows, D)`, the rows that the ids of `data` index.
        data: the encoded texts.
    """
    packed = bool(getattr(model, "packed", False))
    order = torch.arange(len(data)) if packed else data.lengths.argsort(stable=True)
    batches = [order]
    if len(data) > 1:
        is_ours = hasattr(model, "from_rows")
        most, size = (PACKED_TOKENS, PACKED_BATCH) if is_ours else (TOKENS, BATCH)
        batches = split_by_tokens(order, data.lengths, most, not packed, size)
    parts = []
    with lock_of(model), _evaluating(model, path, weight):
        for rows in batches:
            if packed:
                ids, lengths = data.packed(slice(int(rows[0]), int(rows[-1]) + 1))
            else:
                ids, lengths = data.padded(rows)
            logits = model(ids.to(weight.device), lengths.to(weight.device)).float().cpu()
            is_tagger = logits.dim() == 3
            parts.append(real_positions(logits, data.lengths[rows]) if is_tagger else logits)
    if len(parts) == 1 and (packed or len(data) == 1):
        return parts[0]
    joined = torch.cat(parts)
    if packed:
        return joined
    if logits.dim() < 3:
        return joined[order.argsort()]
    texts = joined.split(data.lengths[order].tolist())
    return torch.cat([texts[at] for at in order.argsort().tolist()])
