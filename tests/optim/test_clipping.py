"""Clipping by rows and of everything, with and without a gradient scaler."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

import finetune_embed as fe
from finetune_embed.optim import kernels
from finetune_embed.strategies.row_rules import attach_rule

V, D = 9, 4


@pytest.fixture(params=["compiled", "torch"], autouse=True)
def loops(request, monkeypatch):
    if request.param == "torch":
        monkeypatch.setattr(kernels, "native", None)
    elif kernels.native is None:
        pytest.skip("the compiled loops were not built here")


def start(seed: int = 0) -> torch.Tensor:
    return torch.randn(V, D, generator=torch.Generator().manual_seed(seed))


def sparse(rows: dict[int, list[float]]) -> torch.Tensor:
    index, values = torch.tensor([list(rows)]), torch.tensor(list(rows.values()))
    return torch.sparse_coo_tensor(index, values, (V, values.shape[1]), check_invariants=True)


def both(**options: Any) -> tuple[nn.Parameter, nn.Parameter, fe.RowAdamW]:
    table, layer = nn.Parameter(start(1)), nn.Parameter(start(2))
    groups = [{"params": [table], "row_wise": True}, {"params": [layer]}]
    return table, layer, fe.RowAdamW(groups, lr=0.1, weight_decay=0.1, **options)


@pytest.mark.parametrize("max_norm", [0.01, 1.0, 5.0, 1e9, float("inf")])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_equals_torchs_clipping_and_adamw_when_every_row_is_touched(is_sparse, max_norm):
    table, layer, optimizer = both(max_grad_norm=max_norm)
    theirs = [nn.Parameter(start(1)), nn.Parameter(start(2))]
    adamw = torch.optim.AdamW(theirs, lr=0.1, weight_decay=0.1, foreach=False)
    for step in range(20):
        grads = start(10 + step) * (step + 1), start(40 + step)
        table.grad = grads[0].to_sparse(1) if is_sparse else grads[0].clone()
        layer.grad = grads[1].clone()
        for parameter, grad in zip(theirs, grads, strict=True):
            parameter.grad = grad.clone()
        norm = clip_grad_norm_(theirs, max_norm)
        adamw.step()
        optimizer.step()
        assert optimizer.grad_norm is not None
        torch.testing.assert_close(optimizer.grad_norm, norm.double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(table, theirs[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer, theirs[1], rtol=1e-4, atol=1e-5)
    # clipping has an effect: gradients grow, and are clipped to one norm
    if max_norm <= 1:
        free, _, unclipped = both()
        for step in range(20):
            free.grad = start(10 + step) * (step + 1)
            unclipped.step()
        assert (free - table).abs().max() > 0.05


def moment(optimizer: fe.RowAdamW, weight: nn.Parameter, row: int) -> list[float]:
    """Return the gradient of the only step, from the first moment."""
    state = optimizer.state[weight]
    (at,) = (state["rows"] == row).nonzero().squeeze(1).tolist()
    return (state["exp_avg"][at] / 0.1).tolist()


def test_rows_are_clipped_before_everything():
    """Computed by hand; in the other order, nothing would be left to clip of the first row."""
    table, layer = nn.Parameter(torch.zeros(V, 2)), nn.Parameter(torch.zeros(1))
    groups = [{"params": [table], "row_wise": True, "max_row_grad_norm": 5.0}, {"params": [layer]}]
    optimizer = fe.RowAdamW(groups, max_grad_norm=6.5)
    table.grad, layer.grad = sparse({3: [30.0, 40.0], 5: [0.0, 12.0 / 1000]}), torch.tensor([12.0])
    optimizer.step()
    # the row of norm 50 is clipped to 5; with 12 the norm of all is 13, which is halved
    assert float(optimizer.grad_norm) == pytest.approx(13.0, rel=1e-5)
    assert moment(optimizer, table, 3) == pytest.approx([1.5, 2.0], rel=1e-5)
    assert moment(optimizer, table, 5) == pytest.approx([0.0, 0.006], rel=1e-5)
    assert float(optimizer.state[layer]["exp_avg"]) == pytest.approx(0.6, rel=1e-5)


def test_the_gradients_themselves_stay_unchanged():
    table, layer, optimizer = both(max_grad_norm=0.1, max_row_grad_norm=0.01)
    table.grad, layer.grad = sparse({1: [1.0] * D}), torch.ones(V, D)
    optimizer.step()
    assert torch.equal(table.grad.to_dense(), sparse({1: [1.0] * D}).to_dense())
    assert torch.equal(layer.grad, torch.ones(V, D))


@pytest.mark.parametrize("parts", [[[3.0, 4.0]], [[1.0, 4.0], [2.0, 0.0]]])
def test_a_row_given_in_parts_is_clipped_by_its_sum(parts):
    weight = nn.Parameter(torch.zeros(V, 2))
    optimizer = fe.RowAdamW([weight], max_row_grad_norm=1.0)
    index = torch.tensor([[2] * len(parts)])
    weight.grad = torch.sparse_coo_tensor(index, torch.tensor(parts), (V, 2), check_invariants=True)
    optimizer.step()
    assert moment(optimizer, weight, 2) == pytest.approx([0.6, 0.8], rel=1e-5)
    assert optimizer.grad_norm is None


def test_rows_that_do_not_train_count_nothing():
    weight = nn.Parameter(torch.zeros(V, 2))
    attach_rule(weight, fe.RowRule(train=torch.arange(V) != 4))
    optimizer = fe.RowAdamW([{"params": [weight], "row_wise": True}], max_grad_norm=100.0)
    weight.grad = sparse({1: [3.0, 4.0], 4: [300.0, 400.0]})
    optimizer.step()
    assert float(optimizer.grad_norm) == pytest.approx(5.0)


def test_with_nothing_to_step_the_norm_is_zero():
    *_, optimizer = both(max_grad_norm=1.0)
    optimizer.step()
    assert float(optimizer.grad_norm) == 0.0


def test_a_gradient_that_is_not_finite_makes_everything_so_as_with_torch():
    table, layer, optimizer = both(max_grad_norm=1.0)
    table.grad, layer.grad = sparse({1: [float("inf")] * D}), torch.ones(V, D)
    optimizer.step()
    assert float(optimizer.grad_norm) == float("inf")
    assert torch.isnan(table[1]).all()
    assert torch.equal(table[2:], start(1)[2:])


@pytest.mark.parametrize("name", ["max_grad_norm", "max_row_grad_norm"])
@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan")])
def test_a_limit_must_be_above_zero(name, limit):
    with pytest.raises(fe.StrategyError, match=rf"^{name}={limit} must be above 0, or None for no"):
        fe.RowAdamW([nn.Parameter(start())], **{name: limit})


# --- gradient scaler ----------------------------------------------------------------------------


@pytest.mark.parametrize("is_sparse", [False, True])
def test_under_a_gradient_scaler_it_is_the_same(is_sparse):
    """Scales are powers of two, so the bits are the same."""

    def run(scaled: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        torch.manual_seed(0)
        embedding = nn.Embedding(V, D, sparse=is_sparse)
        model = nn.Sequential(embedding, nn.Linear(D, 2))
        groups = fe.FullTune().param_groups(model, embedding, lr=0.1)
        optimizer = fe.RowAdamW(groups, max_grad_norm=0.5, max_row_grad_norm=0.2)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scaled)
        norms = []
        for step in range(6):
            optimizer.zero_grad()
            loss = model(torch.tensor([[step, 1], [2, 2]])).square().sum()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            norms.append(optimizer.grad_norm)
        return embedding.weight.detach(), model[1].weight.detach(), torch.stack(norms)

    assert all(torch.equal(a, b) for a, b in zip(run(True), run(False), strict=True))


def test_a_step_that_overflows_is_skipped():
    embedding = nn.Embedding(V, D, sparse=True)
    optimizer = fe.RowAdamW([{"params": [embedding.weight], "row_wise": True}], lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = embedding.weight.detach().clone()
    scaler.scale(embedding(torch.tensor([1])).sum() * float("inf")).backward()
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(embedding.weight, before)
    assert scaler.get_scale() == 512.0
    assert not optimizer.state


def test_two_backward_passes_are_the_step_of_their_sum():
    def run(accumulate: bool) -> torch.Tensor:
        embedding = nn.Embedding.from_pretrained(start(), freeze=False, sparse=True)
        optimizer = fe.RowAdamW([embedding.weight], lr=0.1, max_grad_norm=1.0)
        batches = torch.tensor([[1, 2, 2]]), torch.tensor([[2, 5, 8]])
        for _ in range(3):
            optimizer.zero_grad()
            for ids in batches if accumulate else [torch.cat(batches)]:
                embedding(ids).sum().backward()
            optimizer.step()
        return embedding.weight.detach()

    assert torch.equal(run(True), run(False))
    assert (run(True) != start()).any(dim=1).nonzero().squeeze(1).tolist() == [1, 2, 5, 8]


@pytest.mark.parametrize("limit", ["max_grad_norm", "max_row_grad_norm"])
def test_a_limit_of_infinity_measures_and_clips_nothing(limit):
    table, layer, optimizer = both(**{limit: float("inf")})
    rows = {2: [float("inf")] + [0.5] * (D - 1), 4: [0.25] * D}
    table.grad, layer.grad = sparse(rows), torch.ones(V, D)
    optimizer.step()
    if limit == "max_grad_norm":
        assert optimizer.grad_norm == float("inf")
    other = both()
    other[0].grad, other[1].grad = table.grad, layer.grad
    other[2].step()
    for mine, expected in ((table, other[0]), (layer, other[1])):
        torch.testing.assert_close(mine, expected, rtol=0, atol=0, equal_nan=True)
    assert torch.isfinite(table[2, 1:]).all()
    assert torch.isfinite(layer).all()
