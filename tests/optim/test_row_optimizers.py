"""All optimizers by rows: against torch's, against a reference, and what they have in common."""

from __future__ import annotations

import copy
import io
import itertools
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from row_reference import (
    RULES,
    AdagradReference,
    AdamReference,
    D,
    Reference,
    SGDReference,
    V,
    dense,
    random_steps,
    rate_at,
    sparse,
    start,
)
from safetensors.torch import load, save
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.lr_scheduler import OneCycleLR

import finetune_embed as fe
from finetune_embed.optim import OPTIMIZERS, RowOptimizer, build_optimizer
from finetune_embed.strategies.gates import attach_gate
from finetune_embed.strategies.row_rules import attach_rule

#: Every optimizer, and the options of it that are tested.
KINDS: dict[str, tuple[type[RowOptimizer], dict[str, Any]]] = {
    "RowAdamW": (fe.RowAdamW, {"betas": (0.8, 0.9)}),
    "RowAdagrad": (fe.RowAdagrad, {"initial_accumulator_value": 0.1}),
    "RowAdagrad per row": (fe.RowAdagrad, {"per_row": True, "initial_accumulator_value": 0.2}),
    "RowSGD": (fe.RowSGD, {}),
    "RowSGD with momentum": (fe.RowSGD, {"momentum": 0.9}),
}
#: What torch has of them, without weight decay.
TORCH: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "RowAdamW": lambda params, lr: torch.optim.AdamW(
        params, lr, betas=(0.8, 0.9), weight_decay=0.0, foreach=False
    ),
    "RowAdagrad": lambda params, lr: torch.optim.Adagrad(
        params, lr, initial_accumulator_value=0.1, foreach=False
    ),
    "RowSGD": lambda params, lr: torch.optim.SGD(params, lr, foreach=False),
    "RowSGD with momentum": lambda params, lr: torch.optim.SGD(
        params, lr, momentum=0.9, foreach=False
    ),
}
REFERENCES: dict[str, Callable[..., Reference]] = {
    "RowAdamW": lambda w, **given: AdamReference(w, betas=(0.8, 0.9), **given),
    "RowAdagrad": lambda w, **given: AdagradReference(w, start=0.1, per_row=False, **given),
    "RowAdagrad per row": lambda w, **given: AdagradReference(w, start=0.2, per_row=True, **given),
    "RowSGD": lambda w, **given: SGDReference(w, momentum=0.0, **given),
    "RowSGD with momentum": lambda w, **given: SGDReference(w, momentum=0.9, **given),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def built(kind: str, params: Any, **options: Any) -> RowOptimizer:
    made, own = KINDS[kind]
    return made(params, **{"lr": 0.1, **own, **options})


def over(kind: str, weight: nn.Parameter, **options: Any) -> RowOptimizer:
    return built(kind, [{"params": [weight], "row_wise": True}], **options)


def test_every_optimizer_is_tested():
    assert {kind for kind, _ in KINDS.values()} == set(OPTIMIZERS.values())
    assert all(issubclass(kind, RowOptimizer) for kind in OPTIMIZERS.values())


# --- the numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("form", ["row-wise dense", "row-wise sparse", "not row-wise"])
@pytest.mark.parametrize("kind", TORCH)
def test_equals_torchs_when_every_row_is_touched(kind, form, weight_decay):
    """torch's weight decay is that of AdamW in AdamW only; here it comes before each step."""
    ours, theirs, lr = nn.Parameter(start()), nn.Parameter(start()), 0.05
    options = {"lr": lr, "weight_decay": weight_decay}
    mine = built(kind, [{"params": [ours], "row_wise": form != "not row-wise"}], **options)
    other = TORCH[kind]([theirs], lr=lr)
    generator = torch.Generator().manual_seed(1)
    for _ in range(50):
        grad = torch.randn(V, D, generator=generator)
        ours.grad = grad.to_sparse(1) if form == "row-wise sparse" else grad.clone()
        theirs.grad = grad.clone()
        mine.step()
        with torch.no_grad():
            theirs.mul_(1 - lr * weight_decay)
        other.step()
    torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6)
    assert (ours - start()).abs().mean() > lr


@pytest.mark.parametrize("per_row", [False, True])
def test_weight_decay_of_plain_sgd_is_that_of_torch(per_row):
    ours, theirs = nn.Parameter(start()), nn.Parameter(start())
    mine = fe.RowSGD([{"params": [ours], "row_wise": per_row}], lr=0.1, weight_decay=0.5)
    other = torch.optim.SGD([theirs], lr=0.1, weight_decay=0.5, foreach=False)
    for seed in range(20):
        ours.grad = theirs.grad = start(seed)
        mine.step()
        other.step()
    torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("weight_decay", [0.0, 0.7])
@pytest.mark.parametrize("name", RULES)
@every_kind
def test_equals_the_row_by_row_reference(kind, name, weight_decay):
    """In float64, with a changing rate and gate, and rows that miss many steps."""
    rule = RULES[name]()
    if weight_decay:
        rule = replace(rule, decay=0.0)  # a table has one of the two
    weight = nn.Parameter(start(dtype=torch.float64))
    attach_rule(weight, rule)
    optimizer = over(kind, weight, weight_decay=weight_decay)
    reference = REFERENCES[kind](start(), weight_decay=weight_decay, rule=rule)
    for step, rows in enumerate(random_steps(2, 60, most=4)):
        gate = 0.5 if step % 4 == 3 else 1.0
        optimizer.param_groups[0]["lr"] = rate_at(step)
        weight.row_gate = gate
        form = dense(rows, torch.float64) if step % 2 else sparse(rows, torch.float64, parts=2)
        weight.grad = form
        optimizer.step()
        reference.step(rows, rate_at(step), gate)
        np.testing.assert_allclose(weight.detach().numpy(), reference.w, rtol=1e-9, atol=1e-11)
        if step in (30, 59):
            optimizer.flush()
            reference.flush()
            np.testing.assert_allclose(weight.detach().numpy(), reference.w, rtol=1e-9, atol=1e-11)
    state = optimizer.state[weight]
    counts = dict(zip(state["rows"].tolist(), state["step"].tolist(), strict=True))
    assert [counts.get(row, 0) for row in range(V)] == reference.n


def test_the_sum_of_a_row_is_computed_by_hand():
    """The mean of the squares 9 and 16 is 12.5; a second step adds it again."""
    weight = nn.Parameter(torch.zeros(3, 2, dtype=torch.float64))
    optimizer = fe.RowAdagrad([weight], lr=1.0, eps=0.0, per_row=True)
    for _ in range(2):
        values = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
        weight.grad = torch.sparse_coo_tensor([[1]], values, (3, 2), check_invariants=True)
        optimizer.step()
    moved = -(12.5**-0.5) - 25**-0.5
    expected = [[0.0, 0.0], [3 * moved, 4 * moved], [0.0, 0.0]]
    np.testing.assert_allclose(weight.detach().numpy(), expected, rtol=1e-14)
    state = optimizer.state[weight]
    assert (state["rows"].tolist(), state["sum"].tolist()) == ([1], [25.0])


@every_kind
def test_dense_sparse_and_uncoalesced_gradients_give_the_same_bits(kind):
    ends, states = [], []
    for form in ("dense", "coalesced", "uncoalesced", "shuffled"):
        weight = nn.Parameter(start())
        attach_rule(weight, fe.RowRule(scale=torch.linspace(0.5, 2, V), max_norm=2.0))
        optimizer = over(kind, weight, weight_decay=0.3, max_row_grad_norm=1.0)
        for step, rows in enumerate(random_steps(4, 40)):
            if form == "dense":
                weight.grad = dense(rows)
            elif form == "coalesced":
                weight.grad = sparse(rows).coalesce()
            elif form == "uncoalesced":
                weight.grad = sparse(rows, parts=2 + step % 2)
            else:
                weight.grad = sparse(dict(reversed(rows.items())), parts=3)
            optimizer.step()
        optimizer.flush()
        ends.append(weight.detach())
        states.append(optimizer.state[weight])
    for end, state in zip(ends[1:], states[1:], strict=True):
        assert torch.equal(end, ends[0])
        assert state.keys() == states[0].keys()
        assert all(torch.equal(state[key], states[0][key]) for key in state)


@every_kind
@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_gradient_of_the_parameter_stays_unchanged(kind, is_sparse):
    weight, layer = nn.Parameter(start()), nn.Parameter(start())
    optimizer = built(
        kind, [{"params": [weight], "row_wise": True}, {"params": [layer]}], weight_decay=0.1
    )
    rows = random_steps(3, 1, V)[0]
    weight.grad = sparse(rows).coalesce() if is_sparse else dense(rows)
    layer.grad = dense(rows)
    for _ in range(3):
        optimizer.step()
    assert torch.equal(weight.grad.to_dense(), dense(rows))
    assert torch.equal(layer.grad, dense(rows))


@pytest.mark.parametrize("weight_decay", [0.0, 0.5])
@pytest.mark.parametrize("is_sparse", [False, True])
@every_kind
def test_rows_outside_the_batch_and_their_state_stay(kind, is_sparse, weight_decay):
    weight = nn.Parameter(start())
    optimizer = over(kind, weight, weight_decay=weight_decay)
    for rows in random_steps(5, 10, V):
        weight.grad = sparse(rows) if is_sparse else dense(rows)
        optimizer.step()
    optimizer.flush()
    for batch in ({3: np.ones(D)}, {0: np.ones(D), 8: -np.ones(D)}, {}):
        before = weight.detach().clone()
        kept = {name: value.clone() for name, value in optimizer.state[weight].items()}
        out = [row for row in range(V) if row not in batch]
        slots = [kept["rows"].tolist().index(row) for row in out]
        weight.grad = sparse(batch) if is_sparse else dense(batch)
        optimizer.step()
        after = optimizer.state[weight]
        assert torch.equal(weight[out], before[out])
        assert all(torch.equal(after[name][slots], kept[name][slots]) for name in moments_in(kept))
        assert all((weight[row] != before[row]).all() for row in batch)


def moments_in(state: dict[str, torch.Tensor]) -> list[str]:
    return [name for name in state if name not in ("rows", "log_decay", "decay_seen")]


# --- clipping, scaling --------------------------------------------------------------------------


@pytest.mark.parametrize("max_norm", [0.01, 1.0, 1e9])
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize("kind", TORCH)
def test_clipping_equals_that_of_torch(kind, is_sparse, max_norm):
    table, layer = nn.Parameter(start(1)), nn.Parameter(start(2))
    groups = [{"params": [table], "row_wise": True}, {"params": [layer]}]
    mine = built(kind, groups, max_grad_norm=max_norm)
    theirs = [nn.Parameter(start(1)), nn.Parameter(start(2))]
    other = TORCH[kind](theirs, lr=0.1)
    for step in range(20):
        grads = start(10 + step) * (step + 1), start(40 + step)
        table.grad = grads[0].to_sparse(1) if is_sparse else grads[0].clone()
        layer.grad = grads[1].clone()
        for parameter, grad in zip(theirs, grads, strict=True):
            parameter.grad = grad.clone()
        norm = clip_grad_norm_(theirs, max_norm)
        other.step()
        mine.step()
        torch.testing.assert_close(mine.grad_norm, norm.double(), rtol=1e-6, atol=0)
    torch.testing.assert_close(table, theirs[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer, theirs[1], rtol=1e-4, atol=1e-5)


@every_kind
def test_a_row_is_clipped_by_its_sum(kind):
    """A gradient that is clipped is a smaller gradient: here half of it."""
    ends = []
    for size, limit in ((10.0, 5.0 + 1e-6), (5.0, None)):
        weight = nn.Parameter(torch.zeros(V, 2, dtype=torch.float64))
        optimizer = built(kind, [weight], max_row_grad_norm=limit)
        values = torch.tensor([[0.2, 0.8], [0.4, 0.0]], dtype=torch.float64) * size
        for _ in range(3):
            index = torch.tensor([[2, 2]])
            weight.grad = torch.sparse_coo_tensor(index, values, (V, 2), check_invariants=True)
            optimizer.step()
        ends.append(weight.detach())
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-6, atol=0)
    assert ends[0][2].all()


@pytest.mark.parametrize("is_sparse", [False, True])
@every_kind
def test_under_a_gradient_scaler_it_is_the_same(kind, is_sparse):
    """Scales are powers of two, so the bits are the same."""

    def run(scaled: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        embedding = nn.Embedding(V, D, sparse=is_sparse)
        model = nn.Sequential(embedding, nn.Linear(D, 2))
        groups = fe.FullTune().param_groups(model, embedding, lr=0.1)
        optimizer = built(kind, groups, max_grad_norm=0.5, max_row_grad_norm=0.2)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, enabled=scaled)
        for step in range(6):
            optimizer.zero_grad()
            loss = model(torch.tensor([[step, 1], [2, 2]])).square().sum()
            if step == 3:
                loss = loss * (float("inf") if scaled else 0.0)
            scaler.scale(loss).backward()
            if scaled or step != 3:  # the scaler leaves that step out
                scaler.step(optimizer)
            scaler.update()
        return [p.detach() for p in model.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(run(True), run(False), strict=True))


def test_hooks_of_steps_run_around_them_and_may_change_what_they_are_given():
    weight = nn.Parameter(start())
    optimizer, calls = fe.RowAdamW([weight]), []

    def closure() -> float:
        calls.append("closure")
        return 0.5

    def before(_: Any, args: Any, kwargs: Any) -> Any:
        calls.append(("before", args))
        return (closure,), kwargs

    optimizer.register_step_pre_hook(before)
    optimizer.register_step_post_hook(lambda _, args, kwargs: calls.append(("after", args)))
    assert optimizer.step() == 0.5
    assert calls == [("before", ()), "closure", ("after", (closure,))]


def test_a_profiler_sees_steps():
    weight = nn.Parameter(start())
    optimizer = fe.RowAdamW([weight])
    weight.grad = torch.ones_like(weight)
    with torch.profiler.profile() as profile:
        optimizer.step()
    assert "Optimizer.step#RowAdamW.step" in {event.key for event in profile.key_averages()}


def test_gradients_are_dropped_or_set_to_zero():
    weights = [nn.Parameter(start()), nn.Parameter(start())]
    optimizer = fe.RowAdamW(weights)
    weights[0].grad = torch.ones_like(weights[0])
    optimizer.zero_grad(set_to_none=False)
    assert weights[0].grad.count_nonzero() == 0
    optimizer.zero_grad()
    assert [weight.grad for weight in weights] == [None, None]


# --- state --------------------------------------------------------------------------------------

THROUGH: dict[str, Callable[[Any], Any]] = {
    "a copy": copy.deepcopy,
    "torch.save": lambda saved: reloaded(saved),
    "safetensors": lambda saved: (
        saved | {"state": {i: load(save(entries)) for i, entries in saved["state"].items()}}
    ),
}


def reloaded(saved: Any) -> Any:
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def parameters(dtype: torch.dtype = torch.float32) -> list[nn.Parameter]:
    return [nn.Parameter(start(1, dtype)), nn.Parameter(start(2, dtype))]


def groups_of(params: list[nn.Parameter], **options: Any) -> list[dict[str, Any]]:
    return [{"params": [params[0]], "row_wise": True, **options}, {"params": [params[1]]}]


def train(optimizer: RowOptimizer, steps: range, decay: float = 0.4) -> None:
    table, layer = (p for group in optimizer.param_groups for p in group["params"])
    plan = random_steps(6, 12)
    for step in steps:
        optimizer.param_groups[0]["lr"] = rate_at(step)
        table.grad = sparse(plan[step], table.dtype, parts=1 + step % 2)
        layer.grad = start(step, layer.dtype)
        optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("through", THROUGH)
@every_kind
def test_a_run_resumed_at_any_step_has_the_same_bits(kind, through, dtype):
    params = parameters(dtype)
    optimizer = built(kind, groups_of(params, weight_decay=0.4))
    train(optimizer, range(12))
    optimizer.flush()
    for stop in range(12):
        first = parameters(dtype)
        begun = built(kind, groups_of(first, weight_decay=0.4))
        train(begun, range(stop))
        second = [nn.Parameter(p.detach().clone()) for p in first]
        resumed = built(kind, groups_of(second))
        resumed.load_state_dict(THROUGH[through](begun.state_dict()))
        for one, other in zip(first, second, strict=True):
            before, after = begun.state[one], resumed.state[other]
            assert before.keys() == after.keys()
            for name, value in before.items():
                assert after[name].dtype == value.dtype, name
                assert torch.equal(after[name], value), name
                assert after[name].data_ptr() != value.data_ptr() or not value.numel()
        train(resumed, range(stop, 12))
        resumed.flush()
        assert all(torch.equal(a, b) for a, b in zip(params, second, strict=True))


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["copy", "pickle"]
)
@every_kind
def test_a_copied_optimizer_continues_with_its_own_state_rule_and_gate(kind, copied):
    params = parameters()
    attach_rule(params[0], fe.RowRule(train=torch.arange(V) != 2, max_norm=1.5))
    optimizer = built(kind, groups_of(params), max_grad_norm=0.5)
    attach_gate(params[0], 0.5, "FullTune", epoch=0)
    train(optimizer, range(5))
    twin = copied(optimizer)
    assert type(twin) is type(optimizer)
    assert twin.max_grad_norm == 0.5
    others = [p for group in twin.param_groups for p in group["params"]]
    train(optimizer, range(5, 12))
    train(twin, range(5, 12))
    assert all(torch.equal(a, b) for a, b in zip(params, others, strict=True))
    assert torch.equal(params[0][2], start(1)[2])


@every_kind
def test_a_state_is_loaded_twice(kind):
    """torch adds an option to an optimizer that has loaded a state or is a copy."""
    saved = built(kind, groups_of(parameters())).state_dict()
    optimizer = built(kind, groups_of(parameters()))
    for one in (optimizer, optimizer, copy.deepcopy(optimizer)):
        one.load_state_dict(saved)
        assert "differentiable" in one.defaults


@every_kind
def test_state_is_of_rows_ever_touched(kind):
    weight = nn.Parameter(torch.zeros(10_000, 64))
    optimizer = over(kind, weight)
    for first in range(0, 300, 100):
        weight.grad = torch.zeros(10_000, 64)
        weight.grad[first : first + 100] = 1.0
        optimizer.step()
    (entries,) = optimizer.state_dict()["state"].values()
    kept = {name: value.untyped_storage().nbytes() for name, value in entries.items()}
    own = {
        "RowAdamW": {"exp_avg": 76_800, "exp_avg_sq": 76_800},
        "RowAdagrad": {"sum": 76_800},
        "RowAdagrad per row": {"sum": 1200},
        "RowSGD": {},
        "RowSGD with momentum": {"momentum_buffer": 76_800},
    }
    assert kept == {"rows": 2400, "step": 2400, **own[kind]}


@pytest.mark.parametrize("per_row", [False, True])
def test_rows_that_are_touched_late_start_from_the_initial_value(per_row):
    """Also those whose slots were made when a buffer grew."""
    weight = nn.Parameter(torch.zeros(40, D))
    optimizer = fe.RowAdagrad(
        [weight], lr=0.1, initial_accumulator_value=0.75, per_row=per_row, eps=0.0
    )
    for row in range(40):
        ones = torch.ones(1, D) / 2
        weight.grad = torch.sparse_coo_tensor([[row]], ones, (40, D), check_invariants=True)
        optimizer.step()
        if row == 20:
            optimizer.load_state_dict(optimizer.state_dict())
    assert torch.equal(optimizer.state[weight]["sum"], torch.ones(40, *[D] * (not per_row)))
    torch.testing.assert_close(weight.detach(), torch.full((40, D), -0.05))


def test_the_sum_of_a_row_of_bfloat16_goes_on_growing():
    weight = nn.Parameter(torch.zeros(2, D, dtype=torch.bfloat16))
    optimizer = fe.RowAdagrad([weight], lr=0.01, per_row=True)
    index, ones = torch.tensor([[1]]), torch.ones(1, D, dtype=torch.bfloat16)
    for _ in range(600):
        weight.grad = torch.sparse_coo_tensor(index, ones, (2, D), check_invariants=True)
        optimizer.step()
    assert optimizer.state[weight]["sum"].tolist() == [600.0]
    resumed = fe.RowAdagrad([nn.Parameter(weight.detach().clone())])
    resumed.load_state_dict(optimizer.state_dict())
    (state,) = resumed.state.values()
    assert (state["sum"].dtype, state["sum"].tolist()) == (torch.float32, [600.0])


def test_momentum_may_be_cycled_from_none():
    """OneCycleLR finds `momentum` in the groups and writes it there; buffers appear then."""
    ours, theirs = nn.Parameter(start()), nn.Parameter(start())
    optimizers = over("RowSGD", ours), TORCH["RowSGD"]([theirs], 0.1)
    ours.grad = theirs.grad = start(5)
    for optimizer in optimizers:
        optimizer.step()
    assert "momentum_buffer" not in optimizers[0].state[ours]
    schedulers = [OneCycleLR(optimizer, 0.1, total_steps=10) for optimizer in optimizers]
    for step in range(9):
        ours.grad = theirs.grad = start(step)
        for optimizer, scheduler in zip(optimizers, schedulers, strict=True):
            optimizer.step()
            scheduler.step()
    assert optimizers[0].param_groups[0]["momentum"] > 0
    torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-6)
    other = over("RowSGD", nn.Parameter(start()))
    other.load_state_dict(optimizers[0].state_dict())
    (state,) = other.state.values()
    assert torch.equal(state["momentum_buffer"], optimizers[0].state[ours]["momentum_buffer"])


@pytest.mark.parametrize(("one", "other"), [*itertools.permutations(OPTIMIZERS.values(), 2)])
def test_the_state_of_another_optimizer_is_an_error(one, other):
    weight = nn.Parameter(start())
    optimizer = one([weight])
    weight.grad = torch.ones(V, D)
    optimizer.step()
    message = rf"^the state comes from another optimizer: a group has no \w+; .* {other.__name__}$"
    with pytest.raises(fe.StrategyError, match=message):
        other([weight]).load_state_dict(optimizer.state_dict())


@pytest.mark.parametrize(
    ("kind", "name", "change", "message"),
    [
        ("RowAdagrad", "sum", lambda v: v[:, 0], r"sum has shape \(\d+,\), which for \d+ rows"),
        ("RowAdagrad per row", "sum", lambda v: v[:, None], r"sum has shape \(\d+, 1\)"),
        ("RowAdagrad", "sum", lambda v: None, "rows, but no sum; load a complete"),
        ("RowSGD with momentum", "momentum_buffer", lambda v: v[:1], "momentum_buffer has shape"),
        ("RowSGD", "step", lambda v: v[:1], "step has shape"),
    ],
)
def test_state_that_does_not_fit_is_an_error(kind, name, change, message):
    weight = nn.Parameter(start())
    optimizer = over(kind, weight)
    weight.grad = dense({1: np.ones(D), 4: np.ones(D)})
    optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][0][name] = change(saved["state"][0][name])
    with pytest.raises(fe.StrategyError, match=f"^optimizer state of parameter 0: {message}"):
        over(kind, nn.Parameter(start())).load_state_dict(saved)


# --- groups, options, text forms ----------------------------------------------------------------


@every_kind
def test_a_sparse_gradient_after_dense_ones_is_an_error(kind):
    weight = nn.Parameter(start())
    optimizer = built(kind, [weight])
    weight.grad = torch.ones(V, D)
    optimizer.step()
    weight.grad = sparse({1: np.ones(D)})
    name = type(optimizer).__name__
    with pytest.raises(fe.StrategyError, match=rf"sparse gradient after .* {name}\(\[\{{'params'"):
        optimizer.step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: fe.RowSGD(p, lr=-1.0), "lr=-1.0 must be 0 or more"),
        (lambda p: fe.RowSGD(p, momentum=1.0), "momentum=1.0 must be 0 or more and below 1"),
        (lambda p: fe.RowSGD(p, momentum=float("nan")), "momentum=nan must be 0 or more and below"),
        (lambda p: fe.RowSGD(p, weight_decay=-1.0), "weight_decay=-1.0 must be 0 or more"),
        (lambda p: fe.RowAdagrad(p, eps=-1.0), "eps=-1.0 must be 0 or more"),
        (lambda p: fe.RowAdagrad(p, per_row=2), "per_row=2 must be True or False"),
        (
            lambda p: fe.RowAdagrad(p, initial_accumulator_value=-1.0),
            "initial_accumulator_value=-1.0 must be 0 or more",
        ),
        (lambda p: fe.RowAdagrad(p, max_grad_norm=0.0), "max_grad_norm=0.0 must be above 0"),
        (lambda p: fe.RowAdamW(p, betas=(0.9,)), r"betas=(0.9,) must be two numbers"),
    ],
)
def test_options_out_of_range_are_errors(make, message):
    with pytest.raises(fe.StrategyError) as caught:
        make([nn.Parameter(start())])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("text", "kind", "options"),
    [
        ("adamw", fe.RowAdamW, {"betas": (0.9, 0.999)}),
        ("adamw(betas=(0.5, 0.9), max_row_grad_norm=2.0)", fe.RowAdamW, {"betas": (0.5, 0.9)}),
        ("adagrad", fe.RowAdagrad, {"per_row": False, "eps": 1e-10}),
        ("adagrad(per_row=True)", fe.RowAdagrad, {"per_row": True}),
        ("sgd", fe.RowSGD, {"momentum": 0.0}),
        ("sgd(momentum=0.9)", fe.RowSGD, {"momentum": 0.9}),
        ("sgd(0.9)", fe.RowSGD, {"momentum": 0.9}),
    ],
)
def test_text_forms(text, kind, options):
    optimizer = build_optimizer(text, [nn.Parameter(start())], lr=0.3, max_grad_norm=1.0)
    assert type(optimizer) is kind
    assert optimizer.max_grad_norm == 1.0
    (group,) = optimizer.param_groups
    assert {name: group[name] for name in options} == options
    assert group["lr"] == 0.3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adam", r"^no optimizer is called 'adam' \(did you mean adamw\?\); choose from adamw, ad"),
        ("adagrad(lr=0.1)", "^adagrad has no option 'lr'.*; write adagrad"),
        ("sgd(momentum=2)", "^momentum=2 must be 0 or more and below 1$"),
        ("adamw(betas=3)", r"^adamw\(betas=3\): "),
        ("sgd(", r"^'sgd\(' is not an optimizer; write adamw or adagrad or sgd$"),
    ],
)
def test_text_forms_that_are_errors(text, message):
    with pytest.raises(fe.StrategyError, match=message):
        build_optimizer(text, [nn.Parameter(start())], lr=0.3)
