"""A model that looks words up in a whole table, also those that its vocabulary lacks.

Training holds the rows of the training vocabulary only. For a text, the rows of its words are put
in the place of the model's table for one forward pass, so that any row of the tuned table counts
and a table of any size stays on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from ..data import EncodedTexts
from ..lookup import rows_for
from ..table import EmbeddingTable
from ..vocabulary import Vocabulary

__all__ = ["forward_all", "further_rows", "scores", "table_path"]

#: The most texts in a batch, and the most words with padding, but for a longer text by itself.
BATCH, TOKENS = 512, 1 << 16


def table_path(model: nn.Module, embedding: nn.Module) -> str:
    """Return the dotted name of an embedding's weight in a model."""
    return next(
        name for name, parameter in model.named_parameters() if parameter is embedding.weight
    )


def further_rows(
    table: EmbeddingTable, vocab: Vocabulary, texts: list[Any]
) -> tuple[Vocabulary, torch.Tensor]:
    """Return a vocabulary extended by the words of texts that only the table has, and their rows.

    Args:
        table: the table to look words up in.
        vocab: the vocabulary whose rows the model has, `(V, D)`.
        texts: the texts to come.

    Returns:
        The vocabulary, whose first ids are those of `vocab`, and the further rows `(W, D)`.
    """
    unseen = dict.fromkeys(
        word
        for words in vocab.words_of(texts)
        for word in words
        if word not in vocab and word in table
    )
    rows, _ = rows_for(table, list(unseen))
    return vocab.extended(unseen), torch.from_numpy(rows)


@torch.no_grad()
def forward_all(
    model: nn.Module, path: str, weight: torch.Tensor, data: EncodedTexts
) -> torch.Tensor:
    """Return the logits `(texts, C)` of a model with `weight` in the place of its table.

    Texts of like length are taken together, so that a long one does not pad many short ones.

    Args:
        model: called as `model(ids, lengths)`.
        path: the name of the table's weight in the model.
        weight: `(rows, D)`, the rows that the ids of `data` mean.
        data: encoded texts.
    """
    training = model.training
    model.eval()
    parts = []
    batches = _batches(data.lengths)
    for rows in batches:
        ids, lengths = data.padded(rows)
        inputs = (ids.to(weight.device), lengths.to(weight.device))
        parts.append(functional_call(model, {path: weight}, inputs).float().cpu())
    model.train(training)
    return torch.cat(parts)[torch.cat(batches).argsort()]


def _batches(lengths: torch.Tensor) -> list[torch.Tensor]:
    """Return the row numbers of each batch, shortest texts first."""
    order = lengths.argsort(stable=True)
    starts = [0]
    for end, length in enumerate(lengths[order].tolist()):
        size = end + 1 - starts[-1]  # with this text, the longest so far
        if size > 1 and (size > BATCH or size * length > TOKENS):
            starts.append(end)
    return list(torch.tensor_split(order, starts[1:]))


def scores(
    logits: torch.Tensor,
    labels: torch.Tensor,
    loss_fn: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> dict[str, float]:
    """Return accuracy and mean loss of logits `(texts, C)` for class numbers `(texts,)`."""
    right = (logits.argmax(dim=1) == labels).double().mean()
    return {"accuracy": right.item(), "loss": loss_fn(logits, labels).item()}
