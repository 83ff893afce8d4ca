"""Whether an embedding only looks rows up, and ids without padding."""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import nn

__all__ = ["is_plain", "without_padding"]


def without_padding(
    ids: torch.Tensor, lengths: torch.Tensor, embedding: nn.Module
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ids `(N,)` without any padding, and the number of them in each text, `(B,)`."""
    padding = getattr(embedding, "padding_idx", None)
    if ids.ndim == 2:
        columns = torch.arange(ids.shape[1], device=ids.device)
        words = columns < lengths[:, None] if padding is None else ids != padding
        return ids[words], words.sum(dim=1)
    if padding is None or bool((words := ids != padding).all()):
        return ids, lengths
    texts = torch.repeat_interleave(lengths)
    return ids[words], torch.zeros_like(lengths).index_add_(0, texts, words.to(lengths.dtype))


def is_plain(embedding: nn.Module) -> TypeGuard[nn.Embedding]:
    """Return whether an embedding does nothing but look up rows."""
    hooks = (
        embedding._forward_hooks,
        embedding._forward_pre_hooks,
        embedding._backward_hooks,
        embedding._backward_pre_hooks,
    )
    return (
        isinstance(embedding, nn.Embedding)
        and type(embedding).forward is nn.Embedding.forward
        and embedding.max_norm is None
        and not embedding.scale_grad_by_freq
        and not any(hooks)
    )
