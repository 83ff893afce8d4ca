"""From a table to a plain `torch.nn.Embedding`, and from a tuned embedding back to a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from .errors import VocabularyError
from .table import EmbeddingTable, Origin, Vectors, differing
from .vocabulary import (
    UNK,
    LookupResult,
    StartValue,
    Vocabulary,
    check_vocabulary,
    look_up,
    look_up_vectors,
    special_vector,
    vectors_for,
)

__all__ = ["FixedRows", "embedding_from_lookup", "to_embedding", "to_table"]


def to_embedding(
    table: EmbeddingTable,
    vocab: Vocabulary,
    *,
    oov: StartValue = "normal",
    seed: int = 0,
    sparse: bool = False,
    fallback: Sequence[str] = (),
) -> nn.Embedding:
    """Return a plain, trainable `nn.Embedding` of a vocabulary's rows, copied from a table.

    Args:
        table: the pretrained vectors `(rows, D)`.
        vocab: the vocabulary, also one of `Vocabulary.from_ids`; row `i` of the embedding belongs
            to id `i`.
        oov: where words that are not found start: `normal` (matches the table's mean and standard
            deviation), `mean`, `zeros`, `subwords` (composed, if the table comes from a file with
            subword vectors), or a function of the word.
        seed: the seed of random start values.
        sparse: whether gradients are row-sparse. `RowAdamW` accepts both kinds; of torch's
            optimizers only SGD, SparseAdam and Adagrad accept sparse ones.
        fallback: the forms under which to look up words that the table lacks, such as
            `("lower", "digits_zero")`; for the steps, see `finetune_embed.vocabulary.fallback`.
            Each word gets its own row, which starts at the row of the form that was found.

    Returns:
        An embedding `(len(vocab), D)` with `padding_idx` set. The padding row is zero and stays
        zero, unless an output layer that shares the weight gives it a gradient. The row of `<unk>`
        starts at zero unless the table has one. Special tokens start as they say; a hook on the
        weight keeps those that don't train fixed, see `FixedRows`.

    Raises:
        VocabularyError: a row of the table is not finite, a start value has another shape, or a
            step is unknown or needs subword vectors that the table does not have.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> vocab = fe.Vocabulary.from_texts(["a good film", "a bad film"])
        >>> embedding = fe.to_embedding(table, vocab)
        >>> embedding
        Embedding(6, 2, padding_idx=0)
        >>> embedding.weight[vocab.key_to_index["bad"]].tolist()
        [0.0, 1.0]
    """
    check_vocabulary(vocab)
    lookup = look_up(table, vocab.words, fallback)
    return embedding_from_lookup(table, vocab, lookup, oov=oov, seed=seed, sparse=sparse)


def embedding_from_lookup(
    table: EmbeddingTable,
    vocab: Vocabulary,
    lookup: LookupResult,
    *,
    oov: StartValue,
    seed: int,
    sparse: bool,
) -> nn.Embedding:
    """Return what `to_embedding` returns, for words that were looked up."""
    vectors = np.zeros((len(vocab), table.vector_size), np.float32)
    vectors[vocab.word_ids] = vectors_for(table, vocab.words, lookup, oov, seed)
    unk = _unknown_in(table, vocab)
    if vocab.unk_idx is not None and unk is not None:
        vectors[vocab.unk_idx] = look_up_vectors(table, [unk], "zeros")[0][0]
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
    pretrained[vocab.word_ids] = lookup.is_found
    if vocab.unk_idx is not None:
        pretrained[vocab.unk_idx] = unk is not None
    # A plain attribute, for `TrainRows(oov=True)`; torch declares none, hence `vars`.
    vars(embedding.weight)["pretrained"] = torch.from_numpy(pretrained)
    fixed = [vocab.key_to_index[one.token] for one in vocab.specials if not one.trainable]
    if fixed:
        fixed_rows = FixedRows(fixed, len(vocab))
        vars(embedding)["fixed_rows"] = fixed_rows
        fixed_rows.attach(embedding.get_parameter("weight"))
    return embedding


def _unknown_in(table: EmbeddingTable, vocab: Vocabulary) -> str | None:
    """Return the word of a table that stands for unknown tokens, None if it has none."""
    if vocab.unk_idx is None:
        return None
    own = vocab.index_to_key[vocab.unk_idx]
    return next((name for name in (own, UNK) if name in table), None)


class FixedRows:
    """A hook that keeps rows of a weight fixed with any optimizer: it zeroes their gradient.

    An optimizer moves a row whose gradient is always zero by weight decay only, and the groups of
    `strategy.param_groups` have none for a table. `RowAdamW` does not see such a row in any batch.

    The hook is on the weight. This object is also on the module, as `fixed_rows`, so that
    `param_groups` can put the hook back on the weight of a copied or unpickled module.

    Args:
        rows: the rows to keep fixed.
        size: the number `V` of rows of the weight.
    """

    def __init__(self, rows: Sequence[int], size: int) -> None:
        self.mask = torch.zeros(size, dtype=torch.bool)
        self.mask[list(rows)] = True

    def attach(self, weight: nn.Parameter) -> None:
        """Put the hook on a weight `(V, D)`, unless it is already there."""
        hooks = getattr(weight, "_backward_hooks", None) or {}
        if any(isinstance(hook, FixedRows) for hook in hooks.values()):
            return
        is_open = weight.requires_grad
        weight.requires_grad_(True)  # torch takes no hook on a frozen weight
        weight.register_hook(self)
        weight.requires_grad_(is_open)

    def __call__(self, grad: torch.Tensor) -> torch.Tensor:
        """Return the gradient `(V, D)`, dense or sparse, with zeros in the fixed rows."""
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
    """Return a table with the rows of a tuned embedding.

    Args:
        embedding: an embedding or its weight, `(len(vocab), D)`.
        vocab: the vocabulary from which it was made.
        like: the table from which it was made. Its words keep their order, and rows that are not in
            the vocabulary stay bit-identical. Words that it lacks follow in the order of their ids,
            including those that started from another form of themselves. `<unk>` is exported only
            if `like` has a word of that name, `<pad>` never; other special tokens are exported like
            words.

    Returns:
        A new table; its `origin` distinguishes pretrained, tuned and new rows. If `like` was opened
        in place, the two share the rows that did not move, and the table is not held in memory
        until its `vectors` are used.

    Raises:
        VocabularyError: the shapes don't agree.

    Example:
        >>> table = fe.EmbeddingTable(["good", "bad"], [[1, 0], [0, 1]])
        >>> vocab = fe.Vocabulary.from_texts(["a good film", "a bad film"])
        >>> embedding = fe.to_embedding(table, vocab, oov="zeros")
        >>> with torch.no_grad():
        ...     _ = embedding.weight.mul_(2)
        >>> tuned = fe.to_table(embedding, vocab, like=table)
        >>> tuned.index_to_key, tuned["bad"].tolist()
        (['good', 'bad', 'a', 'film'], [0.0, 2.0])
    """
    check_vocabulary(vocab)
    weight = embedding if isinstance(embedding, torch.Tensor) else embedding.weight
    rows: Vectors = weight.detach().to("cpu", torch.float32).numpy()
    if rows.shape != (len(vocab), like.vector_size):
        raise VocabularyError(
            f"the embedding has the shape {rows.shape}, but the vocabulary and the table need "
            f"({len(vocab)}, {like.vector_size})",
            value=rows.shape,
            remedy="pass the vocabulary and the table from which the embedding was made",
        )
    at = like.rows_of(vocab.index_to_key)
    if vocab.padding_idx is not None:
        at[vocab.padding_idx] = -1
    unk = _unknown_in(like, vocab)
    if vocab.unk_idx is not None and unk is not None and at[vocab.unk_idx] < 0:
        at[vocab.unk_idx] = -1 if unk in vocab else like.rows_of([unk])[0]
    missing = np.flatnonzero(at < 0).tolist()
    new = [i for i in missing if i not in (vocab.padding_idx, vocab.unk_idx)]
    known = np.flatnonzero(at >= 0)
    moved = known[differing(like.rows(at[known]), rows[known])]
    origin = np.full(len(like) + len(new), Origin.NEW, np.uint8)
    origin[: len(like)] = like.origin
    origin[at[moved]] = Origin.TUNED
    words = [vocab.index_to_key[i] for i in new]
    return like.patched(at[moved], rows[[*moved.tolist(), *new]], words, origin)
