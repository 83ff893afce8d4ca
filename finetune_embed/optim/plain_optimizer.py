"""A torch optimizer that does not load torch's compiler merely to keep out of its way.

torch shields some methods of `Optimizer` from being compiled, and to do so imports `torch._dynamo`
on the first call of any of them: two to three seconds of a process that compiles nothing. Where
that module is not loaded there is nothing to shield from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["PlainOptimizer"]


class PlainOptimizer(torch.optim.Optimizer):
    """`torch.optim.Optimizer`, ready at once."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; see `torch.optim.Optimizer`."""
        _unshielded("add_param_group")(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters; see `torch.optim.Optimizer`."""
        _unshielded("zero_grad")(self, set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values and tensors; see `torch.optim.Optimizer`."""
        state: dict[str, Any] = _unshielded("state_dict")(self)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict()` returned; see `torch.optim.Optimizer`."""
        _unshielded("load_state_dict")(self, state_dict)


def _unshielded(name: str) -> Callable[..., Any]:
    """Return a method of torch's optimizer without its shield, where nothing can be compiled."""
    method: Callable[..., Any] = getattr(torch.optim.Optimizer, name)
    if "torch._dynamo" in sys.modules:
        return method
    return getattr(method, "__wrapped__", method)
