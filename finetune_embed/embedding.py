"""The bridge: a table becomes a plain `torch.nn.Embedding`, and a tuned one becomes a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from .errors import VocabularyError
from .table import EmbeddingTable, Origin, Vectors
from .vocabulary import (
    PAD,
    UNK,
    Found,
    StartValue,
    Vocabulary,
    find,
    rows_for,
    rows_found,
    special_vector,
)

__all__ = ["FixedRows", "embedding_of", "to_embedding", "to_table"]


def to_embedding(
    table: EmbeddingTable,
    vocab: Vocabulary,
    *,
    oov: StartValue = "normal",
    seed: int = 0,
    sparse: bool = False,
    fallback: Sequence[str] = (),
) -> nn.Embedding:
    """Return a plain, trainable `nn.Embedding` of a vocabulary's rows, a copy of the table's.

    Args:
        table: the pretrained vectors `(rows, D)`.
        vocab: the vocabulary; id `i` becomes row `i`.
        oov: where words that are not found start: `normal` (matched to the table's mean and
            standard deviation), `mean`, `zeros`, `subwords` (composed, where the table comes from
            a file with rows of subwords), or a function of the word.
        seed: of the random start values.
        sparse: whether gradients are row-sparse. `RowAdamW` takes both; of torch's optimizers
            only SGD, SparseAdam and Adagrad take sparse ones.
        fallback: under which other forms to look up words that the table lacks, such as
            `("lower", "digits_zero")`; the steps are those of `finetune_embed.fallback`. Each word
            gets a row of its own, which starts at the row of the form that was found.

    Returns:
        An embedding `(len(vocab), D)` with `padding_idx` set. The padding row is zero and stays
        zero, unless an output layer that shares the weight gives it a gradient. The row of `<unk>`
        starts at zero unless the table has one. Special tokens start as they say; those that don't
        train are held by a hook on the weight, see `FixedRows`.

    Raises:
        VocabularyError: a row of the table is not finite, a start value is of another shape, or a
            step is unknown or needs rows of subwords that the table does not have.
    """
    found = find(table, vocab.words, fallback)
    return embedding_of(table, vocab, found, oov=oov, seed=seed, sparse=sparse)


def embedding_of(
    table: EmbeddingTable,
    vocab: Vocabulary,
    found: Found,
    *,
    oov: StartValue,
    seed: int,
    sparse: bool,
) -> nn.Embedding:
    """Return what `to_embedding` returns, for words that were looked up."""
    vectors = np.zeros((len(vocab), table.vector_size), np.float32)
    vectors[vocab.first_word :] = rows_found(table, vocab.words, found, oov, seed)
    vectors[vocab.unk_idx] = rows_for(table, [UNK], "zeros")[0][0]
    for number, special in enumerate(vocab.specials, 1):
        at = vocab.key_to_index[special.token]
        vectors[at] = special_vector(table, special, (seed, number))
    embedding = nn.Embedding(
        len(vocab),
        table.vector_size,
        padding_idx=vocab.padding_idx,
        sparse=sparse,
        _weight=torch.from_numpy(vectors),
    )
    pretrained = np.zeros(len(vocab), bool)
    pretrained[vocab.first_word :] = found.any
    pretrained[vocab.unk_idx] = UNK in table
    # A plain attribute, for `TrainRows(oov=True)`; torch declares none, hence `vars`.
    vars(embedding.weight)["pretrained"] = torch.from_numpy(pretrained)
    fixed = [vocab.key_to_index[one.token] for one in vocab.specials if not one.trainable]
    if fixed:
        held = FixedRows(fixed, len(vocab))
        vars(embedding)["fixed_rows"] = held
        held.attach(embedding.get_parameter("weight"))
    return embedding


class FixedRows:
    """Keeps rows of a weight as they are, whichever optimizer steps it: their gradient is zero.

    An optimizer moves a row whose gradient was always zero by weight decay only, and the groups of
    `strategy.param_groups` have none for a table. For `RowAdamW` such a row is in no batch.

    The hook is on the weight; this object is also on the module, as `fixed_rows`, so that
    `param_groups` can put the hook on the weight of a copied or unpickled module again.

    Args:
        rows: the rows that stay.
        size: the rows `V` of the weight.
    """

    def __init__(self, rows: Sequence[int], size: int) -> None:
        self.mask = torch.zeros(size, dtype=torch.bool)
        self.mask[list(rows)] = True

    def attach(self, weight: nn.Parameter) -> None:
        """Put the hook on a weight `(V, D)` that does not have it yet."""
        hooks = getattr(weight, "_backward_hooks", None) or {}
        if any(isinstance(hook, FixedRows) for hook in hooks.values()):
            return
        is_open = weight.requires_grad
        weight.requires_grad_(True)  # torch takes no hook on a frozen weight
        weight.register_hook(self)
        weight.requires_grad_(is_open)

    def __call__(self, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient `(V, D)`, dense or sparse, with zeros in the rows that stay."""
        mask = self.mask.to(grad.device)
        if not grad.is_sparse:
            return grad.masked_fill(mask[:, None], 0)
        ids, values = grad._indices(), grad._values()
        values = values.masked_fill(mask[ids[0]][:, None], 0)
        return torch.sparse_coo_tensor(
            ids, values, grad.shape, is_coalesced=grad.is_coalesced(), check_invariants=False
        )


def to_table(
    embedding: nn.Embedding | torch.Tensor, vocab: Vocabulary, like: EmbeddingTable
) -> EmbeddingTable:
    """Return a table with the tuned rows of an embedding in the place of the ones it started from.

    Args:
        embedding: an embedding or its weight, `(len(vocab), D)`.
        vocab: the vocabulary it was made with.
        like: the table it was made from. Its words keep their order, and its other rows are
            carried over bit for bit; words it lacks follow in the order of their ids, also those
            that started from another form of themselves. `<unk>` is exported only where `like` has
            a word of that name, `<pad>` never; other special tokens are words like any.

    Returns:
        A new table; its `origin` tells pretrained, tuned and new rows apart. Of a table opened in
        place it shares the rows that did not move, so that the whole is never in memory unless its
        `vectors` are asked for.

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
    lacking = np.flatnonzero(at < 0).tolist()
    new = [i for i in lacking if vocab.index_to_key[i] not in (PAD, UNK)]
    known = np.flatnonzero(at >= 0)
    moved = known[(_bits(like.rows(at[known])) != _bits(rows[known])).any(axis=1)]
    origin = np.full(len(like) + len(new), Origin.NEW, np.uint8)
    origin[: len(like)] = like.origin
    origin[at[moved]] = Origin.TUNED
    words = [vocab.index_to_key[i] for i in new]
    return like.revised(at[moved], rows[[*moved.tolist(), *new]], words, origin)


def _bits(vectors: Vectors) -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    return np.ascontiguousarray(vectors).view(np.uint32)
