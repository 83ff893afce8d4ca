"""The strategy protocol: parameter groups, hooks, gates and rules."""

from __future__ import annotations

import io
from dataclasses import FrozenInstanceError, dataclass

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

import finetune_embed as fe
from finetune_embed.strategies.gates import gate_of
from finetune_embed.strategies.row_rules import rule_of

V, D = 7, 3
EVERY = [
    fe.FullTune(),
    fe.Freeze(),
    fe.UnfreezeAfter(epochs=2),
    fe.UnfreezeAfter(steps=2),
    fe.DiscriminativeLR(embedding=0.1),
    fe.DiscriminativeLR(decay=0.5),
    fe.UnfreezeAfter(epochs=1) | fe.DiscriminativeLR(embedding=0.25, decay=0.5),
]


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, D)
        self.first = nn.Linear(D, D)
        self.second = nn.Linear(D, 2, bias=False)
        self.temperature = nn.Parameter(torch.ones(()))


def names_of(groups: list[dict]) -> list[str]:
    return [group["name"] for group in groups]


@dataclass(frozen=True)
class Ramp(fe.Strategy):
    """Opens the table gradually, with gates that an optimizer has to apply."""

    @property
    def timing(self):
        return "step"

    def gate(self, name: str, clock: fe.Clock) -> float:
        return min(1.0, clock.step / 4) if name == "embedding" else 1.0


@dataclass(frozen=True)
class MaxNorm(fe.Strategy):
    most: float = 0.5

    def rows(self, weight, vocab):
        return fe.RowRule(max_norm=self.most)


# --- param_groups -------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", EVERY, ids=str)
def test_every_parameter_is_in_exactly_one_group(strategy):
    model = Model()
    model.first.requires_grad_(False)  # frozen parameters are included
    groups = strategy.param_groups(model, model.embedding, lr=0.1)
    held = [parameter for group in groups for parameter in group["params"]]
    assert sorted(map(id, held)) == sorted(id(p) for p in model.parameters())
    assert names_of(groups) == ["embedding", "model", "first", "second"]
    assert groups[0]["params"] == [model.embedding.weight]
    assert groups[0]["params"][0] is model.embedding.weight
    assert [group["row_wise"] for group in groups] == [True, False, False, False]


def test_tied_weights_are_one_parameter_in_the_tables_group():
    model = Model()
    model.output = nn.Linear(D, V, bias=True)
    model.output.weight = model.embedding.weight
    groups = fe.FullTune().param_groups(model, model.embedding, lr=0.1)
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert held.count(id(model.embedding.weight)) == 1
    assert len(held) == len(set(held)) == len(list(model.parameters()))
    assert [p is model.output.bias for g in groups if g["name"] == "output" for p in g["params"]]


def test_of_two_tables_with_equal_values_only_the_one_passed_is_the_table():
    model = Model()
    model.second_table = nn.Embedding.from_pretrained(
        model.embedding.weight.detach().clone(), freeze=False
    )
    assert torch.equal(model.second_table.weight, model.embedding.weight)
    for passed, other in (
        (model.embedding, "second_table"),
        (model.second_table, "embedding.rest"),
    ):
        groups = {
            group["name"]: group
            for group in fe.Freeze().param_groups(model, passed, lr=0.1, weight_decay=0.3)
        }
        (table,) = groups["embedding"]["params"]
        (rest,) = groups[other]["params"]
        assert table is passed.weight
        assert rest is not passed.weight
        assert groups["embedding"]["weight_decay"] == 0
        assert groups[other]["weight_decay"] == 0.3
        fe.Freeze().on_epoch_start(passed, 0)
        assert not passed.weight.requires_grad
        assert rest.requires_grad
        passed.weight.requires_grad_(True)


def test_a_model_without_the_embedding_is_an_error_even_if_it_holds_an_equal_one():
    model = Model()
    twin = nn.Embedding.from_pretrained(model.embedding.weight.detach().clone(), freeze=False)
    with pytest.raises(
        fe.StrategyError,
        match=r"the embedding \(7, 3\) is not part of the model Model; .*model.embedding, lr=lr",
    ):
        fe.FullTune().param_groups(model, twin, lr=0.1)


@pytest.mark.parametrize("wrong", [nn.Linear(3, 2).bias, nn.ReLU(), nn.LayerNorm(3)], ids=type)
def test_what_is_not_an_embedding_is_named(wrong):
    for call in (
        lambda: fe.Freeze().on_epoch_start(wrong, 0),
        lambda: fe.Freeze().param_groups(Model(), wrong, lr=0.1),
    ):
        with pytest.raises(fe.StrategyError, match=f"{type(wrong).__name__} has no weight of sha"):
            call()


@pytest.mark.parametrize("strategy", EVERY, ids=str)
@pytest.mark.parametrize("kind", [fe.RowAdamW, torch.optim.AdamW, torch.optim.SGD])
def test_the_optimizers_state_is_plain_enough_for_a_safe_load(strategy, kind):
    model = Model()
    groups = strategy.param_groups(model, model.embedding, lr=0.1, weight_decay=0.01)
    assert all(
        type(value) in (str, float, bool)
        for group in groups
        for name, value in group.items()
        if name != "params"
    )
    optimizer = kind(groups, lr=0.1)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=True)
    optimizer.load_state_dict(loaded)
    assert names_of(optimizer.param_groups) == names_of(groups)
    assert [group["lr"] for group in loaded["param_groups"]] == [group["lr"] for group in groups]


def test_groups_hold_real_rates_and_no_decay_for_the_table():
    model = Model()
    strategy = fe.DiscriminativeLR(embedding=0.1)
    groups = strategy.param_groups(model, model.embedding, lr=0.02, weight_decay=0.3)
    assert [group["lr"] for group in groups] == pytest.approx([0.002, 0.02, 0.02, 0.02])
    assert [group["weight_decay"] for group in groups] == [0.0, 0.3, 0.3, 0.3]


def test_depths_are_those_of_ulmfit():
    """The last layer has the full rate, each below it that of the one above divided by 2.6."""
    model = nn.Sequential(
        nn.Embedding(V, D),
        nn.LSTM(D, D),
        nn.Sequential(nn.Linear(D, D), nn.ReLU()),
        nn.Linear(D, 2),
    )
    groups = fe.DiscriminativeLR(decay=1 / 2.6).param_groups(model, model[0], lr=0.01)
    rates = {group["name"]: group["lr"] for group in groups}
    assert rates == pytest.approx(
        {"3": 0.01, "2.0": 0.01 / 2.6, "1": 0.01 / 2.6**2, "embedding": 0.01 / 2.6**3}, rel=1e-12
    )


def test_the_tables_own_factor_replaces_that_of_its_depth():
    model = nn.Sequential(nn.Embedding(V, D), nn.Linear(D, D), nn.Linear(D, 2))
    strategy = fe.DiscriminativeLR(embedding=0.25, decay=0.5)
    rates = [group["lr"] for group in strategy.param_groups(model, model[0], lr=1.0)]
    assert rates == [0.25, 0.5, 1.0]


def test_rates_survive_a_scheduler_and_reach_the_steps_of_the_table():
    """SGD shows the rate that was really used: a step is lr times the gradient."""
    model = nn.Sequential(nn.Embedding(V, D), nn.Linear(D, 2))
    strategy = fe.DiscriminativeLR(embedding=0.125)
    optimizer = torch.optim.SGD(strategy.param_groups(model, model[0], lr=1.0))
    scheduler = LambdaLR(optimizer, lambda step: 0.5**step)
    for step in range(4):
        strategy.on_epoch_start(model[0], step)
        before = [p.detach().clone() for p in (model[0].weight, model[1].weight)]
        for parameter in model.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        torch.testing.assert_close(
            before[0] - model[0].weight, torch.full((V, D), 0.125 * 0.5**step)
        )
        torch.testing.assert_close(before[1] - model[1].weight, torch.full((2, D), 0.5**step))
        scheduler.step()


# --- hooks --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "opens"),
    [
        (fe.FullTune(), [1, 1, 1, 1]),
        (fe.Freeze(), [0, 0, 0, 0]),
        (fe.UnfreezeAfter(epochs=0), [1, 1, 1, 1]),
        (fe.UnfreezeAfter(epochs=2), [0, 0, 1, 1]),
        (fe.UnfreezeAfter(epochs=2) | fe.DiscriminativeLR(embedding=0.1), [0, 0, 1, 1]),
        (fe.DiscriminativeLR(decay=0.5), [1, 1, 1, 1]),
    ],
    ids=str,
)
def test_the_epoch_hook_is_absolute_and_idempotent(strategy, opens):
    """The state depends on the number only: any order, any repetition, any object."""
    used = nn.Embedding(V, D)
    for epoch in (0, 1, 2, 3, 3, 1, 0, 2, 3, 0):
        for embedding in (used, nn.Embedding(V, D)):
            strategy.on_epoch_start(embedding, epoch)
            strategy.on_epoch_start(embedding, epoch)
            assert embedding.weight.requires_grad == bool(opens[epoch])
            assert gate_of(embedding.weight) == opens[epoch]


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_the_step_hook_is_absolute_and_idempotent(steps):
    strategy, embedding = fe.UnfreezeAfter(steps=steps), nn.Embedding(V, D)
    for step in (9, 0, 4, 5, 5, 6, 1, 0):
        for epoch in (0, 7):
            strategy.on_step_start(embedding, step, epoch=epoch)
            assert embedding.weight.requires_grad == (step >= steps)


def test_hooks_leave_the_rest_of_the_model_alone():
    model = Model()
    model.first.requires_grad_(False)
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    for epoch in range(3):
        fe.UnfreezeAfter(epochs=2).on_epoch_start(model.embedding, epoch, model=model)
        after = {name: p.requires_grad for name, p in model.named_parameters()}
        assert after == {**before, "embedding.weight": epoch == 2}


@pytest.mark.parametrize(
    "strategy",
    [
        fe.UnfreezeAfter(steps=3),
        fe.UnfreezeAfter(steps=3) | fe.DiscriminativeLR(embedding=0.1),
    ],
    ids=str,
)
def test_the_epoch_hook_of_a_strategy_timed_by_step_names_the_line_to_write(strategy):
    embedding = nn.Embedding(V, D)
    with pytest.raises(fe.StrategyError) as caught:
        strategy.on_epoch_start(embedding, 0)
    assert str(caught.value) == (
        f"{strategy} is timed by step; in the batch loop, before the forward pass, call "
        "strategy.on_step_start(embedding, step, epoch=epoch)"
    )
    strategy.on_step_start(embedding, 0, epoch=0)  # the line works
    assert not embedding.weight.requires_grad


@pytest.mark.parametrize("strategy", [s for s in EVERY if s.timing == "epoch"], ids=str)
def test_the_step_hook_of_a_strategy_timed_by_epoch_names_the_line_to_write(strategy):
    with pytest.raises(fe.StrategyError) as caught:
        strategy.on_step_start(nn.Embedding(V, D), 0)
    assert str(caught.value) == (
        f"{strategy} is timed by epoch; at the start of each epoch call "
        "strategy.on_epoch_start(embedding, epoch)"
    )


def test_a_hook_of_every_step_writes_no_text_and_asks_no_module_for_what_it_lacks(monkeypatch):
    written, asked = [], []
    monkeypatch.setattr(Ramp, "__str__", lambda self: written.append(self) or "Ramp")
    lacks = nn.Module.__getattr__
    monkeypatch.setattr(
        nn.Module, "__getattr__", lambda self, name: asked.append(name) or lacks(self, name)
    )
    model, strategy = Model(), Ramp()
    fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=0.1))
    written.clear(), asked.clear()
    for step in range(5):
        strategy.on_step_start(model.embedding, step, model=model)
    assert written == []
    assert set(asked) <= {"embedding", "weight"}


def test_freezing_drops_a_leftover_gradient_and_opening_keeps_it():
    embedding = nn.Embedding(V, D)
    embedding.weight.grad = torch.ones(V, D)
    fe.FullTune().on_epoch_start(embedding, 0)
    assert torch.equal(embedding.weight.grad, torch.ones(V, D))
    fe.Freeze().on_epoch_start(embedding, 0)
    assert embedding.weight.grad is None


def test_a_gate_gets_everything_the_hook_was_given():
    seen = []

    class Watch(fe.Strategy):
        @property
        def timing(self):
            return "step"

        def gate(self, name, clock):
            seen.append((name, clock))
            return 1.0

    records = [{"validation_accuracy": 0.5}]
    Watch().on_step_start(nn.Embedding(V, D), 5, epoch=2, total_steps=9, scores=records)
    assert seen == [("embedding", fe.Clock(2, 5, 9, records))]


# --- rules and ramps need an optimizer that applies them ------------------------------------------


@pytest.mark.parametrize(
    ("strategy", "text"), [(MaxNorm(), r"MaxNorm"), (MaxNorm(0.1), r"MaxNorm\(most=0.1\)")]
)
def test_a_rule_without_a_claim_is_an_error(strategy, text):
    model = Model()
    torch.optim.AdamW(strategy.param_groups(model, model.embedding, lr=0.1))
    with pytest.raises(
        fe.StrategyError, match=rf"^{text} sets single.*; use RowAdamW\(strategy.param_groups\("
    ):
        strategy.on_epoch_start(model.embedding, 0)
    fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=0.1))
    strategy.on_epoch_start(model.embedding, 0)


def test_a_ramp_without_a_claim_is_an_error_only_between_shut_and_open():
    model, strategy = Model(), Ramp()
    torch.optim.AdamW(strategy.param_groups(model, model.embedding, lr=0.1))
    strategy.on_step_start(model.embedding, 0)
    strategy.on_step_start(model.embedding, 4)
    with pytest.raises(
        fe.StrategyError, match=r"^Ramp sets single rows or a share of the rate, .*; use RowAdamW\("
    ):
        strategy.on_step_start(model.embedding, 1)


def test_a_ramp_scales_the_steps_of_row_adamw():
    model, strategy = Model(), Ramp()
    optimizer = fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=0.1), eps=0.0)
    for step, share in enumerate([0, 0.25, 0.5, 0.75, 1, 1]):
        strategy.on_step_start(model.embedding, step)
        before = model.embedding.weight.detach().clone()
        if share:
            model.embedding.weight.grad = torch.ones(V, D)
        optimizer.step()
        torch.testing.assert_close(
            before - model.embedding.weight, torch.full((V, D), 0.1 * share), atol=1e-6, rtol=1e-5
        )


def test_a_new_strategy_removes_the_rule_of_the_previous_one():
    model = Model()
    MaxNorm().param_groups(model, model.embedding, lr=0.1)
    assert rule_of(model.embedding.weight).max_norm == 0.5
    fe.FullTune().param_groups(model, model.embedding, lr=0.1)
    assert rule_of(model.embedding.weight) is None
    fe.FullTune().on_epoch_start(model.embedding, 0)  # needs no claim


def test_a_strategy_is_a_frozen_value_without_state():
    one, other = fe.UnfreezeAfter(epochs=2), fe.UnfreezeAfter(epochs=2)
    embedding = nn.Embedding(V, D)
    for epoch in range(4):
        one.on_epoch_start(embedding, epoch)
    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(FrozenInstanceError):
        one.epochs = 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fe.UnfreezeAfter(), "either epochs, steps or fraction"),
        (lambda: fe.UnfreezeAfter(epochs=1, steps=1), "either epochs, steps or fraction"),
        (lambda: fe.UnfreezeAfter(epochs=-1), "integer of 0 or more, not -1"),
        (lambda: fe.UnfreezeAfter(steps=1.5), "integer of 0 or more, not 1.5"),
        (lambda: fe.UnfreezeAfter(epochs=True), "integer of 0 or more, not True"),
        (lambda: fe.DiscriminativeLR(), r"has no factor; give one for the table"),
        (lambda: fe.DiscriminativeLR(decay=1.0), r"has no factor; give one for the table"),
        (
            lambda: fe.DiscriminativeLR(embedding=0.0),
            r"embedding=0.0\) must be a number above 0.*Freeze",
        ),
        (lambda: fe.DiscriminativeLR(embedding=-1.0), r"embedding=-1.0\) must be a number above 0"),
        (
            lambda: fe.DiscriminativeLR(embedding=float("nan")),
            r"embedding=nan\) must be a number above 0",
        ),
        (lambda: fe.DiscriminativeLR(decay=0.0), r"decay=0.0\) must be above 0 and at most 1"),
        (lambda: fe.DiscriminativeLR(decay=2.6), r"decay=2.6\).*division by 2.6 give decay=0.385"),
    ],
)
def test_numbers_out_of_range_are_errors(make, message):
    with pytest.raises(fe.StrategyError, match=message):
        make()
