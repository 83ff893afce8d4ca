"""The checks that catch a table that silently never trains."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import finetune_embed as fe
from finetune_embed.strategies.row_rules import attach_rule

V, D = 6, 3


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, D)
        self.output = nn.Linear(D, 2)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.output(self.embedding(ids).mean(1))


def train_one(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    loss = nn.functional.cross_entropy(model(torch.tensor([[1, 2], [3, 3]])), torch.tensor([0, 1]))
    loss.backward()
    optimizer.step()


# --- check_optimizer ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "strategy",
    [fe.FullTune(), fe.Freeze(), fe.UnfreezeAfter(epochs=2), fe.DiscriminativeLR(embedding=0.1)],
    ids=str,
)
@pytest.mark.parametrize("kind", [fe.RowAdamW, torch.optim.AdamW, torch.optim.SGD])
def test_an_optimizer_built_by_the_strategy_passes(kind, strategy):
    model = Model()
    optimizer = kind(strategy.param_groups(model, model.embedding, lr=0.1))
    fe.check_optimizer(optimizer, model.embedding, strategy)
    fe.check_optimizer(optimizer, model.embedding)


def test_an_optimizer_over_open_parameters_lacks_a_table_that_was_frozen():
    """The trap of trainers that build the optimizer themselves: it would never train again."""
    model, strategy = Model(), fe.UnfreezeAfter(epochs=1)
    strategy.on_epoch_start(model.embedding, 0)
    open_ones = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([{"params": open_ones[:1]}, {"params": open_ones[1:]}], lr=0.1)
    with pytest.raises(fe.StrategyError) as caught:
        fe.check_optimizer(optimizer, model.embedding, strategy)
    assert str(caught.value) == (
        "the embedding (6, 3) is in none of the optimizer's 2 groups, so it would never train; "
        "build it with strategy.param_groups(model, embedding, lr=lr)"
    )


def test_a_twin_of_equal_values_in_the_optimizer_is_not_the_table():
    model, twin = Model(), Model()
    twin.load_state_dict(model.state_dict())
    optimizer = fe.RowAdamW(twin.parameters(), lr=0.1)
    with pytest.raises(fe.StrategyError, match="in none of the optimizer's 1 groups"):
        fe.check_optimizer(optimizer, model.embedding)


@pytest.mark.parametrize(("name", "shown"), [(None, "None"), ("layers", "'layers'")])
def test_groups_that_the_strategy_did_not_make_lose_its_rate(name, shown):
    model, strategy = Model(), fe.DiscriminativeLR(embedding=0.1)
    group = {"params": list(model.parameters())} | ({"name": name} if name else {})
    optimizer = torch.optim.AdamW([group], lr=0.1)
    with pytest.raises(fe.StrategyError) as caught:
        fe.check_optimizer(optimizer, model.embedding, strategy)
    assert str(caught.value) == (
        f"the embedding (6, 3) is in the optimizer's group {shown}, which {strategy} did not make, "
        "so its rate would be lost; build it with strategy.param_groups(model, embedding, lr=lr)"
    )
    fe.check_optimizer(optimizer, model.embedding)  # without a strategy there is no rate to lose


# --- check_moved ----------------------------------------------------------------------------------


def test_the_number_of_rows_that_moved():
    model = Model()
    optimizer = fe.RowAdamW(fe.FullTune().param_groups(model, model.embedding, lr=0.1))
    before = model.embedding.weight.detach().clone()
    train_one(model, optimizer)
    assert fe.check_moved(model.embedding, before, 0.1) == 3
    assert fe.check_moved(model.embedding, model.embedding.weight.detach().clone(), 0.0) == 0


def test_nothing_is_expected_of_a_frozen_table_or_of_a_rate_of_zero():
    model = Model()
    before = model.embedding.weight.detach().clone()
    assert fe.check_moved(model.embedding, before, 0.0) == 0
    model.embedding.weight.requires_grad_(False)
    assert fe.check_moved(model.embedding, before, 0.1) == 0


def test_a_table_that_the_model_does_not_use():
    model = Model()
    model.forward = lambda ids: model.output(torch.ones(len(ids), D))
    optimizer = fe.RowAdamW(fe.FullTune().param_groups(model, model.embedding, lr=0.1))
    before = model.embedding.weight.detach().clone()
    train_one(model, optimizer)
    with pytest.raises(fe.StrategyError) as caught:
        fe.check_moved(model.embedding, before, 0.1)
    assert str(caught.value) == (
        "the table (6, 3) was open for an epoch at lr=0.1 and not one of its rows moved: it has no "
        "gradient, so the loss does not depend on it; use the embedding in the model's forward pass"
    )


def test_a_row_mask_that_leaves_no_row():
    model = Model()
    groups = fe.FullTune().param_groups(model, model.embedding, lr=0.1)
    attach_rule(model.embedding.weight, fe.RowRule(train=torch.zeros(V, dtype=torch.bool)))
    optimizer = fe.RowAdamW(groups)
    before = model.embedding.weight.detach().clone()
    train_one(model, optimizer)
    with pytest.raises(fe.StrategyError, match="row mask is False for every row; choose rows"):
        fe.check_moved(model.embedding, before, 0.1)


def test_a_gradient_of_exactly_zero():
    model = Model()
    with torch.no_grad():
        model.output.weight.zero_()
    before = model.embedding.weight.detach().clone()
    train_one(model, torch.optim.SGD(model.embedding.parameters(), lr=0.1))
    with pytest.raises(fe.StrategyError, match=r"exactly 0, .*; use a smaller learning rate"):
        fe.check_moved(model.embedding, before, 0.1)


def test_an_optimizer_without_the_table():
    model = Model()
    before = model.embedding.weight.detach().clone()
    train_one(model, torch.optim.AdamW(model.output.parameters(), lr=0.1))
    with pytest.raises(fe.StrategyError, match="so no optimizer steps it; find out why"):
        fe.check_moved(model.embedding, before, 0.1)


def test_one_bit_in_one_row_is_a_movement():
    model = Model()
    before = model.embedding.weight.detach().clone()
    with torch.no_grad():
        model.embedding.weight[5, 2] = torch.nextafter(before[5, 2], torch.tensor(9.0))
    assert fe.check_moved(model.embedding, before, 0.1) == 1
