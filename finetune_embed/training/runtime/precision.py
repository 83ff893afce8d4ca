"""Mixed precision: the forward pass in 16 bits, weights and steps in float32."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch

from ...errors import Option, StrategyError

__all__ = ["Precision", "chosen_precision"]


def chosen_precision(asked: str | None) -> str:
    """Return the precision asked for, else that of `accelerate launch`, else `no`."""
    return asked or os.environ.get("ACCELERATE_MIXED_PRECISION", "no")


class Precision:
    """Autocast of the forward pass and, for float16, scaling of the loss.

    Args:
        mixed: `no`, `bf16` or `fp16`.
        device: where the model is; `fp16` needs a GPU.
        processes: the number of processes that gradients are averaged over.

    Raises:
        StrategyError: the device does not support it.
    """

    def __init__(self, mixed: str, device: str, processes: int = 1) -> None:
        self._kind = torch.device(device).type
        if mixed == "fp16" and self._kind == "cpu":
            raise StrategyError(
                "needs a GPU",
                option="mixed_precision",
                value=mixed,
                remedy=("on the CPU, use ", Option("mixed_precision", "bf16")),
            )
        if mixed == "fp16" and processes > 1:
            raise StrategyError(
                f"scales the loss of each process separately, so that the tables of {processes} "
                "processes would diverge",
                option="mixed_precision",
                value=mixed,
                remedy=("use ", Option("mixed_precision", "bf16")),
            )
        self._dtype = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(mixed)
        self._scaler = torch.amp.GradScaler(self._kind) if mixed == "fp16" else None

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context of a forward pass."""
        if self._dtype is None:
            return nullcontext()
        return torch.autocast(self._kind, self._dtype)

    def backward(self, loss: torch.Tensor) -> None:
        """Do the backward pass of a loss."""
        (loss if self._scaler is None else self._scaler.scale(loss)).backward()

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Step an optimizer, unless a scaled gradient has overflowed."""
        if self._scaler is None:
            optimizer.step()
        else:
            self._scaler.step(optimizer)
            self._scaler.update()

    def state(self) -> dict[str, float]:
        """Return the state that an exact resume needs."""
        return {} if self._scaler is None else dict(self._scaler.state_dict())

    def load(self, state: dict[str, float]) -> None:
        """Restore a state that `state` returned."""
        if self._scaler is not None and state:
            self._scaler.load_state_dict(state)
