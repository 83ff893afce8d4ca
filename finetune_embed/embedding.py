"""The bridge: a table becomes a plain `torch.nn.Embedding`, and a tuned one becomes a table."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .errors import VocabularyError
from .lookup import StartValue, rows_for
from .table import EmbeddingTable, Origin, Vectors
from .vocabulary import PAD, UNK, Vocabulary

__all__ = ["to_embedding", "to_table"]


def to_embedding(
    table: EmbeddingTable,
    vocab: Vocabulary,
    *,
    oov: StartValue = "normal",
    seed: int = 0,
    sparse: bool = False,
) -> nn.Embedding:
    """Return a plain, trainable `nn.Embedding` of a vocabulary's rows, a copy of the table's.

    Args:
        table: the pretrained vectors `(rows, D)`.
        vocab: the vocabulary; id `i` becomes row `i`.
        oov: where words that the table lacks start: `normal` (matched to the table's mean and
            standard deviation), `mean`, `zeros`, or a function of the word.
        seed: of the random start values.
        sparse: whether gradients are row-sparse. `RowAdamW` takes both; of torch's optimizers
            only SGD, SparseAdam and Adagrad take sparse ones.

    Returns:
        An embedding `(len(vocab), D)` with `padding_idx` set. The padding row is zero and stays
        zero; the row of `<unk>` starts at zero unless the table has one.

    Raises:
        VocabularyError: a row of the table is not finite, or a start value is of another shape.
    """
    specials, words = vocab.index_to_key[:2], vocab.index_to_key[2:]
    vectors = np.zeros((len(vocab), table.vector_size), np.float32)
    vectors[2:], _ = rows_for(table, words, oov, seed)
    vectors[:2], _ = rows_for(table, specials, "zeros")
    vectors[vocab.padding_idx] = 0
    embedding = nn.Embedding(
        len(vocab),
        table.vector_size,
        padding_idx=vocab.padding_idx,
        sparse=sparse,
        _weight=torch.from_numpy(vectors),
    )
    return embedding


def to_table(
    embedding: nn.Embedding | torch.Tensor, vocab: Vocabulary, like: EmbeddingTable
) -> EmbeddingTable:
    """Return a table with the tuned rows of an embedding in the place of the ones it started from.

    Args:
        embedding: an embedding or its weight, `(len(vocab), D)`.
        vocab: the vocabulary it was made with.
        like: the table it was made from. Its words keep their order, and its other rows are
            carried over bit for bit; words it lacks follow in the order of their ids. `<unk>` is
            exported only where `like` has a word of that name, `<pad>` never.

    Returns:
        A new table; its `origin` tells pretrained, tuned and new rows apart.

    Raises:
        VocabularyError: the shapes don't agree.
    """
    weight = embedding if isinstance(embedding, torch.Tensor) else embedding.weight
    rows: Vectors = weight.detach().to("cpu", torch.float32).numpy()
    if rows.shape != (len(vocab), like.vector_size):
        raise VocabularyError(
            f"the embedding has the shape {rows.shape}; vocabulary and table need "
            f"({len(vocab)}, {like.vector_size}); pass the vocabulary it was made with"
        )
    at = like.rows_of(vocab.index_to_key)
    at[vocab.padding_idx] = -1
    new = [i for i, word in enumerate(vocab.index_to_key) if at[i] < 0 and word not in (PAD, UNK)]
    vectors = np.empty((len(like) + len(new), like.vector_size), np.float32)
    vectors[: len(like)] = like.vectors
    vectors[len(like) :] = rows[new]
    origin = np.full(len(vectors), Origin.NEW, np.uint8)
    origin[: len(like)] = like.origin
    known = np.flatnonzero(at >= 0)
    moved = known[(_bits(vectors[at[known]]) != _bits(rows[known])).any(axis=1)]
    vectors[at[moved]] = rows[moved]
    origin[at[moved]] = Origin.TUNED
    words = like.index_to_key + [vocab.index_to_key[i] for i in new]
    return EmbeddingTable(words, vectors, like.metadata, origin)


def _bits(vectors: Vectors) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return np.ascontiguousarray(vectors).view(np.uint32)
