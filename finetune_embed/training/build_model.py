"""From a head to a model with the table inside."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import nn

from ..errors import DataError
from ..heads import build_head

__all__ = ["Head", "build_model", "fill_module", "weight_of"]

Head = str | nn.Module | Callable[[nn.Embedding, int], nn.Module]
Table = nn.Embedding | nn.EmbeddingBag


def build_model(
    head: Head, embedding: nn.Embedding, num_labels: int, which: str | nn.Module | None
) -> tuple[nn.Module, Table]:
    """Return a model with the table inside, and the module in it that holds the table.

    Args:
        head: the text form of a ready-made head; a function of the embedding and the number of
            classes that returns a module; or a module with an embedding of its own, of which a copy
            is trained with its rows replaced.
        embedding: the table of the vocabulary's rows.
        num_labels: the number of classes.
        which: the embedding of a module that has several, or its dotted name.

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
            "embedding it was given",
            remedy="keep it as a submodule: self.embedding = embedding",
        )
    return model, embedding


def fill_module(
    model: nn.Module, embedding: nn.Embedding, which: str | nn.Module | None
) -> tuple[nn.Module, Table]:
    """Replace the rows of the embedding in a copy of a module by those of the vocabulary.

    The module itself stays unchanged, so that several runs can start from it.
    """
    if isinstance(which, nn.Module):
        which = next((n for n, m in model.named_modules() if m is which), "")
    model = copy.deepcopy(model)
    tables = {name: module for name, module in model.named_modules() if isinstance(module, Table)}
    chosen = tables if which is None else {n: m for n, m in tables.items() if n == which}
    if len(chosen) != 1:
        held = ", ".join(f"{n!r} {tuple(m.weight.shape)}" for n, m in tables.items()) or "none"
        raise DataError(
            f"{type(model).__name__} holds these embeddings: {held}",
            remedy="name the one that is the table of words: embedding='name'",
        )
    name, module = next(iter(chosen.items()))
    _check_fits(model, name, module, embedding)
    module.weight = embedding.weight
    module.num_embeddings = embedding.num_embeddings
    module.padding_idx = embedding.padding_idx
    module.sparse = embedding.sparse and getattr(module, "mode", "mean") != "max"  # torch can't
    if hasattr(embedding, "fixed_rows"):
        module.fixed_rows = embedding.fixed_rows
    return model, module


def _check_fits(model: nn.Module, name: str, module: Table, embedding: nn.Embedding) -> None:
    """Check that a module's embedding can hold the vocabulary's rows.

    Raises:
        DataError: it shares its weight, has another dimension, or changes rows by itself.
    """
    shared = [n for n, p in model.named_parameters(remove_duplicate=False) if p is module.weight]
    if len(shared) > 1:
        raise DataError(
            f"{' and '.join(shared)} share one weight, which replacing the rows would separate",
            remedy=(
                "pass a function that builds the module over the embedding: "
                "head=lambda embedding, num_labels: ..."
            ),
        )
    size = embedding.embedding_dim
    if module.embedding_dim != size:
        raise DataError(
            f"{name} of {type(model).__name__} has {module.embedding_dim} dimensions, the vectors "
            f"have {size}",
            remedy=f"build it with embedding_dim={size}",
        )
    if module.max_norm is not None or module.scale_grad_by_freq:
        raise DataError(
            f"{name} of {type(model).__name__} has max_norm={module.max_norm} and "
            f"scale_grad_by_freq={module.scale_grad_by_freq}, which change rows or gradients "
            "without the strategy",
            remedy="build it without them",
        )


def weight_of(module: nn.Module) -> nn.Parameter:
    """Return the weight of the module that holds the table."""
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight
