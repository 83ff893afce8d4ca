"""A torch optimizer that does not load torch's compiler.

torch protects some methods of `Optimizer` from being compiled. To do so it imports `torch._dynamo`
on the first call of any of them, which takes two to three seconds even if nothing is compiled.
While that module is not loaded, no protection is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

__all__ = ["PlainOptimizer"]


class PlainOptimizer(torch.optim.Optimizer):
    """`torch.optim.Optimizer` without the delay on first use."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; see `torch.optim.Optimizer`."""
        _unprotected("add_param_group")(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters; see `torch.optim.Optimizer`."""
        _unprotected("zero_grad")(self, set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the state as plain values and tensors; see `torch.optim.Optimizer`."""
        state: dict[str, Any] = _unprotected("state_dict")(self)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what `state_dict()` returned; see `torch.optim.Optimizer`."""
        _unprotected("load_state_dict")(self, state_dict)


def _unprotected(name: str) -> Callable[..., Any]:
    """Return a method of torch's optimizer, unprotected while the compiler is not loaded."""
    method: Callable[..., Any] = getattr(torch.optim.Optimizer, name)
    if "torch._dynamo" in sys.modules:
        return method
    return getattr(method, "__wrapped__", method)
