"""A model as parts: the table, and the rest by its layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from ..errors import StrategyError

__all__ = ["EMBEDDING", "Part", "model_layout"]

EMBEDDING = "embedding"


class Part(NamedTuple):
    """A part of a model that has one learning rate.

    Attributes:
        name: `embedding`, the dotted name of a layer, or `model` for parameters outside all layers.
        depth: 0 for the part defined last, the output; one more for each part before it. The
            table is the deepest.
        params: its parameters.
    """

    name: str
    depth: int
    params: list[nn.Parameter]


def model_layout(model: nn.Module, weight: nn.Parameter) -> list[Part]:
    """Return the parts of a model, the table first, then its layers.

    A layer is a direct child of the model, with all its parameters; `nn.Sequential` and
    `nn.ModuleList` are replaced by their items, each a layer. Parameters of the model itself are
    the part `model`. Layers come in the order of definition, in `__init__` or in an
    `nn.Sequential`; a model that calls them in another order has other depths than you expect.

    A parameter that several layers share, such as a table tied to the output layer, is in the
    first of them only. The table is found by identity, never by value.

    Raises:
        StrategyError: the weight is not a parameter of the model.
    """
    layers: dict[str, list[nn.Parameter]] = {}
    seen: set[nn.Parameter] = set()
    for name, params in _layers(model):
        new = [p for p in dict.fromkeys(params) if p not in seen]
        seen.update(new)
        if rest := [p for p in new if p is not weight]:
            layers.setdefault("embedding.rest" if name == EMBEDDING else name, []).extend(rest)
    if weight not in seen:
        raise StrategyError(
            f"the embedding ({weight.shape[0]:,}, {weight.shape[1]}) is not part of the model "
            f"{type(model).__name__}",
            value=model,
            remedy="pass the module that the model uses, such as model.embedding in "
            "strategy.param_groups(model, model.embedding, lr=lr)",
        )
    last = len(layers) - 1
    parts = [Part(name, last - i, params) for i, (name, params) in enumerate(layers.items())]
    return [Part(EMBEDDING, len(layers), [weight]), *parts]


def _layers(module: nn.Module, name: str = "") -> Iterator[tuple[str, list[nn.Parameter]]]:
    """Yield the name and the parameters of each layer, in the order of definition."""
    if name and not isinstance(module, (nn.Sequential, nn.ModuleList)):
        yield name, list(module.parameters())
        return
    yield name or "model", list(module.parameters(recurse=False))
    for child_name, child in module.named_children():
        yield from _layers(child, f"{name}.{child_name}" if name else child_name)
