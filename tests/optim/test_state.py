"""State of touched rows only: its size, its copies, and what fits it."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

import finetune_embed as fe
from finetune_embed.strategies.gates import attach_gate
from finetune_embed.strategies.row_rules import attach_rule, rule_of

V, D = 50, 4


def start(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(V, D, generator=torch.Generator().manual_seed(0)).to(dtype)


def built(weight: nn.Parameter, **options: Any) -> fe.RowAdamW:
    return fe.RowAdamW([{"params": [weight], "row_wise": True}], lr=0.1, **options)


def gradient(step: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return the gradient of three rows, one of them twice."""
    generator = torch.Generator().manual_seed(step)
    ids = torch.randint(0, V, (4,), generator=generator)
    values = torch.randn(4, D, generator=generator).to(dtype)
    return torch.sparse_coo_tensor(ids[None], values, (V, D), check_invariants=True)


def train(weight: nn.Parameter, optimizer: fe.RowAdamW, steps: range) -> None:
    for step in steps:
        weight.grad = gradient(step, weight.dtype)
        optimizer.step()


def test_slots_are_in_the_order_of_the_first_touch_and_no_more_than_touched_rows():
    weight = nn.Parameter(start())
    optimizer = built(weight, weight_decay=0.1)
    seen: list[int] = []
    for step in range(12):
        train(weight, optimizer, range(step, step + 1))
        new = gradient(step).coalesce().indices()[0].tolist()
        seen += [row for row in new if row not in seen]
        state = optimizer.state[weight]
        assert state["rows"].tolist() == seen
        count = len(seen)
        shapes = {name: tuple(value.shape) for name, value in state.items()}
        assert shapes == {
            "rows": (count,),
            "step": (count,),
            "exp_avg": (count, D),
            "exp_avg_sq": (count, D),
            "decay_seen": (count,),
            "log_decay": (),
        }
    assert 10 < len(seen) < V


def test_what_is_saved_holds_the_bytes_of_touched_rows():
    """Buffers have room for more rows; a file does not."""
    weight = nn.Parameter(torch.zeros(10_000, 64))
    optimizer = built(weight)
    for first in range(0, 300, 100):
        weight.grad = torch.zeros(10_000, 64)
        weight.grad[first : first + 100] = 1.0
        optimizer.step()
    saved = optimizer.state_dict()
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    assert 300 * 64 * 4 * 2 < buffer.tell() < 1.1 * 300 * 64 * 4 * 2
    (entries,) = saved["state"].values()
    bytes_kept = {name: value.untyped_storage().nbytes() for name, value in entries.items()}
    assert bytes_kept == {"rows": 2400, "step": 2400, "exp_avg": 76800, "exp_avg_sq": 76800}
    before = {name: value.clone() for name, value in entries.items()}
    optimizer.step()  # a copy, not a view
    assert all(torch.equal(value, before[name]) for name, value in entries.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_law2_through_safetensors_and_json_it_continues_in_the_same_bits(dtype):
    weight = nn.Parameter(start(dtype))
    optimizer = built(weight, weight_decay=0.1)
    train(weight, optimizer, range(8))
    saved = optimizer.state_dict()
    tensors = load(save(saved["state"][0]))
    groups = json.loads(json.dumps(saved["param_groups"]))

    other = nn.Parameter(weight.detach().clone())
    resumed = built(other)
    resumed.load_state_dict({"state": {0: tensors}, "param_groups": groups})
    for each, mine in ((weight, optimizer), (other, resumed)):
        train(each, mine, range(8, 20))
        mine.flush()
    assert torch.equal(weight, other)
    one, two = optimizer.state[weight], resumed.state[other]
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert all(one[name].dtype == two[name].dtype for name in one)


def test_a_copied_optimizer_continues_with_its_own_state():
    weight = nn.Parameter(start())
    optimizer = built(weight, max_grad_norm=0.5)
    train(weight, optimizer, range(5))
    twin = copy.deepcopy(optimizer)
    (other,) = twin.param_groups[0]["params"]
    assert (twin.max_grad_norm, twin.exchange) == (0.5, False)
    train(weight, optimizer, range(5, 9))
    train(other, twin, range(5, 9))
    assert torch.equal(weight, other)
    train(weight, optimizer, range(9, 12))
    assert len(twin.state[other]["rows"]) < len(optimizer.state[weight]["rows"])


def test_training_continues_with_state_that_others_have_replaced():
    """Libraries that move an optimizer to a device put other tensors in its state."""
    weights = [nn.Parameter(start()), nn.Parameter(start())]
    optimizers = [built(weight) for weight in weights]
    for weight, optimizer in zip(weights, optimizers, strict=True):
        train(weight, optimizer, range(5))
        if optimizer is optimizers[1]:
            state = optimizer.state[weight]
            for name in state:
                state[name] = state[name].clone()
        train(weight, optimizer, range(5, 10))
    assert torch.equal(*weights)


def loaded(weight: nn.Parameter, change: Any) -> None:
    optimizer = built(weight)
    train(weight, optimizer, range(3))
    saved = optimizer.state_dict()
    change(saved["state"][0])
    other = nn.Parameter(start())
    resumed = built(other)
    try:
        resumed.load_state_dict(saved)
    finally:
        assert not resumed.state


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rows", lambda rows: rows + V, "rows up to .*, but the table has 50 rows; load it"),
        ("rows", lambda rows: rows - V, "rows up to"),
        ("rows", torch.zeros_like, "a row occurs twice"),
        ("rows", lambda rows: rows[:-1], r"step has shape \(\d+,\), which for \d+ rows"),
        ("exp_avg", lambda value: value[:, :2], r"exp_avg has shape \(\d+, 2\)"),
        ("exp_avg_sq", lambda value: value[:, None], r".* must be \(\d+, 4\); load it"),
        ("exp_avg_sq", lambda value: value[:, 0], r".* must be \(\d+, 4\); load it"),
        ("step", lambda value: value[:, None], r"step has shape"),
    ],
)
def test_state_that_does_not_fit_is_an_error(name, value, message):
    def spoil(entries: dict[str, torch.Tensor]) -> None:
        entries[name] = value(entries[name])

    with pytest.raises(fe.StrategyError, match=f"^optimizer state of parameter 0: {message}"):
        loaded(nn.Parameter(start()), spoil)


def test_state_without_a_tensor_is_an_error():
    with pytest.raises(fe.StrategyError, match="parameter 0: rows, but no exp_avg_sq; load a comp"):
        loaded(nn.Parameter(start()), lambda entries: entries.pop("exp_avg_sq"))


# --- rules, groups and other optimizers ---------------------------------------------------------


def test_a_copied_optimizer_has_the_rule_and_the_gate_of_its_table():
    weight = nn.Parameter(start())
    attach_rule(weight, fe.RowRule(train=torch.arange(V) < 20, max_norm=1.5))
    optimizer = built(weight)
    attach_gate(weight, 0.5, "FullTune", epoch=0)
    train(weight, optimizer, range(5))
    twin = copy.deepcopy(optimizer)
    (other,) = twin.param_groups[0]["params"]
    train(weight, optimizer, range(5, 12))
    train(other, twin, range(5, 12))
    assert torch.equal(weight, other)
    assert torch.equal(other[20:], start()[20:])


def test_a_rule_moves_with_its_weight():
    """A trainer may move a model to a device after the groups were made."""
    weight = nn.Parameter(torch.empty(3, 2, device="meta"))
    train, anchor, radius = torch.ones(3, dtype=torch.bool), torch.ones(3, 2), torch.ones(3)
    attach_rule(weight, fe.RowRule(train=train, anchor=anchor, radius=radius, decay=0.1))
    rule = rule_of(weight)
    assert {t.device.type for t in (rule.train, rule.anchor, rule.radius)} == {"meta"}
    assert rule.decay == 0.1
    assert rule_of(weight) is rule


def test_moments_are_loaded_in_the_dtype_of_the_parameter():
    """As in torch's optimizers; counts stay unchanged."""
    single = nn.Parameter(start())
    optimizer = built(single, weight_decay=0.1)
    train(single, optimizer, range(6))
    double = nn.Parameter(single.detach().double())
    other = built(double, weight_decay=0.1)
    other.load_state_dict(optimizer.state_dict())
    state = other.state[double]
    for name in ("exp_avg", "exp_avg_sq"):
        assert state[name].dtype == torch.float64
        assert torch.equal(state[name], optimizer.state[single][name].double())
    assert torch.equal(state["step"], optimizer.state[single]["step"])
    train(single, optimizer, range(6, 12))
    train(double, other, range(6, 12))
    np.testing.assert_allclose(double.detach(), single.detach(), rtol=1e-4, atol=1e-6)


def test_a_state_dict_is_a_copy_of_dense_parameters_too():
    layer = nn.Parameter(start())
    optimizer = fe.RowAdamW([layer], lr=0.1)
    layer.grad = torch.ones(V, D)
    optimizer.step()
    saved = optimizer.state_dict()["state"][0]
    before = {name: value.clone() for name, value in saved.items()}
    optimizer.step()
    assert saved.keys() == before.keys() == {"step", "exp_avg", "exp_avg_sq"}
    for name, value in before.items():
        assert torch.equal(saved[name], value)
        assert not torch.equal(optimizer.state[layer][name], value)


def test_a_step_that_ran_out_of_memory_can_be_repeated(monkeypatch):
    weights = [nn.Parameter(start()), nn.Parameter(start())]
    optimizers = [built(weight) for weight in weights]
    for weight, optimizer in zip(weights, optimizers, strict=True):
        train(weight, optimizer, range(3))
    real, calls = torch.Tensor.new_zeros, []

    def failing(self: torch.Tensor, *arguments: Any, **options: Any) -> torch.Tensor:
        calls.append(arguments)
        if len(calls) == 3:  # some buffers have grown, others have not
            raise MemoryError
        return real(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "new_zeros", failing)
        for step in range(3, 12):
            try:
                train(weights[0], optimizers[0], range(step, step + 1))
            except MemoryError:
                train(weights[0], optimizers[0], range(step, step + 1))
    assert len(calls) > 3
    train(weights[1], optimizers[1], range(3, 12))
    assert torch.equal(*weights)


def test_a_group_that_is_added_later_is_checked_and_claimed():
    optimizer = fe.RowAdamW([nn.Parameter(start())])
    weight = nn.Parameter(start())
    attach_rule(weight, fe.RowRule(train=torch.arange(V) < 20))
    for options, message in (
        ({"betas": (0.9, 1.0)}, r"betas=\(0.9, 1.0\) must be 0 or more and below 1"),
        ({"max_row_grad_norm": -1.0}, "max_row_grad_norm=-1.0 must be above 0"),
        ({"lr": -0.1}, "lr=-0.1 must be 0 or more"),
    ):
        with pytest.raises(fe.StrategyError, match=message):
            optimizer.add_param_group({"params": [weight], **options})
    assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": [weight], "row_wise": True, "lr": 0.1})
    attach_gate(weight, 1.0, "FullTune", epoch=0)  # which raises if the rule is not claimed
    train(weight, optimizer, range(12))
    assert torch.equal(weight[20:], start()[20:])
    assert not torch.equal(weight, start())


def test_the_state_of_another_optimizer_is_an_error():
    weight = nn.Parameter(torch.ones(3, 2))
    other = torch.optim.AdamW([weight])
    weight.grad = torch.ones(3, 2)
    other.step()
    with pytest.raises(fe.StrategyError, match="from another optimizer: a group has no row_wise"):
        fe.RowAdamW([weight]).load_state_dict(other.state_dict())
