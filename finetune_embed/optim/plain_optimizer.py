"""A torch optimizer that does not load torch's compiler.

torch protects some methods of `Optimizer` from being compiled. To do so it imports `torch._dynamo`
on the first call of any of them, which takes two to three seconds even if nothing is compiled.
While that module is not loaded, no protection is needed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from itertools import chain
from typing import Any

import torch
from torch.autograd import profiler
from torch.optim import optimizer as of_all

__all__ = ["PlainOptimizer"]


class PlainOptimizer(torch.optim.Optimizer):
    """`torch.optim.Optimizer` without the delay on first use, and with faster steps.

    To tell torch's profiler of each `zero_grad` and `step` takes as long as a small step itself,
    even if no profiler runs.
    """

    @staticmethod
    def profile_hook_step(step: Callable[..., Any]) -> Callable[..., Any]:
        """Return a step that calls the hooks of steps; torch wraps that of each class in it."""
        profiled: Callable[..., Any] = torch.optim.Optimizer.profile_hook_step(step)

        @wraps(step)
        def hooked(self: PlainOptimizer, *args: Any, **kwargs: Any) -> Any:
            if torch.compiler.is_compiling() or profiler._is_profiler_enabled:
                return profiled(self, *args, **kwargs)
            first, last = of_all._global_optimizer_pre_hooks, self._optimizer_step_pre_hooks
            for before in chain(first.values(), last.values()):
                args, kwargs = before(self, args, kwargs) or (args, kwargs)
            result = step(self, *args, **kwargs)
            early, late = self._optimizer_step_post_hooks, of_all._global_optimizer_post_hooks
            for after in chain(early.values(), late.values()):
                after(self, args, kwargs)
            return result

        return hooked

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters; see `torch.optim.Optimizer`."""
        _unprotected("add_param_group")(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters; see `torch.optim.Optimizer`."""
        if not set_to_none:
            _unprotected("zero_grad")(self, set_to_none)
            return
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

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
