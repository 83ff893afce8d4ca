"""The mean bag: torch's embedding_bag, with a gradient of the batch's different rows."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.optim import kernels, mean_bag

V = 12
compiled = pytest.mark.skipif(
    kernels.native is None, reason="the compiled loops were not built here"
)


def table(size: int = 3, **options: Any) -> nn.Parameter:
    return nn.Parameter(torch.randn(V, size, generator=torch.Generator().manual_seed(0), **options))


def slow(weight: torch.Tensor, texts: list[list[int]]) -> torch.Tensor:
    means = [
        weight[text].mean(dim=0) if text else weight.new_zeros(weight.shape[1]) for text in texts
    ]
    return torch.stack(means)


def packed(texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.tensor([i for text in texts for i in text], dtype=torch.int64)
    return ids, torch.tensor([len(text) for text in texts])


@settings(max_examples=60, deadline=None)
@given(
    texts=st.lists(st.lists(st.integers(0, V - 1), max_size=6), min_size=1, max_size=6),
    size=st.sampled_from([1, 3, 16, 50]),
    sparse=st.booleans(),
    native=st.booleans(),
)
def test_means_and_gradients_are_those_of_a_slow_mean(texts, size, sparse, native):
    with pytest.MonkeyPatch.context() as patch:
        if not native:
            patch.setattr(kernels, "native", None)
        weight, other = table(size), table(size)
        means, expected = mean_bag(weight, *packed(texts), sparse), slow(other, texts)
        torch.testing.assert_close(means, expected)
        factor = torch.linspace(-1, 2, means.numel()).reshape(means.shape)
        (means * factor).sum().backward()
        (expected * factor + 0 * other.sum()).sum().backward()
    assert weight.grad is not None
    assert weight.grad.is_sparse == sparse
    torch.testing.assert_close(weight.grad.to_dense(), other.grad, rtol=1e-5, atol=1e-6)


@compiled
def test_the_gradient_has_each_row_of_the_batch_once():
    weight = table()
    mean_bag(weight, *packed([[7, 7, 2], [], [2], [9]]), sparse=True).sum().backward()
    assert weight.grad is not None
    assert weight.grad._indices().tolist() == [[2, 7, 9]]
    third = 1 / 3
    assert torch.equal(
        weight.grad._values(), torch.tensor([[third + 1], [third + third], [1]]).expand(3, 3)
    )


@compiled
def test_the_gradient_has_the_same_bits_with_any_number_of_threads():
    ids = torch.randint(0, V, (40_000,), generator=torch.Generator().manual_seed(1))
    lengths, before, grads = torch.full((1000,), 40), torch.get_num_threads(), []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        weight = table(50)
        means = mean_bag(weight, ids, lengths, sparse=True)
        means.backward(torch.linspace(-1, 1, means.numel()).reshape(means.shape))
        grads.append(weight.grad.to_dense())
    torch.set_num_threads(before)
    assert torch.equal(grads[0], grads[1])
    assert torch.equal(grads[0], grads[2])


@compiled
def test_hooks_and_several_backward_passes_see_an_ordinary_sparse_gradient():
    weight, seen = table(), []
    weight.register_hook(lambda grad: seen.append(grad.is_sparse))
    for texts in ([[1, 2]], [[2, 5, 5]]):
        mean_bag(weight, *packed(texts), sparse=True).sum().backward()
    other = table()
    (slow(other, [[1, 2], [2, 5, 5]])).sum().backward()
    torch.testing.assert_close(weight.grad.to_dense(), other.grad)
    assert seen == [True, True]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("sparse", [False, True])
def test_other_kinds_of_numbers(dtype, sparse):
    weight, texts = table(dtype=dtype), [[1, 2, 2], [], [3]]
    means = mean_bag(weight, *packed(texts), sparse)
    assert means.dtype == dtype
    torch.testing.assert_close(means, slow(weight, texts))
    means.sum().backward()
    assert weight.grad.to_dense()[2, 0] == torch.tensor(2 / 3, dtype=dtype)


def test_a_weight_that_is_not_contiguous():
    weight = nn.Parameter(torch.randn(3, V).t())
    texts = [[1, 2, 2], [], [3]]
    means = mean_bag(weight, *packed(texts), sparse=True)
    torch.testing.assert_close(means, slow(weight, texts))


@pytest.mark.parametrize("lengths", [[1], [2, 2], [0]])
def test_lengths_that_do_not_add_up_are_an_error(lengths):
    with pytest.raises(fe.DataError, match=r"lengths add up to \d, but there are 3 ids; give"):
        mean_bag(table(), torch.tensor([1, 2, 3]), torch.tensor(lengths))


@pytest.mark.parametrize("bad", [-1, V])
@pytest.mark.parametrize("sparse", [False, True])
def test_an_id_out_of_range_is_an_error(bad, sparse):
    with pytest.raises((IndexError, RuntimeError), match=r"(?i)index|out of range|idx"):
        mean_bag(table(), torch.tensor([1, bad]), torch.tensor([2]), sparse)


def test_training_with_it_is_training_with_embedding_bag():
    def run(ours: bool) -> torch.Tensor:
        weight = table()
        optimizer = fe.RowAdamW([{"params": [weight], "row_wise": True}], lr=0.1)
        for step in range(10):
            ids, lengths = packed([[step, 1, 1], [2, (step * 5) % V]])
            if ours:
                means = mean_bag(weight, ids, lengths, sparse=True)
            else:
                offsets = lengths.cumsum(0) - lengths
                means = functional.embedding_bag(ids, weight, offsets, mode="mean", sparse=True)
            optimizer.zero_grad()
            (means.square().sum() + means.sum()).backward()
            optimizer.step()
        return weight.detach()

    torch.testing.assert_close(run(True), run(False), rtol=1e-5, atol=1e-6)
    assert (run(True) - table().detach()).abs().max() > 0.5


def test_lengths_of_32_bits():
    weights = [table(), table()]
    ids, lengths = packed([[1, 2, 2], [], [5]])
    for weight, of in zip(weights, (lengths, lengths.to(torch.int32)), strict=True):
        mean_bag(weight, ids, of, sparse=True).square().sum().backward()
    grads = [weight.grad.to_dense() for weight in weights]
    torch.testing.assert_close(*grads)
    assert grads[0].any()
