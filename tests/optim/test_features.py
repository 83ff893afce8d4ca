"""Features of texts: the compiled loops and torch give what the definition says."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
import torch
from torch import nn

from finetune_embed.optim import kernels, text_features
from finetune_embed.optim.features import _in_torch

V = 9
IDS = torch.tensor([3, 1, 3, 3, 8, 1, 5, 0, 5, 5, 5, 5, 2, 6])
LENGTHS = torch.tensor([4, 0, 1, 7, 2, 0])  # empty, shorter than a window, one word repeated
POOLS = ("mean", "max", "min")

compiled_only = pytest.mark.skipif(
    kernels.native is None, reason="the compiled loops were not built here"
)
loops = pytest.mark.parametrize("loops", ["torch", pytest.param("compiled", marks=compiled_only)])


def made(size: int, count: int, widths: tuple[int, ...], dtype=torch.float32):
    """A table and filters."""
    torch.manual_seed(size + count)
    weight = nn.Parameter(torch.randn(V, size, dtype=dtype))
    kernels_ = [nn.Parameter(torch.randn(count, size, width, dtype=dtype)) for width in widths]
    return weight, [(one, nn.Parameter(torch.randn(count, dtype=dtype))) for one in kernels_]


def found(loops, weight, filters, pools=POOLS, sparse=False, ids=IDS, lengths=LENGTHS):
    function = text_features if loops == "compiled" else _in_torch
    return function(weight, ids, lengths, pools, filters, sparse)


def by_definition(weight, filters, pools=POOLS):
    rows = []
    for ids in IDS.split(LENGTHS.tolist()):
        words, nothing = weight[ids], weight.new_zeros(weight.shape[1])
        kinds = {"mean": torch.mean, "max": torch.amax, "min": torch.amin}
        parts = [kinds[pool](words, 0) if len(ids) else nothing for pool in pools]
        for one, bias in filters:
            windows = [words[at : at + one.shape[2]] for at in range(len(ids))]
            sums = [torch.einsum("fdw,wd->f", one[..., : len(w)], w) for w in windows]
            parts.append(torch.relu(torch.stack([*sums] or [bias * 0]).amax(0) + bias))
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def gradients(features, weight, filters):
    parameters = [weight, *(one for pair in filters for one in pair)]
    factors = torch.linspace(-1, 2, features.numel()).view(features.shape).to(features.dtype)
    return torch.autograd.grad((features * factors).sum(), parameters)


@loops
@pytest.mark.parametrize("pools", [POOLS, ("max",), ("min", "mean"), ()])
@pytest.mark.parametrize("widths", [(2, 3), (1, 5), (3,)])
@pytest.mark.parametrize(("size", "count"), [(1, 1), (7, 4), (3, 600), (600, 3)])
def test_features_and_gradients(loops, pools, widths, size, count):
    weight, filters = made(size, count, widths)
    features = found(loops, weight, filters, pools)
    exact = [one.detach().double().requires_grad_() for one in (weight, *sum(filters, ()))]
    pairs = list(zip(exact[1::2], exact[2::2], strict=True))
    expected = by_definition(exact[0], pairs, pools)
    assert features.shape == (6, len(pools) * size + count * len(widths))
    torch.testing.assert_close(features.double(), expected, rtol=1e-5, atol=1e-5 * size**0.5)
    with torch.no_grad():  # the loops write no places
        found_again = found(loops, weight, filters, pools)
        torch.testing.assert_close(found_again, features, rtol=1e-6, atol=1e-6 * size**0.5)
    given = gradients(features, weight, filters)
    for one, other in zip(given, gradients(expected, exact[0], pairs), strict=True):
        torch.testing.assert_close(
            one.double(), other, rtol=1e-5, atol=1e-5 * (size * count) ** 0.5
        )


@loops
@pytest.mark.parametrize("pools", [POOLS, ("max",)])
def test_without_filters(loops, pools):
    weight, _ = made(5, 1, ())
    features = found(loops, weight, [], pools)
    torch.testing.assert_close(features, by_definition(weight, [], pools))
    expected = gradients(by_definition(weight, [], pools), weight, [])
    torch.testing.assert_close(gradients(features, weight, []), expected)


def test_derivatives_of_the_torch_path():
    weight, filters = made(3, 2, (2, 3), dtype=torch.float64)

    def features(weight, two, bias_of_two, three, bias_of_three):
        pairs = [(two, bias_of_two), (three, bias_of_three)]
        return text_features(weight, IDS, LENGTHS, POOLS, pairs)

    assert torch.autograd.gradcheck(features, [weight, *sum(filters, ())])


@loops
def test_of_equal_maxima_the_first_has_the_gradient(loops):
    """Words 1 and 2 have one vector; each filter gives every window the same value."""
    weight = nn.Parameter(torch.ones(3, 2))
    filters = [(nn.Parameter(torch.ones(1, 2, 2)), nn.Parameter(torch.zeros(1)))]
    for ids in ([2, 1, 2], [1, 2, 1]):
        features = found(
            loops, weight, filters, ("max", "min"), ids=torch.tensor(ids), lengths=torch.tensor([3])
        )
        (grad, _, bias) = torch.autograd.grad(features.sum(), [weight, *filters[0]])
        expected = torch.zeros(3, 2)
        expected[ids[0]] = 3  # the maximum, the minimum, the first window of two words
        expected[ids[1]] = 1
        assert torch.equal(grad, expected)
        assert bias.tolist() == [1]


@loops
def test_relu_at_zero_has_no_gradient(loops):
    weight = nn.Parameter(torch.zeros(2, 1))
    filters = [(nn.Parameter(torch.ones(1, 1, 1)), nn.Parameter(torch.zeros(1)))]
    features = found(loops, weight, filters, (), ids=torch.tensor([1]), lengths=torch.tensor([1]))
    assert [one.tolist() for one in gradients(features, weight, filters)] == [
        [[0], [0]],
        [[[0]]],
        [0],
    ]


@loops
@pytest.mark.parametrize("sparse", [False, True])
def test_the_gradient_has_the_rows_of_the_batch(loops, sparse):
    weight, filters = made(4, 3, (2, 3))
    found(loops, weight, filters, sparse=sparse).square().sum().backward()
    assert weight.grad.is_sparse == sparse
    rows = weight.grad.to_dense().any(dim=1).nonzero()[:, 0].tolist()
    assert rows == sorted(set(IDS.tolist()))
    if sparse:
        assert weight.grad._indices().tolist() == [rows]


@compiled_only
@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_table_costs_no_gradient(monkeypatch, frozen):
    weight, filters = made(4, 3, (2, 3))
    weight.requires_grad_(not frozen)
    calls = []

    class Native:
        text_features, group = kernels.native.text_features, kernels.native.group

        @staticmethod
        def text_gradients(*args: object) -> None:
            calls.append(args[-1] is None)
            original(*args)

    original = kernels.native.text_gradients
    monkeypatch.setattr(kernels, "native", Native)
    text_features(weight, IDS, LENGTHS, POOLS, filters).sum().backward()
    assert calls == [frozen]
    assert (weight.grad is None) == frozen
    assert all(one.grad is not None for one in sum(filters, ()))


@compiled_only
def test_the_result_does_not_depend_on_the_threads():
    weight, filters = made(64, 32, (2, 3))
    lengths = torch.randint(0, 400, (300,))
    ids = torch.randint(V, (int(lengths.sum()),))
    alone = text_features(weight, ids, lengths, POOLS, filters)
    with kernels.own_threads(4):
        assert torch.equal(text_features(weight, ids, lengths, POOLS, filters), alone)


@compiled_only
def test_ids_and_lengths_are_checked():
    weight, filters = made(4, 3, (2, 3))
    for bad in (-1, V):
        with pytest.raises(IndexError, match=f"row {bad} is out of range for a table of 9 rows"):
            text_features(weight, torch.tensor([1, bad]), torch.tensor([2]), POOLS, filters)
    for lengths in ([1], [3], [3, -1]):
        with pytest.raises(ValueError, match="do not add up to the number of tokens"):
            text_features(weight, torch.tensor([1, 2]), torch.tensor(lengths), POOLS, filters)


@compiled_only
def test_other_numbers_take_the_torch_path():
    weight, filters = made(4, 3, (2, 3))
    expected = text_features(weight, IDS, LENGTHS, POOLS, filters)
    exact = [(one.double(), bias.double()) for one, bias in filters]
    found = text_features(weight.double(), IDS, LENGTHS, POOLS, exact)
    torch.testing.assert_close(found.float(), expected, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        low = text_features(weight, IDS, LENGTHS, POOLS, filters)
    assert not torch.equal(low, expected)
    torch.testing.assert_close(low.float(), expected, rtol=5e-2, atol=5e-2)


def test_passes_of_several_kinds_and_sizes_do_not_share_results():
    """The memory of products is used again: also after inference mode, and by a larger batch."""
    torch.manual_seed(0)
    weight = torch.randn(50, 8)
    filters = [(torch.randn(3, 8, 2), torch.randn(3))]
    batches = [(torch.randint(50, (n,)), torch.tensor([n])) for n in (40, 4, 300, 40)]
    ours, theirs = (torch.nn.Parameter(weight.clone()) for _ in range(2))
    expected = [_in_torch(theirs, *one, ("max",), filters, False) for one in batches]
    with torch.inference_mode():
        first = [text_features(weight, *one, ("max",), filters) for one in batches]
    again = [text_features(ours, *one, ("max",), filters) for one in batches]
    for found in (first, again):
        torch.testing.assert_close(torch.cat(found), torch.cat(expected))
    for found in (again, expected):
        torch.cat(found).square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def large() -> tuple[torch.Tensor, ...]:
    """A batch of so many words that two threads multiply them."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3000, 8, generator=generator)
    filters = torch.randn(3, 8, 2, generator=generator), torch.zeros(3)
    return weight, torch.arange(3000), torch.tensor([1000, 2000]), filters


def test_threads_do_not_change_the_bits():
    weight, *texts, filters = large()
    with kernels.own_threads(1):
        expected = text_features(weight, *texts, ("max",), [filters])
    given = weight, *texts, ("max",), [filters]
    with ThreadPoolExecutor(3) as pool, kernels.own_threads(2):
        contexts = [copy_context() for _ in range(9)]  # which have the number of threads
        found = [pool.submit(context.run, text_features, *given) for context in contexts]
    with torch.inference_mode(), kernels.own_threads(2):
        assert text_features(*given).equal(expected)
    assert all(done.result().equal(expected) for done in found)
    assert expected.allclose(_in_torch(weight, *texts, ("max",), [filters], False), atol=1e-5)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own():
    weight, *texts, filters = large()
    with kernels.own_threads(2):
        expected = text_features(weight, *texts, ("max",), [filters])
        child = os.fork()
        if not child:
            status = 4
            try:
                found = text_features(weight, *texts, ("max",), [filters])
                status = 0 if found.equal(expected) else 3
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
