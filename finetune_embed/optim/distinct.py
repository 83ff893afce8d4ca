"""The rows of a batch's different words, with a gradient that holds only those."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from .kernels import Groups, is_native, packed

__all__ = ["distinct_rows"]


def distinct_rows(
    weight: torch.Tensor, ids: torch.Tensor, sparse: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows `(U, D)` of the different ids, ascending, and the row of each id, `(N,)`.

    `rows[numbers]` equals `weight[ids]`. With `sparse`, the gradient of the weight is a coalesced
    sparse tensor of the `U` rows, whatever the number of ids.

    Args:
        weight: the table `(V, D)`.
        ids: int64 `(N,)`.
        sparse: whether the gradient of the weight is sparse.
    """
    wants_gradient = torch.is_grad_enabled() and weight.requires_grad
    fits = is_native(weight) and ids.dtype == torch.int64 and len(ids) > 0
    if sparse and wants_gradient and fits and not torch.compiler.is_compiling():
        apply: Callable[..., tuple[torch.Tensor, torch.Tensor]] = _DistinctRows.apply
        return apply(weight, ids)
    used, numbers = ids.unique(return_inverse=True)
    return functional.embedding(used, weight, sparse=sparse), numbers


class _DistinctRows(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        groups = Groups.of(packed(ids), len(weight))
        counts = groups.starts.diff()
        numbers = torch.empty_like(ids)
        numbers[groups.order] = torch.repeat_interleave(counts)
        ctx.save_for_backward(groups.rows)
        ctx.shape = weight.shape
        ctx.mark_non_differentiable(numbers)
        return weight.detach()[groups.rows], numbers

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor, _: Any) -> tuple[torch.Tensor, None]:
        (rows,) = ctx.saved_tensors
        gradient = torch.sparse_coo_tensor(
            rows[None], packed(grad), ctx.shape, is_coalesced=True, check_invariants=False
        )
        return gradient, None
