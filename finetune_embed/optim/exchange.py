"""Several processes: the gradients of a table's rows, exchanged and averaged."""

from __future__ import annotations

import torch
from torch import distributed

__all__ = ["broadcast_table", "exchange_rows", "world_size"]


def world_size() -> int:
    """Return the number of processes that train together, 1 without `torch.distributed`."""
    if not distributed.is_available() or not distributed.is_initialized():
        return 1
    return distributed.get_world_size()


def exchange_rows(
    rows: torch.Tensor, values: torch.Tensor, *, given: bool = True
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return the mean of all processes' row gradients, in the same bits on each of them.

    Every process must call it, even one without a row. The processes send each other the ids and
    the values of touched rows. Sums are taken in the order of the ranks, by operations whose
    result does not depend on the device.

    Args:
        rows: int64 `(U,)`, ascending, of this process; `U` may differ and may be 0.
        values: their gradients `(U, D)`.
        given: whether this process has a gradient at all, even one without a row.

    Returns:
        The ascending rows `(W,)` of all processes, and the sums of their gradients `(W, D)` over
        the processes, divided by the number of processes; None if no process has a gradient.
    """
    world = world_size()
    if world == 1:
        return (rows, values) if given else None
    count = torch.tensor([len(rows) if given else -1], device=rows.device)
    counts = torch.cat(_gather(count, world)).tolist()
    most = max(counts)
    if most <= 0:
        return (rows, values) if most == 0 else None
    counts = [max(count, 0) for count in counts]
    all_rows = _gather(_padded(rows, most), world)
    all_values = _gather(_padded(values, most), world)
    union = torch.cat([r[:n] for r, n in zip(all_rows, counts, strict=True)]).unique()
    total = values.new_zeros(len(union), values.shape[1])
    for its_rows, its_values, n in zip(all_rows, all_values, counts, strict=True):
        # The rows of one process are all different, so the order of addition is fixed.
        total.index_add_(0, torch.searchsorted(union, its_rows[:n]), its_values[:n])
    return union, total.div_(world)


def broadcast_table(weight: torch.Tensor, source: int = 0) -> None:
    """Give every process the weight of one of them; call it once, before training.

    `DistributedDataParallel` would do this, but a table whose rows
    an optimizer with `exchange=True` exchanges is kept out of it.

    Args:
        weight: the table `(V, D)`, of the same shape in all processes; written in place.
        source: the rank whose weight it is.
    """
    if world_size() > 1:
        distributed.broadcast(weight.detach(), src=source)


def _gather(tensor: torch.Tensor, world: int) -> list[torch.Tensor]:
    """Return the tensors of all processes, of one shape, in the order of their ranks."""
    gathered = [torch.empty_like(tensor) for _ in range(world)]
    distributed.all_gather(gathered, tensor)
    return gathered


def _padded(tensor: torch.Tensor, count: int) -> torch.Tensor:
    padded = tensor.new_zeros((count, *tensor.shape[1:]))
    padded[: len(tensor)] = tensor
    return padded
