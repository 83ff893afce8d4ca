"""From a head to a model with the table inside."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Callable, Iterator

import torch
from torch import nn

from ..errors import DataError
from ..heads import build_head

__all__ = ["Head", "build_model", "fill_module", "float32_by_default", "weight_of"]

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
        DataError: the module does not hold the table, or it is not clear where; or the function
            does not take these arguments, or does not return a module.
    """
    with float32_by_default():
        return _build(head, embedding, num_labels, which)


def _build(
    head: Head, embedding: nn.Embedding, num_labels: int, which: str | nn.Module | None
) -> tuple[nn.Module, Table]:
    if isinstance(head, str):
        return build_head(head, embedding, num_labels), embedding
    if isinstance(head, nn.Module):
        return fill_module(head, embedding, which)
    _check_takes_two(head)
    model = head(embedding, num_labels)
    if not isinstance(model, nn.Module):
        raise DataError(
            f"head(embedding, num_labels) returned a {type(model).__name__}, not an nn.Module",
            remedy="let it return the module it builds",
        )
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
    model = copy.deepcopy(model)  # its table and parts of the same type become that of the rows
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
    if module.weight.dtype != embedding.weight.dtype:
        model.to(embedding.weight.dtype)
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
    shared = [
        f"{path}.{attribute}".lstrip(".")
        for path, other in model.named_modules(remove_duplicate=False)
        for attribute, parameter in other.named_parameters(recurse=False, remove_duplicate=False)
        if parameter is module.weight and other is not module
    ]
    if shared:
        shared.insert(0, f"{name}.weight")
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


def _check_takes_two(head: Callable[..., object]) -> None:
    """Check that a function can be called with the embedding and the number of labels.

    Raises:
        DataError: it takes other arguments.
    """
    try:
        signature = inspect.signature(head)
    except ValueError:  # some built-in functions have none
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise DataError(
            f"the head is a function that cannot be called with two arguments: {error}",
            value=head,
            remedy="write it as head(embedding, num_labels), which returns a module",
        ) from error


@contextlib.contextmanager
def float32_by_default() -> Iterator[None]:
    """Make float32, the type of the vectors, the type of new layers, whatever torch's default."""
    before = torch.get_default_dtype()
    if before == torch.float32:
        yield
        return
    torch.set_default_dtype(torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def weight_of(module: nn.Module) -> nn.Parameter:
    """Return the weight of the module that holds the table."""
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight
