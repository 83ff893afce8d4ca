"""The processes of a run: one, or several that `accelerate launch` or `torchrun` has started.

Each process holds the whole model and takes its share of every batch. Gradients of the head are
averaged here, rows of the table in `RowAdamW`, so that every process makes the very same step.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from ... import errors

__all__ = ["Processes", "sparse_apart"]

_ERRORS: dict[str, type[Exception]] = {
    name: getattr(errors, name) for name in errors.__all__ if name.endswith("Error")
}


class Processes:
    """What a process knows of the others. In a plain run there is just the one.

    Attributes:
        device: where this process trains.
        count: the processes.
        index: the number of this one, 0 for the one that writes and prints.

    Args:
        device: `cpu`, `cuda` and the like; when None, a GPU of this process' own if there is one,
            but no `mps`, which has no float64.

    Raises:
        MissingPackageError: there are several processes, and Accelerate is not installed.
    """

    def __init__(self, device: str | None = None) -> None:
        ours = not torch.distributed.is_initialized()
        has_gpu = torch.accelerator.is_available()
        accelerator = torch.accelerator.current_accelerator() if has_gpu else None
        if accelerator is not None and accelerator.type == "mps":
            accelerator = None  # it has no float64, which decay and step counts are reckoned in
        self.count, self.index, self._state = 1, 0, None
        self.device = device or (str(accelerator) if accelerator is not None else "cpu")
        launched = any(name.startswith("ACCELERATE_") for name in os.environ)
        if ours and not launched and int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return  # a plain run does without Accelerate, which takes a quarter second to import
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise errors.missing_extra("accelerate", "distributed") from error
        self._state = state = PartialState(cpu=device == "cpu" or accelerator is None)
        self.count, self.index = int(state.num_processes), int(state.process_index)
        if device is None or self.count > 1:
            self.device = str(state.device)
        if ours and self.count > 1:  # or else its threads may outlive the interpreter, and abort
            atexit.register(state.destroy_process_group)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.index == 0

    def wait(self) -> None:
        """Wait until every process is here."""
        if self._state is not None:
            self._state.wait_for_everyone()

    def from_main(self, function: Callable[[], Any]) -> Any:
        """Return to every process what a function returns in the main one, where alone it runs.

        Args:
            function: returns what JSON can hold, or raises.

        Raises:
            FinetuneEmbedError: in every process, if the function raises one.
        """
        if self.count == 1:
            return function()
        told: list[Any] = [None]
        error: BaseException | None = None
        if self.is_main:
            try:
                told = [json.dumps({"value": function()})]
            except Exception as raised:  # told to the others, which would wait forever, and raised
                error = raised
                told = [json.dumps({"error": type(raised).__name__, "message": str(raised)})]
        torch.distributed.broadcast_object_list(told)
        if error is not None:
            raise error
        found = json.loads(told[0])
        if "error" in found:
            raise _ERRORS.get(found["error"], errors.FinetuneEmbedError)(found["message"])
        return found["value"]

    def agree(self, told: str) -> bool:
        """Tell, in every process, whether all of them have the same."""
        return self.sum(float(self.from_main(lambda: told) != told)) == [0.0]

    def sum(self, *numbers: float) -> list[float]:
        """Return the sums of numbers over all processes."""
        if self.count == 1:
            return list(numbers)
        totals = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(totals)
        return totals.tolist()

    @torch.no_grad()
    def share(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give every process the tensors of the main one, such as parameters or running means."""
        if self.count > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor.detach(), 0)

    @torch.no_grad()
    def mean_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Average the dense gradients of parameters over all processes, in one message.

        A parameter without a gradient in this process takes part with zeros, since it may have one
        in another; without one in any it stays as it is, as it does in one process.
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
    """Return groups in which weights with sparse gradients have groups of their own, `row_wise`.

    Those of the table are one. The gradients of others come by rows too, and `RowAdamW` exchanges
    the rows of such groups.
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
