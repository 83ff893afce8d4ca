"""Pooled words beside pooled convolutions, with gradients that hold only the rows of a batch."""

from __future__ import annotations

import contextlib
import threading
from array import array
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch.nn import functional

from . import kernels
from .kernels import Groups, is_native, packed, thread_count

__all__ = ["POOLS", "Filters", "text_features"]

#: How the vectors of a text's words are pooled, as the compiled loops number it.
POOLS = {"mean": 0, "max": 1, "min": -1}

ROWS = 1024  # rows of a product that are computed at a time, so that they stay in the cache
KEPT = 1 << 24  # numbers of a product whose memory is kept: 64 MB
#: The filters of one width: their weight `(F, D, width)` and bias `(F,)`.
Filters = tuple[torch.Tensor, torch.Tensor]


def text_features(
    weight: torch.Tensor,
    ids: torch.Tensor,
    lengths: torch.Tensor,
    pools: Sequence[str],
    filters: Sequence[Filters] = (),
    sparse: bool = False,
) -> torch.Tensor:
    """Return the pooled words of each text, then its pooled windows: `(B, P x D + W x F)`.

    A window begins at every word of a text, and positions beyond the end are zero. The feature of a
    filter is its maximum over the windows (Kim 2014), after ReLU. A text without words has zeros
    and the ReLU of each bias. Of equal maxima the first has the gradient.

    The `N` tokens of a batch have `U` different words. Each is looked up and multiplied by the
    filters once, so that work and gradients grow with `U`.

    Args:
        weight: the table `(V, D)`.
        ids: int64 `(N,)`, the words of the first text, then those of the second, and so on.
        lengths: int64 `(B,)`, the number of words of each text; may be 0.
        pools: `P` names of `POOLS`.
        filters: those of `W` widths, `F` of each.
        sparse: whether the gradient of the weight is a sparse tensor of the `U` rows.
    """
    parameters = [parameter for pair in filters for parameter in pair]
    fits = is_native(weight, *parameters) and ids.dtype == lengths.dtype == torch.int64
    if not fits or torch.compiler.is_compiling() or torch.is_autocast_enabled("cpu"):
        return _in_torch(weight, ids, lengths, pools, filters, sparse)
    if not torch.is_grad_enabled():
        given = weight, ids, lengths, pools
        return _TextFeatures.forward(SimpleNamespace(), *given, sparse, False, *parameters)
    apply: Callable[..., torch.Tensor] = _TextFeatures.apply  # torch does not declare its type
    return apply(weight, ids, lengths, pools, sparse, True, *parameters)


class _TextFeatures(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weight: torch.Tensor,
        ids: torch.Tensor,
        lengths: torch.Tensor,
        pools: Sequence[str],
        sparse: bool,
        with_gradients: bool,
        *parameters: torch.Tensor,
    ) -> torch.Tensor:
        size = weight.shape[1]
        places: tuple[Any, Any] = (None, packed(ids).numpy())
        rows, used = weight, None
        if with_gradients or weight.shape[0] > ids.shape[0]:  # else most rows are used
            groups = Groups.of(packed(ids), weight.shape[0])
            rows, used = weight.index_select(0, groups.rows), groups.rows
            places = groups.order.numpy(), groups.starts.numpy()
        filters, bias = _joined(rows, parameters)
        added = _product(rows, filters.flatten(0, 1).T)
        features = rows.new_empty(lengths.shape[0], len(pools) * size + bias.shape[0])
        at = torch.empty(features.shape, dtype=torch.int32) if with_gradients else None
        ctx.widths = [one.shape[2] for one in parameters[0::2]]
        ctx.texts = (
            *places,
            packed(lengths).numpy(),
            array("q", [POOLS[pool] for pool in pools]),
            array("q", ctx.widths),
            size,
            rows.numpy(),
        )
        arrays = [None if one is None else one.numpy() for one in (added, bias, features, at)]
        kernels.native.text_features(*ctx.texts, *arrays, thread_count())
        if with_gradients:
            ctx.save_for_backward(used, filters, at)
        ctx.shape, ctx.sparse = weight.shape, sparse
        return features

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        used, filters, at = ctx.saved_tensors
        filter_grad = torch.empty_like(filters)
        bias_grad = filters.new_empty(len(ctx.widths), filters.shape[1])
        row_grad = filters.new_empty(used.shape[0], ctx.shape[1])
        is_tuned = ctx.needs_input_grad[0]
        arrays = (one.numpy() for one in (filters, at, packed(grad), filter_grad, bias_grad))
        kernels.native.text_gradients(*ctx.texts, *arrays, row_grad.numpy() if is_tuned else None)
        weight_grad = None
        if is_tuned:
            weight_grad = torch.sparse_coo_tensor(
                used[None], row_grad, ctx.shape, is_coalesced=True, check_invariants=False
            )
            weight_grad = weight_grad if ctx.sparse else weight_grad.to_dense()
        weights = (one.permute(1, 2, 0) for one in filter_grad.split_with_sizes(ctx.widths))
        of_filters = [one for pair in zip(weights, bias_grad, strict=True) for one in pair]
        return weight_grad, None, None, None, None, None, *of_filters


class _Scratch(threading.local):
    """Memory for a product, which a thread uses again instead of allocating it anew."""

    numbers = torch.empty(0, device="cpu")


_SCRATCH = _Scratch()


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the product of two matrices, which holds until the next one of this thread."""
    rows, columns = left.shape[0], right.shape[1]
    if rows <= ROWS:
        return torch.mm(left, right)
    numbers = _SCRATCH.numbers
    if len(numbers) < rows * columns:
        with torch.inference_mode(False):  # so that it can be written to in any mode
            numbers = torch.empty(rows * columns, dtype=torch.float32, device="cpu")
        if len(numbers) <= KEPT:
            _SCRATCH.numbers = numbers
    out = numbers[: rows * columns].view(rows, columns)

    def multiply(first: int, end: int) -> None:
        for start in range(first, end, ROWS):
            at = slice(start, min(start + ROWS, end))
            torch.mm(left[at], right, out=out[at])

    half = rows // ROWS // 2 * ROWS
    with kernels.alongside(partial(multiply, 0, half)) if half else contextlib.nullcontext():
        multiply(half, rows)
    return out


def _joined(
    rows: torch.Tensor, parameters: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all filters, place by place, `(sum of widths, F, D)`, and their biases `(W x F)`."""
    if not parameters:
        return rows.new_empty(0, 0, rows.shape[1]), rows.new_empty(0)
    weights = torch.cat([one.permute(2, 0, 1) for one in parameters[0::2]])
    return weights, torch.cat(parameters[1::2])


def _in_torch(
    weight: torch.Tensor,
    ids: torch.Tensor,
    lengths: torch.Tensor,
    pools: Sequence[str],
    filters: Sequence[Filters],
    sparse: bool,
) -> torch.Tensor:
    used, numbers = ids.unique(return_inverse=True)
    rows = functional.embedding(used, weight, sparse=sparse)
    offsets = lengths.cumsum(0) - lengths
    features = []
    for pool in pools:
        sign, mode = (-1, "max") if pool == "min" else (1, pool)
        features.append(sign * functional.embedding_bag(numbers, sign * rows, offsets, mode=mode))
    for of_width, bias in filters:
        count, size, width = of_width.shape
        added = rows @ of_width.permute(1, 2, 0).reshape(size, width * count)
        maxima = _window_maxima(added.view(-1, width, count), numbers, lengths)
        features.append(torch.relu(maxima + bias))
    return torch.cat(features, dim=1)


def _window_maxima(
    added: torch.Tensor, numbers: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """Return the largest sum `(B, F)` of what the words `(U, width, F)` add to each window."""
    count, width, size = added.shape
    offsets, tokens = lengths.cumsum(0) - lengths, torch.arange(len(numbers), device=added.device)
    ends = torch.repeat_interleave(offsets + lengths, lengths)
    places = tokens[:, None] + torch.arange(width, device=added.device)
    inside = places < ends[:, None]
    rows = torch.where(inside, numbers[places.clamp(max=max(len(numbers) - 1, 0))], count)
    flat = torch.cat([added, added.new_zeros(1, width, size)]).view(-1, size)
    places = rows * width + torch.arange(width, device=added.device)
    sums = functional.embedding_bag(places, flat, mode="sum")
    return functional.embedding_bag(tokens, sums, offsets, mode="max")
