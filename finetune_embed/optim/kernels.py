"""The inner loops of a training step by rows: compiled (`_kernels.c`), or in torch.

Both give the same numbers within rounding. The compiled ones are for contiguous float32 on a CPU;
torch's are for all else, and for machines where nothing could be compiled.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

import torch

__all__ = [
    "Groups",
    "adam_dense",
    "adam_rows",
    "count_steps",
    "find_slots",
    "group_rows",
    "is_native",
    "mean_bags",
    "nonzero_rows",
    "row_squares",
    "sum_groups",
]

native: Any = None
if not os.environ.get("FINETUNE_EMBED_NO_COMPILED"):
    with contextlib.suppress(ImportError):  # it was installed without a compiler
        from . import _kernels as native


def is_native(*tensors: torch.Tensor | None) -> bool:
    """Tell whether the compiled loops can work on tensors of numbers."""
    return native is not None and all(
        t is None
        or (
            t.dtype == torch.float32
            and t.device.type == "cpu"
            and t.layout == torch.strided
            and t.is_contiguous()
            and t.numel() > 0
        )
        for t in tensors
    )


class Groups(NamedTuple):
    """Where each row stands in a list of ids `(N,)`.

    Attributes:
        rows: `(U,)`, the different ids, ascending.
        order: `(N,)`, the positions of the ids, or the bags they are in, row by row, ascending.
        starts: `(U + 1,)`, where each row's positions start in `order`.
        lengths: `(B,)`, how many ids each bag has, if `order` holds bags.
    """

    rows: torch.Tensor
    order: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor | None = None

    @property
    def buffers(self) -> tuple[Any, Any, Any]:
        """What the compiled loops take to sum: order, starts and lengths."""
        lengths = None if self.lengths is None else self.lengths.numpy()
        return self.order.numpy(), self.starts.numpy(), lengths

    @classmethod
    def of(cls, ids: torch.Tensor, end: int, lengths: torch.Tensor | None = None) -> Groups:
        """Group ids int64 `(N,)` on the CPU with the compiled loop.

        Args:
            ids: the ids.
            end: what they are below.
            lengths: int64 `(B,)`, how many of the ids each bag has, if `order` is to hold bags.

        Raises:
            IndexError: an id is below 0, or `end` or more.
        """
        rows, order = torch.empty_like(ids), torch.empty_like(ids)
        starts = ids.new_empty(len(ids) + 1)
        bags = None if lengths is None else lengths.numpy()
        found = native.group(ids.numpy(), end, bags, rows.numpy(), order.numpy(), starts.numpy())
        return cls(rows[:found], order, starts[: found + 1], lengths)


def sum_groups(values: torch.Tensor, groups: Groups) -> torch.Tensor:
    """Return the sum `(U, D)` of each group of the rows of `values` `(M, D)`, compiled.

    Where they are bags, `values` has the gradients of their means, and each counts by one over its
    bag's length.
    """
    out = values.new_empty(len(groups.rows), values.shape[1])
    native.sum_rows(
        values.numpy(), *groups.buffers, out.numpy(), values.shape[1], torch.get_num_threads()
    )
    return out


def mean_bags(weight: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Return the means `(B, D)` of the rows of each bag, compiled; an empty bag's is zero.

    Args:
        weight: `(V, D)`.
        ids: int64 `(N,)`, the rows of all bags.
        lengths: int64 `(B,)`, how many of them each bag has.

    Raises:
        IndexError: an id is no row of the weight.
    """
    out = weight.new_empty(len(lengths), weight.shape[1])
    native.mean_bags(
        weight.detach().numpy(),
        ids.numpy(),
        lengths.numpy(),
        out.numpy(),
        weight.shape[1],
        torch.get_num_threads(),
    )
    return out


def group_rows(grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Groups | None]:
    """Return the rows `(U,)`, ascending, of a sparse gradient `(V, D)`, and what they get.

    Returns:
        The rows, values, and the groups of values whose sums the rows get; None if there is a value
        `(U, D)` for each.
    """
    ids, values = grad._indices()[0].contiguous(), grad._values()
    if grad.is_coalesced():
        return ids, values, None
    if not is_native(values) or ids.device.type != "cpu":
        grad = grad.coalesce()
        return grad.indices()[0], grad.values(), None
    if native.increasing(ids.numpy(), len(grad)):
        return ids, values, None
    groups = Groups.of(ids, len(grad))
    return groups.rows, values, groups


def nonzero_rows(values: torch.Tensor, groups: Groups | None = None) -> torch.Tensor | None:
    """Return which rows of `(U, D)` are not all zero, bool `(U,)`; None for all of them.

    Args:
        values: the rows, or what `sum_groups` would make them of.
        groups: the groups for `sum_groups`, if any.
    """
    if not is_native(values):
        return (values != 0).any(dim=1)
    kept = torch.empty(len(values if groups is None else groups.rows), dtype=torch.bool)
    buffers = (None, None, None) if groups is None else groups.buffers
    count = native.nonzero_rows(
        values.numpy(), *buffers, kept.numpy(), values.shape[1], torch.get_num_threads()
    )
    return None if count == len(kept) else kept


def row_squares(values: torch.Tensor) -> torch.Tensor:
    """Return the sum of squares of each row of `(U, D)`, float64 `(U,)`."""
    if not is_native(values):
        norms: torch.Tensor = torch.linalg.vector_norm(values, dim=1, dtype=torch.float64)
        return norms.square()
    out = torch.empty(len(values), dtype=torch.float64)
    native.squares(values.numpy(), out.numpy(), values.shape[1], torch.get_num_threads())
    return out


def find_slots(rows: torch.Tensor, index: torch.Tensor, count: int) -> tuple[torch.Tensor, int]:
    """Return the slots `(U,)` of different rows, the next ones from `count` on for new rows.

    Args:
        rows: int64 `(U,)`.
        index: int32 `(V,)`, the slot of each row, -1 for none; new ones are noted.
        count: how many slots there are.

    Returns:
        The slots, and how many there are now.
    """
    if native is not None and rows.device.type == "cpu":
        slots = torch.empty_like(rows)
        return slots, native.find_slots(rows.numpy(), index.numpy(), slots.numpy(), count)
    slots = index.index_select(0, rows)
    new = (slots < 0).nonzero().squeeze(1)
    fresh = torch.arange(count, count + len(new), dtype=index.dtype, device=index.device)
    slots.index_copy_(0, new, fresh)
    index.index_copy_(0, rows.index_select(0, new), fresh)
    return slots.to(torch.int64), count + len(new)


def count_steps(
    steps: torch.Tensor,
    slots: torch.Tensor,
    betas: tuple[float, float],
    lr: float,
    eps: float,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Count a step in slots, and return their rates `(U,)` and epsilons `(U,)`.

    With `m / (1 - beta1^n)` and `v / (1 - beta2^n)` for the moments, an update is
    `-lr m / (sqrt(v) + eps)`, which is `rate m / (sqrt(v) + epsilon)` for the moments as they are.

    Args:
        steps: int64 `(S,)`, the step counts `n`; 1 is added in the slots.
        slots: int64 `(U,)`, different ones.
        betas: the decay rates of the moments.
        lr: the learning rate.
        eps: added to the root.
        dtype: of the result.
    """
    beta1, beta2 = betas
    if native is not None and steps.device.type == "cpu" and dtype == torch.float32:
        rate, epsilon = torch.empty(len(slots)), torch.empty(len(slots))
        native.count_steps(
            steps.numpy(), slots.numpy(), beta1, beta2, lr, eps, rate.numpy(), epsilon.numpy()
        )
        return rate, epsilon
    n = steps.index_select(0, slots) + 1
    steps.index_copy_(0, slots, n)
    n = n.to(torch.float64)
    root = (1 - beta2**n).sqrt()
    return (-lr * root / (1 - beta1**n)).to(dtype), (eps * root).to(dtype)


def adam_rows(
    weight: torch.Tensor,
    rows: torch.Tensor,
    grad: torch.Tensor,
    groups: Groups | None,
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor | None,
    slots: torch.Tensor,
    rate: torch.Tensor,
    eps: torch.Tensor,
    clip: torch.Tensor | None,
    decay: torch.Tensor | None,
    betas: tuple[float, float],
) -> None:
    """Update rows of a weight `(V, D)` and their moments `(S, D)` in place.

    For each row: `g = grad * clip`, `m` toward `g` by `1 - beta1`, `v` toward `g ** 2` by
    `1 - beta2`, `w = w * decay + m / (sqrt(v) + eps) * rate`.

    Args:
        weight: the table.
        rows: `(U,)`, ascending.
        grad: `(U, D)`, or what `sum_groups` would make it of; then of contiguous float32 on a CPU.
        groups: the groups for `sum_groups`, if any.
        exp_avg: the first moments `m`.
        exp_avg_sq: the second moments `v`; without, `w = w * decay + m * rate`.
        slots: `(U,)`, where the moments of the rows are.
        rate: `(U,)`.
        eps: `(U,)`.
        clip: `(U,)`, or None for 1.
        decay: `(U,)`, or None for 1.
        betas: the decay rates of the moments.
    """
    beta1, beta2 = betas
    if is_native(weight, grad, exp_avg, exp_avg_sq):
        native.adam(
            weight.detach().numpy(),
            rows.numpy(),
            grad.numpy(),
            *((None, None, None) if groups is None else groups.buffers),
            exp_avg.numpy(),
            None if exp_avg_sq is None else exp_avg_sq.numpy(),
            slots.numpy(),
            rate.numpy(),
            eps.numpy(),
            None if clip is None else clip.numpy(),
            None if decay is None else decay.numpy(),
            beta1,
            beta2,
            weight.shape[1],
            torch.get_num_threads(),
        )
        return
    if groups is not None:
        grad = sum_groups(grad, groups)
    if clip is not None:
        grad = grad * clip[:, None]
    first = exp_avg.index_select(0, slots).lerp_(grad, 1 - beta1)
    exp_avg.index_copy_(0, slots, first)
    if exp_avg_sq is not None:
        second = exp_avg_sq.index_select(0, slots).mul_(beta2)
        second.addcmul_(grad, grad, value=1 - beta2)
        exp_avg_sq.index_copy_(0, slots, second)
        first.div_(second.sqrt_().add_(eps[:, None]))
    values = weight.index_select(0, rows)
    if decay is not None:
        values.mul_(decay[:, None])
    weight.index_copy_(0, rows, values.add_(first.mul_(rate[:, None])))


def adam_dense(
    weight: torch.Tensor,
    grad: torch.Tensor,
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor,
    rate: float,
    eps: float,
    decay: float,
    betas: tuple[float, float],
) -> None:
    """Update a whole weight and its moments in place, by the formula of `adam_rows`.

    Args:
        weight: of any shape, as are the next three.
        grad: the gradient.
        exp_avg: the first moments.
        exp_avg_sq: the second moments.
        rate: what an update is multiplied with.
        eps: added to the root of the second moments.
        decay: what the weight is multiplied with.
        betas: the decay rates of the moments.
    """
    beta1, beta2 = betas
    if is_native(weight, grad, exp_avg, exp_avg_sq):
        native.adam_dense(
            weight.detach().numpy(),
            grad.detach().numpy(),
            exp_avg.numpy(),
            exp_avg_sq.numpy(),
            rate,
            eps,
            decay,
            beta1,
            beta2,
            torch.get_num_threads(),
        )
        return
    exp_avg.lerp_(grad, 1 - beta1)
    exp_avg_sq.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    weight.mul_(decay).addcdiv_(exp_avg, exp_avg_sq.sqrt().add_(eps), value=rate)
