"""A model as parts: the table, and the rest by its modules, nearest the output first."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from ..errors import StrategyError

__all__ = ["EMBEDDING", "Part", "model_layout"]

EMBEDDING = "embedding"


class Part(NamedTuple):
    """A part of a model that has one learning rate.

    Attributes:
        name: `embedding`, or the dotted name of the module that holds the parameters.
        depth: 0 for the part defined last, the output; one more for each part before it. The
            table is the deepest.
        params: its parameters.
    """

    name: str
    depth: int
    params: list[nn.Parameter]


def model_layout(model: nn.Module, weight: nn.Parameter) -> list[Part]:
    """Return the parts of a model, the table first, then in the order they were defined in.

    A parameter that several modules share, such as a table tied to the output layer, is in one
    part only. The table is found by identity, never by value.

    Raises:
        StrategyError: the weight is no parameter of the model.
    """
    modules: dict[str, list[nn.Parameter]] = {}
    found = False
    for name, parameter in model.named_parameters():
        if parameter is weight:
            found = True
        else:
            modules.setdefault(name.rpartition(".")[0] or "model", []).append(parameter)
    if not found:
        raise StrategyError(
            f"the embedding ({weight.shape[0]:,}, {weight.shape[1]}) is not part of the model "
            f"{type(model).__name__}; pass the very module that the model uses, such as "
            "strategy.param_groups(model, model.embedding, lr=lr)"
        )
    if EMBEDDING in modules:
        modules["embedding.rest"] = modules.pop(EMBEDDING)
    last = len(modules) - 1
    rest = [Part(name, last - i, params) for i, (name, params) in enumerate(modules.items())]
    return [Part(EMBEDDING, len(modules), [weight]), *rest]
