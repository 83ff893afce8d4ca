"""The mean of each text's rows, with a gradient that holds only the rows of the batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from ..errors import DataError
from .kernels import Groups, is_native, packed, sum_groups

__all__ = ["mean_bag"]

_MEAN = 1  # as torch numbers the ways to pool a bag


def mean_bag(
    weight: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor, sparse: bool = False
) -> torch.Tensor:
    """Return the mean of the rows of each bag, `(B, D)`; an empty bag's is zero.

    With `sparse` and a float32 weight on the CPU, the gradient is a coalesced sparse tensor of the
    batch's different rows, summed directly from the gradients of the bags; torch's own has a row
    for each of the `N` ids. Only the order in which the parts of a row are added differs.

    Args:
        weight: the table `(V, D)`.
        ids: int64 `(N,)`, the rows of the first bag, then those of the second, and so on.
        lengths: int64 `(B,)`, the number of rows in each bag; may be 0.
        sparse: whether the gradient of the weight is sparse.

    Raises:
        DataError: the lengths don't add up to the number of ids.
        RuntimeError: they don't, in a model compiled by `torch.compile`.
    """
    if torch.compiler.is_compiling():  # which sees torch's operations, but not their numbers
        torch._assert_async(lengths.sum() == len(ids), "lengths don't add up to the number of ids")
        return _means(weight, ids, lengths, sparse)
    if ids.device.type == "cpu" and (total := int(lengths.sum())) != len(ids):
        raise DataError(
            f"lengths add up to {total:,}, but there are {len(ids):,} ids",
            value=total,
            remedy="give the ids of all texts one after the other: "
            "mean_bag(weight, torch.cat(ids), lengths)",
        )
    wants_gradient = sparse and weight.requires_grad and torch.is_grad_enabled()
    if wants_gradient and ids.dtype == lengths.dtype == torch.int64 and is_native(weight):
        apply: Callable[..., torch.Tensor] = _MeanBag.apply  # torch does not declare its type
        return apply(weight, ids, lengths)
    return _means(weight, ids, lengths, sparse)


def _means(
    weight: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor, sparse: bool
) -> torch.Tensor:
    offsets = lengths.cumsum(0) - lengths
    if torch.is_grad_enabled():
        return functional.embedding_bag(ids, weight, offsets, mode="mean", sparse=sparse)
    return torch.embedding_bag(weight, ids, offsets, False, _MEAN)[0]  # with fewer checks


class _MeanBag(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        ids, lengths = packed(ids), packed(lengths)
        ctx.save_for_backward(ids, lengths)
        ctx.shape = weight.shape
        return _means(weight.detach(), ids, lengths, sparse=False)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        ids, lengths = ctx.saved_tensors
        groups = Groups.of(ids, ctx.shape[0], lengths)
        values = sum_groups(packed(grad), groups)
        gradient = torch.sparse_coo_tensor(
            groups.rows[None], values, ctx.shape, is_coalesced=True, check_invariants=False
        )
        return gradient, None, None
