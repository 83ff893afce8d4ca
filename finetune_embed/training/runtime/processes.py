"""The processes of a run: one, or several started by `accelerate launch` or `torchrun`.

Each process holds the model and takes its share of every batch. Gradients of the head are averaged
here, rows of the table in the optimizer: every process makes the same step.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from ...errors import FinetuneEmbedError, Option, StrategyError, optional_packages

__all__ = ["Processes", "check_device", "sparse_apart"]


class Processes:
    """What a process knows of the others. A plain run has one process.

    Attributes:
        device: the device of this process.
        count: the number of processes.
        index: the number of this one, 0 for the main process, which writes and prints.

    Args:
        device: `cpu`, `cuda` and the like. When None, a GPU of this process if there is one, but
            not `mps`, which does not support float64.

    Raises:
        MissingPackageError: there are several processes, and Accelerate is not installed.
    """

    def __init__(self, device: str | None = None) -> None:
        ours = not torch.distributed.is_initialized()
        has_gpu = torch.accelerator.is_available()
        accelerator = torch.accelerator.current_accelerator() if has_gpu else None
        if accelerator is not None and accelerator.type == "mps":
            accelerator = None  # decay and step counts are computed in float64
        self.count, self.index, self._state = 1, 0, None
        self.device = device or (str(accelerator) if accelerator is not None else "cpu")
        launched = any(name.startswith("ACCELERATE_") for name in os.environ)
        if ours and not launched and int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return  # importing Accelerate takes a quarter of a second
        with optional_packages("accelerate", extra="distributed"):
            from accelerate import PartialState
        self._state = state = PartialState(cpu=device == "cpu" or accelerator is None)
        self.count, self.index = int(state.num_processes), int(state.process_index)
        if device is None or self.count > 1:
            self.device = str(state.device)
        if ours and self.count > 1:  # its threads could outlive the interpreter and abort it
            atexit.register(state.destroy_process_group)

    @property
    def is_main(self) -> bool:
        """Whether this is the main process."""
        return self.index == 0

    def wait(self) -> None:
        """Wait until every process has arrived."""
        if self._state is not None:
            self._state.wait_for_everyone()

    def from_main(self, function: Callable[[], Any]) -> Any:
        """Call a function in the main process, and return what it returns in every process.

        Args:
            function: returns what JSON can hold, or raises.

        Raises:
            FinetuneEmbedError: in every process, if the function raises one.
        """
        if self.count == 1:
            return function()
        sent: list[Any] = [None]
        error: Exception | None = None
        if self.is_main:
            try:
                sent = [json.dumps(function())]
            except Exception as raised:  # sent to the others, which would wait forever, and raised
                error = raised
                other = FinetuneEmbedError(f"{type(raised).__name__}: {raised}")
                sent = [raised if isinstance(raised, FinetuneEmbedError) else other]
        torch.distributed.broadcast_object_list(sent)
        if error is not None:
            raise error
        if isinstance(sent[0], FinetuneEmbedError):
            raise sent[0]
        return json.loads(sent[0])

    def agree(self, value: str) -> bool:
        """Return, in every process, whether all of them have the same value."""
        return self.sum(float(self.from_main(lambda: value) != value)) == [0.0]

    def sum(self, *numbers: float) -> list[float]:
        """Return the sums of numbers over all processes."""
        if self.count == 1:
            return list(numbers)
        totals = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(totals)
        return totals.tolist()

    @torch.no_grad()
    def share(self, tensors: Iterable[torch.Tensor]) -> None:
        """Copy tensors of the main process, such as parameters, to every process."""
        if self.count > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor.detach(), 0)

    @torch.no_grad()
    def mean_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the dense gradients of parameters over all processes, in one message.

        A parameter without a gradient in this process takes part with zeros, because it may have
        one in another. Without one in any process it stays unchanged, as in a single process.
        """
        trained = [p for p in parameters if p.requires_grad] if self.count > 1 else []
        if not trained:
            return
        sent = [torch.zeros_like(p) if p.grad is None else p.grad for p in trained]
        used = torch.tensor([float(p.grad is not None) for p in trained]).to(sent[0])
        flat = torch.cat([gradient.reshape(-1) for gradient in (*sent, used)])
        torch.distributed.all_reduce(flat)
        *means, users = flat.split([gradient.numel() for gradient in (*sent, used)])
        for parameter, gradient, mean, count in zip(
            trained, sent, means, users.tolist(), strict=True
        ):
            if count:
                parameter.grad = gradient.copy_(mean.view_as(gradient)).div_(self.count)


def sparse_apart(model: nn.Module, groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return groups in which weights with sparse gradients are separate and `row_wise`.

    A `RowOptimizer` exchanges the rows of such groups between processes.
    """
    tables = (m for m in model.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag)))
    sparse = {id(module.weight) for module in tables if module.sparse}
    apart = []
    for group in groups:
        for by_rows in (False, True):
            params = [p for p in group["params"] if (id(p) in sparse) is by_rows]
            if params:
                apart.append({**group, "params": params, "row_wise": by_rows or group["row_wise"]})
    return apart


def check_device(device: str) -> None:
    """Check that a device can hold a tensor.

    Raises:
        StrategyError: it cannot.
    """
    try:
        torch.zeros(1, device=device).cpu()
    except Exception as error:  # a backend that is not installed may raise anything
        reason = str(error).strip().split("\n")[0]
        raise StrategyError(
            f"cannot be used: {reason}",
            option="device",
            value=device,
            remedy=("try ", Option("device", "cpu")),
        ) from error
