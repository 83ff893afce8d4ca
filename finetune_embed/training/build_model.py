"""From what the caller calls a head to a model with the table inside."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import nn

from ..errors import DataError
from ..heads import build_head

__all__ = ["Head", "build_model", "fill_module"]

Head = str | nn.Module | Callable[[nn.Embedding, int], nn.Module]
Table = nn.Embedding | nn.EmbeddingBag


def build_model(
    head: Head, embedding: nn.Embedding, num_labels: int, which: str | nn.Module | None
) -> tuple[nn.Module, Table]:
    """Return a model with the table inside, and the module in it that holds the table.

    Args:
        head: the spelling of a ready head; a function of the embedding and the number of classes
            that returns a module; or a module with an embedding of its own: a copy of it is
            trained, its rows replaced.
        embedding: the table of the vocabulary's rows.
        num_labels: the number of classes.
        which: the embedding of a module that has several, by its dotted name or itself.

    Raises:
        DataError: the module does not hold the table, or it is not clear where.
    """
    if isinstance(head, str):
        return build_head(head, embedding, num_labels), embedding
    if isinstance(head, nn.Module):
        return fill_module(head, embedding, which)
    model = head(embedding, num_labels)
    if not any(parameter is embedding.weight for parameter in model.parameters()):
        raise DataError(
            f"head(embedding, num_labels) returned a {type(model).__name__} that does not hold the "
            "embedding it was given; keep it as a submodule: self.embedding = embedding"
        )
    return model, embedding


def fill_module(
    model: nn.Module, embedding: nn.Embedding, which: str | nn.Module | None
) -> tuple[nn.Module, Table]:
    """Put the vocabulary's rows in the place of the embedding of a copy of a module.

    The module itself stays as it is, so that several runs can start from it.
    """
    if isinstance(which, nn.Module):
        which = next((n for n, m in model.named_modules() if m is which), "")
    model = copy.deepcopy(model)
    tables = {name: module for name, module in model.named_modules() if isinstance(module, Table)}
    chosen = tables if which is None else {n: m for n, m in tables.items() if n == which}
    if len(chosen) != 1:
        held = ", ".join(f"{n!r} {tuple(m.weight.shape)}" for n, m in tables.items()) or "none"
        raise DataError(
            f"{type(model).__name__} holds these embeddings: {held}; say which one is the table "
            "of words: embedding='name'"
        )
    name, module = next(iter(chosen.items()))
    shared = [n for n, p in model.named_parameters(remove_duplicate=False) if p is module.weight]
    if len(shared) > 1:
        raise DataError(
            f"{' and '.join(shared)} share one weight, which would be torn apart; pass a function "
            "head=lambda embedding, num_labels: ... that builds the module over the embedding"
        )
    if module.embedding_dim != embedding.embedding_dim:
        raise DataError(
            f"{name} of {type(model).__name__} has {module.embedding_dim} dimensions, the vectors "
            f"have {embedding.embedding_dim}; build it with embedding_dim={embedding.embedding_dim}"
        )
    if module.max_norm is not None or module.scale_grad_by_freq:
        raise DataError(
            f"{name} of {type(model).__name__} has max_norm={module.max_norm} and "
            f"scale_grad_by_freq={module.scale_grad_by_freq}, which change rows or gradients "
            "behind the strategy's back; build it without them"
        )
    module.weight = embedding.weight
    module.num_embeddings = embedding.num_embeddings
    module.padding_idx = embedding.padding_idx
    module.sparse = embedding.sparse and getattr(module, "mode", "mean") != "max"  # torch can't
    if hasattr(embedding, "fixed_rows"):
        module.fixed_rows = embedding.fixed_rows
    return model, module
