"""RowAdamW against torch's AdamW and against a reference that works row by row."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from row_reference import (
    RULES,
    AdamReference,
    D,
    Rows,
    V,
    dense,
    random_steps,
    rate_at,
    sparse,
    spread,
    start,
)
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR

import finetune_embed as fe
from finetune_embed.strategies.row_rules import attach_rule, claim


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def optimizer_of(weight: nn.Parameter, **options: Any) -> fe.RowAdamW:
    return fe.RowAdamW([{"params": [weight], "row_wise": True, **options}])


# --- law 6: equal to torch.optim.AdamW when every row is touched ------------------------------


@pytest.mark.parametrize("form", ["row-wise dense", "row-wise sparse", "not row-wise"])
@pytest.mark.parametrize(
    ("lr", "weight_decay", "betas", "eps"),
    [
        (1e-3, 0.0, (0.9, 0.999), 1e-8),
        (1e-2, 0.1, (0.9, 0.999), 1e-8),
        (5e-2, 0.5, (0.8, 0.95), 1e-6),
        (1e-1, 0.01, (0.0, 0.5), 1e-3),
    ],
)
def test_law6_equals_adamw_when_every_row_is_touched(lr, weight_decay, betas, eps, form):
    ours, theirs = nn.Parameter(start()), nn.Parameter(start())
    options = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
    row_adamw = fe.RowAdamW([{"params": [ours], "row_wise": form != "not row-wise"}], **options)
    adamw = torch.optim.AdamW([theirs], foreach=False, **options)
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        grad = torch.randn(V, D, generator=generator)
        ours.grad = grad.to_sparse(1) if form == "row-wise sparse" else grad.clone()
        theirs.grad = grad.clone()
        row_adamw.step()
        adamw.step()
    torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6)
    assert (ours - start()).abs().mean() > lr  # it moved far enough for a difference to show


# --- against the reference, on random sets of touched rows -----------------------------------


@pytest.mark.parametrize("weight_decay", [0.0, 0.7])
@pytest.mark.parametrize("name", RULES)
def test_equals_the_row_by_row_reference(name, weight_decay):
    """In float64, with a changing rate and gate, and rows that miss many steps."""
    rule = RULES[name]()
    if weight_decay:
        rule = replace(rule, decay=0.0)  # a table has one of the two
    weight = nn.Parameter(start(dtype=torch.float64))
    attach_rule(weight, rule)
    optimizer = optimizer_of(weight, lr=0.1, betas=(0.8, 0.9), weight_decay=weight_decay)
    reference = AdamReference(start(), betas=(0.8, 0.9), weight_decay=weight_decay, rule=rule)
    for step, rows in enumerate(random_steps(2, 80, most=4)):
        gate = 0.5 if step % 4 == 3 else 1.0
        optimizer.param_groups[0]["lr"] = rate_at(step)
        weight.row_gate = gate
        weight.grad = dense(rows, torch.float64)
        optimizer.step()
        reference.step(rows, rate_at(step), gate)
        np.testing.assert_allclose(weight.detach().numpy(), reference.w, rtol=1e-9, atol=1e-11)
        if step in (30, 79):
            optimizer.flush()
            reference.flush()
            np.testing.assert_allclose(weight.detach().numpy(), reference.w, rtol=1e-9, atol=1e-11)
    assert spread(optimizer, weight, "step").tolist() == reference.n
    moved = (weight.detach() != start(dtype=torch.float64)).any(dim=1)
    allowed = torch.ones(V, dtype=torch.bool) if rule.train is None else rule.train.clone()
    if name == "scale" and not weight_decay:
        allowed[0] = False  # its scale is 0
    assert torch.equal(moved, allowed)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    steps=st.integers(1, 25),
    most=st.integers(1, V),
    weight_decay=st.sampled_from([0.0, 0.01, 1.0]),
    decay=st.sampled_from([0.0, 0.5]),
    flush_every=st.sampled_from([1, 3, 100]),
)
def test_equals_the_reference_on_any_touched_rows(
    seed, steps, most, weight_decay, decay, flush_every
):
    rule = fe.RowRule(anchor=start(3), decay=decay)
    weight_decay = 0.0 if decay else weight_decay
    weight = nn.Parameter(start(seed % 7, torch.float64))
    attach_rule(weight, rule)
    optimizer = optimizer_of(weight, weight_decay=weight_decay)
    reference = AdamReference(weight.detach().float(), weight_decay=weight_decay, rule=rule)
    for step, rows in enumerate(random_steps(seed, steps, most)):
        optimizer.param_groups[0]["lr"] = rate_at(step)
        weight.grad = sparse(rows, torch.float64, parts=1 + step % 3)
        optimizer.step()
        reference.step(rows, rate_at(step))
        if step % flush_every == flush_every - 1:
            optimizer.flush()
            reference.flush()
    np.testing.assert_allclose(weight.detach().numpy(), reference.w, rtol=1e-9, atol=1e-11)


def test_flush_makes_up_for_each_missed_step_at_the_rate_of_its_time():
    """A row touched once and then missed; the numbers are computed by hand."""
    weight = nn.Parameter(torch.full((2, 1), 8.0, dtype=torch.float64))
    optimizer = optimizer_of(weight, weight_decay=1.0, betas=(0.0, 0.0), eps=0.0)
    touched, missed = torch.tensor([[1.0], [0.0]]), torch.zeros(2, 1)
    for lr, grad in ((0.5, touched), (0.5, missed), (0.25, missed), (0.0, missed)):
        optimizer.param_groups[0]["lr"] = lr
        weight.grad = grad.double()
        optimizer.step()
    # 8 x (1 - 0.5) - 0.5 x sign = 3.5, and nothing since
    np.testing.assert_allclose(weight.detach().numpy(), [[3.5], [8.0]], rtol=1e-15)
    optimizer.flush()
    # x (1 - 0.5) x (1 - 0.25) x (1 - 0)
    np.testing.assert_allclose(weight.detach().numpy(), [[1.3125], [8.0]], rtol=1e-15)
    optimizer.flush()
    np.testing.assert_allclose(weight.detach().numpy(), [[1.3125], [8.0]], rtol=1e-15)


def test_flush_holds_rows_that_owed_decay_to_the_bounds_of_their_rule():
    """The anchor lies outside these bounds, and missed steps pull toward it."""
    weight = nn.Parameter(torch.full((2, D), 0.1))
    anchor = torch.full((2, D), 5.0)
    attach_rule(weight, fe.RowRule(anchor=anchor, decay=1.0, max_norm=1.0))
    optimizer = fe.RowAdamW([{"params": [weight], "row_wise": True}], lr=0.1)
    for rows in ([0, 1], [1], [1], [1]):
        ids, ones = torch.tensor([rows]), torch.ones(len(rows), D)
        weight.grad = torch.sparse_coo_tensor(ids, ones, (2, D), check_invariants=True)
        optimizer.step()
    before = weight.detach().clone()
    optimizer.flush()
    assert not torch.equal(weight[0], before[0])
    assert weight[0].norm() <= 1 + 1e-6
    assert torch.equal(weight[1], before[1])  # owed nothing
    after = weight.detach().clone()
    optimizer.flush()
    assert torch.equal(weight, after)


def test_flush_leaves_a_frozen_table_alone_and_makes_up_for_it_once_it_is_open():
    weight = nn.Parameter(start())
    optimizer = optimizer_of(weight, lr=0.1, weight_decay=1.0)
    everything = {row: np.ones(D) for row in range(V)}
    for rows in (everything, {0: np.ones(D)}):
        weight.grad = dense(rows)
        optimizer.step()
    weight.requires_grad_(False)
    weight.grad = None
    frozen = weight.detach().clone()
    optimizer.step()
    optimizer.flush()
    assert torch.equal(weight, frozen)
    weight.requires_grad_(True)
    optimizer.flush()
    torch.testing.assert_close(weight[1:], frozen[1:] * 0.9)  # the one step with decay it missed
    assert torch.equal(weight[0], frozen[0])


def test_flush_makes_up_for_the_decay_of_a_rule_toward_its_anchor():
    """The same row, pulled to 2 after the update; the numbers are computed by hand."""
    weight = nn.Parameter(torch.full((2, 1), 8.0, dtype=torch.float64))
    attach_rule(weight, fe.RowRule(anchor=torch.full((2, 1), 2.0), decay=1.0))
    optimizer = optimizer_of(weight, betas=(0.0, 0.0), eps=0.0)
    touched, missed = torch.tensor([[1.0], [0.0]]), torch.zeros(2, 1)
    for lr, grad in ((0.5, touched), (0.5, missed), (0.25, missed), (0.0, missed)):
        optimizer.param_groups[0]["lr"] = lr
        weight.grad = grad.double()
        optimizer.step()
    # 8 - 0.5 = 7.5, whose distance to 2 is halved
    np.testing.assert_allclose(weight.detach().numpy(), [[4.75], [8.0]], rtol=1e-15)
    for _ in range(2):
        optimizer.flush()
        # 2.75 x (1 - 0.5) x (1 - 0.25) from 2
        np.testing.assert_allclose(weight.detach().numpy(), [[3.03125], [8.0]], rtol=1e-15)
    state = optimizer.state[weight]
    assert state["rows"].tolist() == [0]
    assert (state["log_decay"].shape, state["decay_seen"].shape) == ((), (1,))


@pytest.mark.parametrize(
    ("weight_decay", "decay", "lr", "product"),
    [(1.0, 0.0, 1.0, "1"), (0.0, 4.0, 0.5, "2"), (20.0, 0.0, 0.1, "2")],
)
@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_rate_times_decay_of_one_or_more_is_an_error(is_sparse, weight_decay, decay, lr, product):
    weight = nn.Parameter(start())
    attach_rule(weight, fe.RowRule(decay=decay))
    optimizer = optimizer_of(weight, lr=lr, weight_decay=weight_decay)
    rows = {1: np.ones(D)}
    weight.grad = sparse(rows) if is_sparse else dense(rows)
    message = rf"^the learning rate {lr:g} times the decay \d+ is {product}, .* smaller lr or"
    with pytest.raises(fe.StrategyError, match=message):
        optimizer.step()
    assert torch.equal(weight, start())
    optimizer.param_groups[0]["lr"] = 0.99 / (weight_decay or decay)
    optimizer.step()
    assert torch.isfinite(weight).all()


def test_weight_decay_and_the_decay_of_a_rule_on_one_table_are_an_error():
    weight = nn.Parameter(start())
    attach_rule(weight, fe.RowRule(decay=0.2))
    optimizer = optimizer_of(weight, lr=0.1, weight_decay=0.3)
    weight.grad = dense({1: np.ones(D)})
    with pytest.raises(fe.StrategyError, match=r"weight_decay=0.3 and a RowRule with decay=0.2, "):
        optimizer.step()
    assert torch.equal(weight, start())


# --- the order and the arithmetic of rules, computed by hand ---------------------------------


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # one step at lr 1 from (3, 4) with a gradient of the same sign moves to (2, 3)
        (fe.RowRule(), (2.0, 3.0)),
        (fe.RowRule(train=torch.tensor([False])), (3.0, 4.0)),
        (fe.RowRule(scale=torch.tensor([0.5])), (2.5, 3.5)),
        (fe.RowRule(decay=0.5), (1.0, 1.5)),
        (fe.RowRule(anchor=torch.tensor([[4.0, 1.0]]), decay=0.5), (3.0, 2.0)),
        (fe.RowRule(shrink=100.0), (0.0, 0.0)),
        (fe.RowRule(shrink=math.sqrt(13) / 2), (1.0, 1.5)),
        (fe.RowRule(anchor=torch.tensor([[2.0, 0.0]]), shrink=1.0), (2.0, 2.0)),
        (fe.RowRule(anchor=torch.tensor([[2.0, 0.0]]), radius=0.5), (2.0, 0.5)),
        (fe.RowRule(max_norm=math.sqrt(13) / 4), (0.5, 0.75)),
        # decay: (2, 3) - (2, 0) -> (0, 2.4); shrink by 1 -> (0, 1.4); radius -> (0, 1); + anchor =
        # (2, 1), of length sqrt 5; max_norm 1 -> / sqrt 5. In any other order it is something else
        (
            fe.RowRule(
                anchor=torch.tensor([[2.0, 0.0]]), decay=0.2, shrink=1.0, radius=1.0, max_norm=1.0
            ),
            (2 / math.sqrt(5), 1 / math.sqrt(5)),
        ),
        (fe.RowRule(anchor=torch.tensor([[2.0, 0.0]]), decay=0.2, shrink=1.0), (2.0, 1.4)),
    ],
)
def test_rule_by_hand(rule, expected):
    weight = nn.Parameter(torch.tensor([[3.0, 4.0]], dtype=torch.float64))
    attach_rule(weight, rule)
    optimizer = optimizer_of(weight, lr=1.0, eps=0.0)
    weight.grad = torch.tensor([[0.3, 20.0]], dtype=torch.float64)
    optimizer.step()
    np.testing.assert_allclose(weight.detach().numpy()[0], expected, rtol=1e-12)


def test_shrink_reaches_the_anchor_exactly():
    weight = nn.Parameter(start())
    attach_rule(weight, fe.RowRule(anchor=start(), shrink=1e3))
    optimizer = optimizer_of(weight, lr=0.01)
    for rows in random_steps(3, 20):
        weight.grad = dense(rows)
        optimizer.step()
    assert torch.equal(weight, start())


def test_a_rule_binds_touched_rows_only():
    weight = nn.Parameter(start())
    attach_rule(weight, fe.RowRule(max_norm=1e-3, decay=1.0, shrink=1.0, radius=1e-4))
    optimizer = optimizer_of(weight, lr=0.1)
    weight.grad = dense({2: np.ones(D)})
    optimizer.step()
    others = [row for row in range(V) if row != 2]
    assert torch.equal(weight[others], start()[others])
    assert weight[2].norm() <= 1.0001e-4


# --- dense, sparse and uncoalesced gradients, bit for bit --------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_dense_sparse_and_uncoalesced_gradients_give_the_same_bits(name):
    ends, states = [], []
    for form in ("dense", "coalesced", "uncoalesced", "shuffled"):
        weight = nn.Parameter(start())
        attach_rule(weight, RULES[name]())
        decay = 0.0 if RULES[name]().decay else 0.3
        optimizer = optimizer_of(weight, lr=0.05, weight_decay=decay)
        for step, rows in enumerate(random_steps(4, 40)):
            if form == "dense":
                weight.grad = dense(rows)
            elif form == "coalesced":
                weight.grad = sparse(rows).coalesce()
            elif form == "uncoalesced":
                weight.grad = sparse(rows, parts=2 + step % 2)
            else:
                weight.grad = sparse(dict(reversed(rows.items())), parts=3)
            if form != "dense":
                assert weight.grad.is_coalesced() == (form == "coalesced" or len(rows) == 0)
            optimizer.step()
        optimizer.flush()
        ends.append(weight.detach())
        states.append(optimizer.state[weight])
    assert not torch.equal(ends[0], start())
    for end, state in zip(ends[1:], states[1:], strict=True):
        assert torch.equal(end, ends[0])
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[key], states[0][key]) for key in state)


@pytest.mark.parametrize("sparse_grad", [False, True])
def test_an_embedding_gives_the_same_bits_with_dense_and_sparse_gradients(sparse_grad):
    """Through autograd, with words that occur twice and three times in a batch."""
    ids = torch.tensor([[1, 2, 2], [3, 5, 0], [5, 5, 1]])

    def run(is_sparse: bool) -> torch.Tensor:
        embedding = nn.Embedding.from_pretrained(
            start(), freeze=False, padding_idx=0, sparse=is_sparse
        )
        optimizer = optimizer_of(embedding.weight, lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (embedding(ids).sum() * 0.5).backward()
            optimizer.step()
        return embedding.weight.detach()

    assert torch.equal(run(sparse_grad), run(False))
    moved = (run(sparse_grad) != start()).any(dim=1).nonzero().squeeze(1)
    assert moved.tolist() == [1, 2, 3, 5]


# --- law 5: a row that is not in the batch does not move ----------------------------------------


@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_law5_rows_outside_the_batch_stay_though_they_have_momentum(is_sparse, weight_decay):
    weight = nn.Parameter(start())
    optimizer = optimizer_of(weight, lr=0.1, weight_decay=weight_decay)
    for rows in random_steps(5, 10, V):  # every row builds up momentum
        weight.grad = sparse(rows) if is_sparse else dense(rows)
        optimizer.step()
    optimizer.flush()
    assert optimizer.state[weight]["exp_avg"].abs().min() > 0
    for batch in ({3: np.ones(D)}, {0: np.ones(D), 8: -np.ones(D)}, {}):
        before, names = weight.detach().clone(), ("exp_avg", "exp_avg_sq", "step")
        moments = [spread(optimizer, weight, name) for name in names]
        weight.grad = sparse(batch) if is_sparse else dense(batch)
        optimizer.step()
        out = [row for row in range(V) if row not in batch]
        assert torch.equal(weight[out], before[out])
        after = [spread(optimizer, weight, name) for name in names]
        assert all(torch.equal(a[out], b[out]) for a, b in zip(after, moments, strict=True))
        for row in batch:
            assert (weight[row] != before[row]).all()
            assert after[2][row] == moments[2][row] + 1


@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
def test_law5_torch_adamw_moves_rows_outside_the_batch(weight_decay):
    """By momentum, and without momentum by decay. It shows that law 5 is not trivial."""
    weight = nn.Parameter(start())
    adamw = torch.optim.AdamW([weight], lr=0.1, weight_decay=weight_decay)
    if not weight_decay:
        weight.grad = dense({row: np.ones(D) for row in range(V)})
        adamw.step()
    before = weight.detach().clone()
    weight.grad = dense({3: np.ones(D)})
    adamw.step()
    assert (weight != before).any(dim=1).all()


@pytest.mark.parametrize("is_sparse", [False, True])
def test_law5_decay_of_missed_rows_waits_for_the_flush(is_sparse):
    weight = nn.Parameter(start())
    optimizer = optimizer_of(weight, lr=0.1, weight_decay=0.5)
    never = V - 1
    weight.grad = dense({row: np.ones(D) for row in range(never)})
    optimizer.step()
    after_one = weight.detach().clone()
    for _ in range(5):
        weight.grad = sparse({0: np.ones(D)}) if is_sparse else dense({0: np.ones(D)})
        optimizer.step()
    assert torch.equal(weight[1:], after_one[1:])
    optimizer.flush()
    torch.testing.assert_close(weight[1:never], after_one[1:never] * 0.95**5)
    assert torch.equal(weight[never], start()[never])  # never touched, never decays


@pytest.mark.parametrize("is_sparse", [False, True])
def test_law5_a_batch_of_padding_only(is_sparse):
    embedding = nn.Embedding.from_pretrained(start(), freeze=False, padding_idx=0, sparse=is_sparse)
    optimizer = optimizer_of(embedding.weight, lr=0.1, weight_decay=0.1)
    for ids in ([[0, 0]], [[1, 0]], [[0, 0]]):
        optimizer.zero_grad()
        embedding(torch.tensor(ids)).sum().backward()
        optimizer.step()
    expected = start()
    expected[1] = expected[1] * (1 - 0.1 * 0.1) - 0.1
    torch.testing.assert_close(embedding.weight.detach(), expected)
    assert torch.equal(embedding.weight[2:], start()[2:])
    assert torch.equal(embedding.weight[0], start()[0])
    state = optimizer.state[embedding.weight]
    assert (state["rows"].tolist(), state["step"].tolist()) == ([1], [1])


def test_a_gradient_of_zeros_and_an_empty_one_leave_every_bit():
    weight = nn.Parameter(start())
    optimizer = optimizer_of(weight, lr=0.1, weight_decay=0.1)
    empty = sparse({})
    assert empty._nnz() == 0
    for grad in (
        torch.zeros(V, D),
        empty,
        empty.coalesce(),
        sparse({2: np.zeros(D), 3: np.zeros(D)}),
        torch.full((V, D), -0.0),
    ):
        weight.grad = grad
        optimizer.step()
        assert torch.equal(weight.view(torch.int32), start().view(torch.int32))
    state = optimizer.state[weight]
    assert {name: state[name].numel() for name in state if name != "log_decay"} == dict.fromkeys(
        ("rows", "step", "exp_avg", "exp_avg_sq", "decay_seen"), 0
    )


def test_parts_of_a_gradient_that_cancel_do_not_touch_the_row():
    weight = nn.Parameter(start())
    optimizer = optimizer_of(weight, lr=0.1)
    index, ones = torch.tensor([[4, 4, 6]]), torch.ones(1, D)
    values = torch.cat([ones, -ones, ones])
    weight.grad = torch.sparse_coo_tensor(index, values, (V, D), check_invariants=True)
    optimizer.step()
    assert torch.equal(weight[4], start()[4])
    assert (weight[6] != start()[6]).all()


def test_no_gradient_no_step():
    weight = nn.Parameter(start())
    optimizer = optimizer_of(weight, lr=0.1, weight_decay=0.1)
    optimizer.step()
    optimizer.flush()
    assert torch.equal(weight, start())
    assert not optimizer.state


# --- state: exact through every kind of copy ----------------------------------------------------


def run_steps(optimizer: fe.RowAdamW, weight: nn.Parameter, plan: list[Rows], first: int) -> None:
    for step, rows in enumerate(plan, first):
        optimizer.param_groups[0]["lr"] = rate_at(step)
        weight.grad = sparse(rows, weight.dtype)
        optimizer.step()


@pytest.mark.parametrize("through", ["memory", "torch.save"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(("weight_decay", "decay"), [(0.4, 0.0), (0.0, 0.2)])
def test_law2_state_dict_round_trip_is_exact_and_continues_in_the_same_bits(
    weight_decay, decay, dtype, through
):
    plan = random_steps(6, 60)
    options = {"weight_decay": weight_decay, "lr": 0.1}
    weight = nn.Parameter(start(dtype=dtype))
    attach_rule(weight, fe.RowRule(decay=decay))
    optimizer = optimizer_of(weight, **options)
    run_steps(optimizer, weight, plan[:30], 0)
    saved = optimizer.state_dict()
    if through == "torch.save":
        buffer = io.BytesIO()
        torch.save(saved, buffer)
        buffer.seek(0)
        saved = torch.load(buffer, weights_only=True)

    other = nn.Parameter(weight.detach().clone())
    attach_rule(other, fe.RowRule(decay=decay))
    resumed = optimizer_of(other, **options)
    resumed.load_state_dict(saved)
    before, after = optimizer.state[weight], resumed.state[other]
    kinds = {
        "rows": torch.int64,
        "step": torch.int64,
        "exp_avg": dtype,
        "exp_avg_sq": dtype,
        "log_decay": torch.float64,
        "decay_seen": torch.float64,
    }
    assert {name: value.dtype for name, value in after.items()} == kinds
    assert all(torch.equal(after[name], before[name]) for name in kinds)
    assert all(after[name].data_ptr() != before[name].data_ptr() for name in kinds)

    run_steps(optimizer, weight, plan[30:], 30)
    run_steps(resumed, other, plan[30:], 30)
    optimizer.flush()
    resumed.flush()
    assert torch.equal(weight, other)
    assert all(torch.equal(resumed.state[other][name], before[name]) for name in kinds)


def test_step_counts_survive_beyond_what_the_weight_could_count():
    """torch casts state to the parameter's dtype; bfloat16 counts only to 256."""
    weight = nn.Parameter(start(dtype=torch.bfloat16))
    optimizer = optimizer_of(weight, lr=0.01)
    weight.grad = dense({row: np.ones(D) for row in range(V)}, torch.bfloat16)
    for _ in range(259):
        optimizer.step()
    resumed = optimizer_of(nn.Parameter(weight.detach().clone()))
    resumed.load_state_dict(optimizer.state_dict())
    (state,) = resumed.state.values()
    assert state["step"].tolist() == [259] * V


def test_dense_parameters_round_trip_too():
    weights = [nn.Parameter(start()), nn.Parameter(start())]
    first, second = fe.RowAdamW([weights[0]], lr=0.1), fe.RowAdamW([weights[1]], lr=0.1)
    for _ in range(3):
        weights[0].grad = torch.ones(V, D)
        first.step()
    with torch.no_grad():
        weights[1].copy_(weights[0])
    second.load_state_dict(first.state_dict())
    assert second.state[weights[1]]["step"].dtype == torch.int64
    for weight, optimizer in zip(weights, (first, second), strict=True):
        weight.grad = start(2)
        optimizer.step()
    assert torch.equal(*weights)


# --- groups, closures, schedulers ---------------------------------------------------------------


def test_two_groups_are_stepped_each_by_its_own_numbers():
    table, layer = nn.Parameter(start(1)), nn.Parameter(start(2))
    both = fe.RowAdamW(
        [
            {"params": [table], "row_wise": True, "lr": 0.1},
            {"params": [layer], "lr": 0.01, "weight_decay": 0.2, "betas": (0.5, 0.9)},
        ]
    )
    alone = nn.Parameter(start(1))
    rows_only = optimizer_of(alone, lr=0.1)
    dense_only = nn.Parameter(start(2))
    adamw = torch.optim.AdamW(
        [dense_only], lr=0.01, weight_decay=0.2, betas=(0.5, 0.9), foreach=False
    )
    for rows in random_steps(7, 20, 3):
        table.grad, alone.grad = dense(rows), dense(rows)
        layer.grad, dense_only.grad = dense(rows), dense(rows)
        for optimizer in (both, rows_only, adamw):
            optimizer.step()
    assert torch.equal(table, alone)
    torch.testing.assert_close(layer, dense_only, rtol=2e-5, atol=1e-6)
    assert not torch.equal(layer, start(2))


def test_a_sparse_gradient_makes_a_parameter_row_wise_whatever_its_group():
    plain, marked = nn.Parameter(start()), nn.Parameter(start())
    optimizers = fe.RowAdamW([plain], lr=0.1), optimizer_of(marked, lr=0.1)
    for rows in random_steps(8, 10, 3):
        plain.grad, marked.grad = sparse(rows), dense(rows)
        for optimizer in optimizers:
            optimizer.step()
    assert torch.equal(plain, marked)


def test_a_table_once_stepped_by_rows_stays_so():
    """A tied weight has dense gradients as soon as one of its two uses has."""
    plain, marked = nn.Parameter(start()), nn.Parameter(start())
    optimizers = fe.RowAdamW([plain], lr=0.1), optimizer_of(marked, lr=0.1)
    for step, rows in enumerate(random_steps(8, 10, 3)):
        plain.grad = sparse(rows) if step % 2 == 0 else dense(rows)
        marked.grad = dense(rows)
        for optimizer in optimizers:
            optimizer.step()
    assert torch.equal(plain, marked)


def test_a_sparse_gradient_after_dense_ones_is_an_error():
    weight = nn.Parameter(start())
    optimizer = fe.RowAdamW([weight], lr=0.1)
    weight.grad = torch.ones(V, D)
    optimizer.step()
    weight.grad = sparse({1: np.ones(D)})
    with pytest.raises(fe.StrategyError, match=r"^a table \(9, 4\) has a sparse gradient after"):
        optimizer.step()


def test_a_closure_is_called_once_with_gradients_on_and_its_loss_returned():
    weight = nn.Parameter(start())
    optimizer = optimizer_of(weight, lr=0.1)
    calls = []

    def closure() -> float:
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = (weight[2] ** 2).sum()
        loss.backward()
        return loss.item()

    assert optimizer.step(closure) == pytest.approx(float((start()[2] ** 2).sum()))
    assert calls == [True]
    torch.testing.assert_close(weight[2].detach(), start()[2] - 0.1 * start()[2].sign())
    assert torch.is_grad_enabled()


def test_lambda_lr_scales_every_group_and_the_decay_owed():
    weight, layer = nn.Parameter(start(dtype=torch.float64)), nn.Parameter(torch.ones(2))
    optimizer = fe.RowAdamW(
        [
            {"params": [weight], "row_wise": True, "lr": 0.04, "weight_decay": 0.5},
            {"params": [layer], "lr": 0.4},
        ]
    )
    scheduler = LambdaLR(optimizer, lambda step: 1 / (1 + step))
    reference = AdamReference(start(), weight_decay=0.5)
    for step, rows in enumerate(random_steps(9, 20, 2)):
        weight.grad, layer.grad = dense(rows, torch.float64), torch.ones(2)
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx(
            [0.04 / (1 + step), 0.4 / (1 + step)], rel=1e-12
        )
        reference.step(rows, 0.04 / (1 + step))
        optimizer.step()
        scheduler.step()
    optimizer.flush()
    reference.flush()
    np.testing.assert_allclose(weight.detach().numpy(), reference.w, rtol=1e-9, atol=1e-11)


def test_one_cycle_with_a_list_of_rates_keeps_their_ratio_and_a_scalar_flattens_it():
    strategy = fe.DiscriminativeLR(embedding=0.1)
    embedding = nn.Embedding(V, D)
    model = nn.Sequential(embedding, nn.Linear(D, 2))

    def ratios(max_lr: Any) -> set[float]:
        groups = strategy.param_groups(model, embedding, lr=0.1)
        optimizer = fe.RowAdamW(groups)
        rates = max_lr(groups) if callable(max_lr) else max_lr
        scheduler = OneCycleLR(optimizer, rates, total_steps=12, cycle_momentum=False)
        seen = set()
        for _ in range(12):
            table, rest = optimizer.param_groups
            seen.add(round(table["lr"] / rest["lr"], 9))
            model(torch.tensor([1, 2])).sum().backward()
            optimizer.step()
            if scheduler.last_epoch < 11:
                scheduler.step()
            optimizer.zero_grad()
        return seen

    assert ratios(lambda groups: [g["lr"] for g in groups]) == {0.1}
    assert ratios(0.1) == {1.0}  # the trap that DiscriminativeLR's docstring describes


def test_one_cycle_may_cycle_the_first_beta():
    """OneCycleLR finds `betas` in the groups, and the step uses what it writes there."""
    weight = nn.Parameter(start())
    optimizer = optimizer_of(weight, lr=0.1)
    scheduler = OneCycleLR(optimizer, 0.1, total_steps=10)
    weight.grad = torch.ones(V, D)
    first = optimizer.param_groups[0]["betas"][0]
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["betas"][0] < first == 0.95
    optimizer.step()
    torch.testing.assert_close(
        optimizer.state[weight]["exp_avg"],
        torch.full((V, D), 1.0 - 0.95 * optimizer.param_groups[0]["betas"][0]),
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"lr": -1.0}, "lr=-1.0 must be 0 or more"),
        ({"lr": float("nan")}, "lr=nan must be 0 or more"),
        ({"eps": -1e-8}, "eps=-1e-08 must be 0 or more"),
        ({"weight_decay": float("nan")}, "weight_decay=nan must be 0 or more"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1 must be 0 or more"),
        ({"betas": (1.0, 0.9)}, "betas=(1.0, 0.9) must be 0 or more and below 1"),
        ({"betas": (0.9, 2.0)}, "betas=(0.9, 2.0) must be 0 or more and below 1"),
    ],
)
def test_numbers_out_of_range_are_errors_with_their_values(bad, message):
    with pytest.raises(fe.StrategyError) as caught:
        fe.RowAdamW([nn.Parameter(start())], **bad)
    assert str(caught.value) == message
    assert isinstance(caught.value, ValueError)  # as torch's optimizers raise


def test_building_the_optimizer_claims_the_rules_of_its_parameters_only():
    inside, outside = nn.Parameter(start()), nn.Parameter(start())
    for weight in (inside, outside):
        attach_rule(weight, fe.RowRule(max_norm=1.0))
    fe.RowAdamW([inside])
    assert inside.row_rule_claimed is True
    assert outside.row_rule_claimed is False
    claim(outside)
    assert outside.row_rule_claimed is True


def test_weight_stays_on_its_storage_and_state_on_its_device():
    weight = nn.Parameter(start())
    at = weight.data_ptr()
    optimizer = optimizer_of(weight, lr=0.1, weight_decay=0.1)
    weight.grad = dense({1: np.ones(D)})
    optimizer.step()
    optimizer.flush()
    assert weight.data_ptr() == at
    assert {value.device for value in optimizer.state[weight].values()} == {weight.device}
