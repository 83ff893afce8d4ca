"""Models of an ensemble, whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import nn

from .lexical_part import LexicalPart
from .run.checkpoints import Progress, Tensors

__all__ = [
    "STACKING",
    "Member",
    "Other",
    "contiguous_state",
    "joined_states",
    "part_of",
    "tensors_of",
]

STACKING = "stacking"


class Member(NamedTuple):
    """A trained model.

    Attributes:
        model: the model with its best weights.
        embedding: the table inside it.
        start: the weight of the table before training.
        progress: how the training went.
    """

    model: nn.Module
    embedding: nn.Embedding | nn.EmbeddingBag
    start: torch.Tensor
    progress: Progress


class Other(NamedTuple):
    """A model after the first of an ensemble, as a run holds it.

    Attributes:
        model: the model, over the same vocabulary.
        lexical: the lexical part with the weights of this model; None without one.
    """

    model: nn.Module
    lexical: LexicalPart | None


def joined_states(states: Sequence[Tensors]) -> Tensors:
    """Return the states of models in one mapping, each after the number of its model."""
    return {
        f"{number}.{name}": value
        for number, state in enumerate(states)
        for name, value in state.items()
    }


def part_of(tensors: Mapping[str, torch.Tensor], number: int | str) -> Tensors:
    """Return the state of one model from those of several."""
    start = f"{number}."
    return {n.removeprefix(start): one for n, one in tensors.items() if n.startswith(start)}


def contiguous_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state of a model without a second copy of tied weights."""
    state = model.state_dict()
    kept: dict[int, str] = {}
    for name, tensor in state.items():
        kept.setdefault(tensor.data_ptr() if tensor.numel() else id(tensor), name)
    return {name: state[name].contiguous() for name in kept.values()}


def tensors_of(others: Sequence[Other]) -> Tensors:
    """Return what the file of the models after the first holds.

    Beside their states, these are the weights of the vectors and of the lexical part.
    """
    tensors = joined_states([contiguous_state(one.model) for one in others])
    parts = [one.lexical for one in others if one.lexical is not None]
    if parts:
        weights = [[part.vectors, part.lexical] for part in parts]
        tensors[STACKING] = torch.tensor(weights, dtype=torch.float64)
    return tensors
