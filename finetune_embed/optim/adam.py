"""The update of AdamW by rows: compiled (`_kernels.c`), or in torch."""

from __future__ import annotations

import torch

from . import kernels
from .kernels import Groups, is_native, thread_count
from .touched import move_rows, summed

__all__ = ["adam_rows", "corrected"]


def corrected(
    counts: torch.Tensor,
    betas: tuple[float, float],
    lr: float,
    eps: float,
    dtype: torch.dtype,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rates `(U,)` and epsilons `(U,)` of rows in their step of a number.

    With the corrected moments `m / (1 - beta1^n)` and `v / (1 - beta2^n)`, an update is
    `-lr m / (sqrt(v) + eps)`; with the moments themselves it is `rate m / (sqrt(v) + epsilon)`.

    Args:
        counts: int64 `(U,)`, the numbers `n`.
        betas: the decay rates of the moments.
        lr: the learning rate.
        eps: added to the root.
        dtype: of the result.
    """
    beta1, beta2 = betas
    n = counts.to(torch.float64)
    root = (1 - beta2**n).sqrt()
    return (-lr * root / (1 - beta1**n)).to(dtype), (eps * root).to(dtype)


def adam_rows(
    weight: torch.Tensor,
    rows: torch.Tensor,
    grad: torch.Tensor,
    groups: Groups | None,
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor,
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
        grad: `(U, D)`, or the values that `sum_groups` would sum to it; these must be contiguous
            float32 on a CPU.
        groups: the groups for `sum_groups`, if any.
        exp_avg: the first moments `m`.
        exp_avg_sq: the second moments `v`.
        slots: `(U,)`, the slots of the rows in the moments.
        rate: `(U,)`.
        eps: `(U,)`.
        clip: `(U,)`, or None for 1.
        decay: `(U,)`, or None for 1.
        betas: the decay rates of the moments.
    """
    beta1, beta2 = betas
    if is_native(weight, grad, exp_avg, exp_avg_sq):
        kernels.native.adam(
            weight.detach().numpy(),
            rows.numpy(),
            grad.numpy(),
            *((None, None, None) if groups is None else groups.buffers),
            exp_avg.numpy(),
            exp_avg_sq.numpy(),
            slots.numpy(),
            rate.numpy(),
            eps.numpy(),
            None if clip is None else clip.numpy(),
            None if decay is None else decay.numpy(),
            beta1,
            beta2,
            weight.shape[1],
            thread_count(),
        )
        return
    grad = summed(grad, groups, clip)
    first = exp_avg.index_select(0, slots).lerp_(grad, 1 - beta1)
    exp_avg.index_copy_(0, slots, first)
    second = exp_avg_sq.index_select(0, slots).mul_(beta2)
    second.addcmul_(grad, grad, value=1 - beta2)
    exp_avg_sq.index_copy_(0, slots, second)
    first.div_(second.sqrt_().add_(eps[:, None]))
    move_rows(weight, rows, first.mul_(rate[:, None]), 1.0, decay)
