"""The largest window of each text: max pooling of words, and of convolutions over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from . import kernels
from .kernels import is_native, packed, thread_count

__all__ = ["window_maxima"]


def window_maxima(
    values: torch.Tensor, numbers: torch.Tensor, lengths: torch.Tensor
) -> torch.Tensor:
    """Return the largest value of the windows of each text, `(B, F)`; 0 for an empty text.

    A window of `W` tokens begins at every token of a text. Its value is the sum of what its tokens
    add in their places, those up to the end of the text. With `W = 1` it is max pooling.

    Args:
        values: `(U, W, F)`, what each of `U` words adds to a window in each of the places.
        numbers: int64 `(N,)`, the word of each token, one text after the other.
        lengths: int64 `(B,)`, the number of tokens of each text; may be 0.
    """
    fits = is_native(values) and numbers.dtype == lengths.dtype == torch.int64
    if fits and values.device.type == "cpu" and not torch.compiler.is_compiling():
        apply: Callable[..., torch.Tensor] = _WindowMaxima.apply  # torch does not declare its type
        return apply(values, numbers, lengths)
    return _maxima(values, numbers, lengths)


def _maxima(values: torch.Tensor, numbers: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    count, width, size = values.shape
    offsets, tokens = lengths.cumsum(0) - lengths, torch.arange(len(numbers), device=values.device)
    if width == 1:
        return functional.embedding_bag(numbers, values[:, 0], offsets, mode="max")
    ends = torch.repeat_interleave(offsets + lengths, lengths)
    places = tokens[:, None] + torch.arange(width, device=values.device)
    inside = places < ends[:, None]
    rows = torch.where(inside, numbers[places.clamp(max=max(len(numbers) - 1, 0))], count)
    flat = torch.cat([values, values.new_zeros(1, width, size)]).view(-1, size)
    places = rows * width + torch.arange(width, device=values.device)
    sums = functional.embedding_bag(places, flat, mode="sum")
    return functional.embedding_bag(tokens, sums, offsets, mode="max")


class _WindowMaxima(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: torch.Tensor, numbers: torch.Tensor, lengths: torch.Tensor
    ) -> torch.Tensor:
        numbers = packed(numbers)
        starts = functional.pad(lengths.cumsum(0), (1, 0))
        _, width, size = ctx.shape = values.shape
        out = values.new_empty(len(lengths), size)
        at = torch.empty(out.shape, dtype=torch.int32)
        kernels.native.window_maxima(
            values.detach().numpy(),
            *(one.numpy() for one in (numbers, starts, out, at)),
            width,
            size,
            thread_count(),
        )
        ctx.save_for_backward(at, numbers, starts)
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        at, numbers, starts = ctx.saved_tensors
        _, width, size = ctx.shape
        out = grad.new_zeros(ctx.shape)
        inputs = (packed(grad), at, numbers, starts, out)
        kernels.native.window_gradient(*(one.numpy() for one in inputs), width, size)
        return out, None, None
