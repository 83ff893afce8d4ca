"""Max pooling of windows: the compiled loops and torch give what the definition says."""

from __future__ import annotations

import pytest
import torch

from finetune_embed.optim import kernels, window_maxima
from finetune_embed.optim.windows import _maxima


def _by_definition(values, numbers, lengths):
    _, width, size = values.shape
    rows, start = [], 0
    for length in lengths.tolist():
        found = [torch.zeros(size)] if not length else []
        for token in range(start, start + length):
            last = min(token + width, start + length)
            found.append(sum(values[numbers[i], i - token] for i in range(token, last)))
        rows.append(torch.stack(found).amax(dim=0))
        start += length
    return torch.stack(rows)


@pytest.mark.parametrize("loops", ["compiled", "torch"])
@pytest.mark.parametrize("width", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 7, 600])
def test_maxima_and_gradients(loops, width, size):
    if loops == "compiled" and kernels.native is None:
        pytest.skip("the compiled loops were not built here")
    torch.manual_seed(width)
    values = torch.randn(9, width, size, requires_grad=True)
    lengths = torch.tensor([4, 0, 1, 7, 2])
    numbers = torch.randint(9, (14,))
    found = (window_maxima if loops == "compiled" else _maxima)(values, numbers, lengths)
    weights = torch.randn(found.shape)
    (gradient,) = torch.autograd.grad((found * weights).sum(), values)
    expected = _by_definition(values, numbers, lengths)
    (expected_gradient,) = torch.autograd.grad((expected * weights).sum(), values)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-6, atol=1e-6)


@pytest.mark.skipif(kernels.native is None, reason="the compiled loops were not built here")
def test_the_result_does_not_depend_on_the_threads():
    torch.manual_seed(0)
    values, lengths = torch.randn(500, 3, 64), torch.randint(0, 40, (300,))
    numbers = torch.randint(500, (int(lengths.sum()),))
    alone = window_maxima(values, numbers, lengths)
    with kernels.own_threads(4):
        assert torch.equal(window_maxima(values, numbers, lengths), alone)
