"""The update of AdamW: by rows, compiled (`_kernels.c`) or in torch, or of whole parameters."""

from __future__ import annotations

import math

import torch

from . import kernels
from .kernels import Groups, is_native, thread_count
from .touched import move_rows, summed

__all__ = ["adam_all", "adam_rows"]


def adam_rows(
    weight: torch.Tensor,
    rows: torch.Tensor,
    grad: torch.Tensor,
    groups: Groups | None,
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor,
    slots: torch.Tensor,
    counts: torch.Tensor,
    scale: torch.Tensor | None,
    clip: torch.Tensor | None,
    decay: torch.Tensor | None,
    lr: float,
    eps: float,
    betas: tuple[float, float],
) -> None:
    """Update rows of a weight `(V, D)` and their moments `(S, D)` in place.

    For each row in its step number `n`: `g = grad * clip`, `m` toward `g` by `1 - beta1`, `v`
    toward `g ** 2` by `1 - beta2`, and with the corrected moments `m' = m / (1 - beta1 ** n)` and
    `v' = v / (1 - beta2 ** n)`, `w = w * decay - m' / (sqrt(v') + eps) * lr * scale`.

    Args:
        weight: the table.
        rows: `(U,)`, ascending.
        grad: `(U, D)`, or the values that `sum_groups` would sum to it; these must be contiguous
            float32 on a CPU.
        groups: the groups for `sum_groups`, if any.
        exp_avg: the first moments `m`.
        exp_avg_sq: the second moments `v`.
        slots: `(U,)`, the slots of the rows in the moments.
        counts: int64 `(U,)`, the numbers `n`.
        scale: `(U,)`, or None for 1.
        clip: `(U,)`, or None for 1.
        decay: `(U,)`, or None for 1.
        lr: the learning rate.
        eps: added to the root.
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
            counts.numpy(),
            None if scale is None else scale.numpy(),
            None if clip is None else clip.numpy(),
            None if decay is None else decay.numpy(),
            lr,
            eps,
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
    n = counts.to(torch.float64)
    root = (1 - beta2**n).sqrt()
    rate = (-lr * root / (1 - beta1**n)).to(weight.dtype)
    first.div_(second.sqrt_().add_((eps * root).to(weight.dtype)[:, None]))
    first.mul_((rate if scale is None else rate * scale)[:, None])
    move_rows(weight, rows, first, 1.0, decay)


def adam_all(
    parameters: list[torch.Tensor],
    grads: list[torch.Tensor],
    exp_avgs: list[torch.Tensor],
    exp_avg_sqs: list[torch.Tensor],
    steps: list[torch.Tensor],
    lr: float,
    eps: float,
    weight_decay: float,
    betas: tuple[float, float],
) -> None:
    """Update whole parameters and their moments in place, as `torch.optim.AdamW` does.

    Args:
        parameters: the parameters.
        grads: the gradient of each.
        exp_avgs: the first moment of each.
        exp_avg_sqs: the second moment of each.
        steps: int64 `()`, the number of each one's step.
        lr: the learning rate.
        eps: added to the root.
        weight_decay: decoupled weight decay.
        betas: the decay rates of the moments.
    """
    beta1, beta2 = betas
    if is_native(*parameters, *grads, *exp_avgs, *exp_avg_sqs):
        torch._fused_adamw_(
            parameters,
            grads,
            exp_avgs,
            exp_avg_sqs,
            [],
            steps,
            lr=lr,
            beta1=beta1,
            beta2=beta2,
            weight_decay=weight_decay,
            eps=eps,
            amsgrad=False,
            maximize=False,
        )
        return
    for parameter, grad, first, second, step in zip(
        parameters, grads, exp_avgs, exp_avg_sqs, steps, strict=True
    ):
        n = int(step)
        root = math.sqrt(1 - beta2**n)
        first.lerp_(grad, 1 - beta1)
        second.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        scale = second.sqrt().add_(eps * root)
        parameter.mul_(1 - lr * weight_decay)
        parameter.addcdiv_(first, scale, value=-lr * root / (1 - beta1**n))
