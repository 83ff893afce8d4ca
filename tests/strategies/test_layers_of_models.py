"""A model as layers, and gates of layers other than the table."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.strategies import model_layout
from finetune_embed.strategies.layout import Part

V, D = 8, 4


def names(parts: list[Part]) -> list[tuple[str, int]]:
    return [(part.name, part.depth) for part in parts]


class Deep(nn.Module):
    """Two tables, two blocks in a list, a stack in a stack, and a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.ModuleDict({"table": nn.Embedding(V, D), "position": nn.Embedding(5, D)})
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(D, 2, 8, batch_first=True) for _ in range(2)
        )
        self.stack = nn.Sequential(
            nn.Linear(D, D), nn.ReLU(), nn.Sequential(nn.Linear(D, D), nn.LayerNorm(D))
        )
        self.dropout = nn.Dropout()
        self.output = nn.Linear(D, 2)
        self.temperature = nn.Parameter(torch.ones(()))


# --- layers ---------------------------------------------------------------------------------------


def test_a_layer_is_a_child_or_an_item_of_a_list_of_layers():
    model = Deep()
    weight = model.words["table"].weight
    parts = model_layout(model, weight)
    assert names(parts) == [
        ("embedding", 8),
        ("model", 7),
        ("words", 6),
        ("blocks.0", 5),
        ("blocks.1", 4),
        ("stack.0", 3),
        ("stack.2.0", 2),
        ("stack.2.1", 1),
        ("output", 0),
    ]
    by_name = {part.name: part.params for part in parts}
    assert by_name["embedding"] == [weight]
    assert by_name["words"][0] is model.words["position"].weight
    assert len(by_name["words"]) == 1
    for i, block in enumerate(model.blocks):
        assert [id(p) for p in by_name[f"blocks.{i}"]] == [id(p) for p in block.parameters()]
        assert len(by_name[f"blocks.{i}"]) == 12
    held = [id(p) for part in parts for p in part.params]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_two_transformer_layers_are_two_steps_of_discriminative_rates():
    model = Deep()
    strategy = fe.DiscriminativeLR(decay=0.5)
    groups = strategy.param_groups(model, model.words["table"], lr=1.0)
    rates = {group["name"]: group["lr"] for group in groups}
    assert (rates["blocks.0"], rates["blocks.1"]) == (0.5**5, 0.5**4)


def test_kims_convolutions_are_one_layer():
    model = fe.KimCNN(nn.Embedding(V, D), 2, filters=3, widths=(1, 2, 3))
    parts = model_layout(model, model.embedding.weight)
    assert names(parts) == [("embedding", 2), ("convolutions", 1), ("output", 0)]
    assert [len(part.params) for part in parts] == [1, 6, 2]


def test_a_sequential_model_and_a_sequential_around_the_table():
    inner = nn.Sequential(OrderedDict(table=nn.Embedding(V, D), norm=nn.LayerNorm(D)))
    model = nn.Sequential(inner, nn.Linear(D, 2))
    assert names(model_layout(model, inner.table.weight)) == [
        ("embedding", 2),
        ("0.norm", 1),
        ("1", 0),
    ]
    table = nn.Embedding(V, D)
    assert names(model_layout(table, table.weight)) == [("embedding", 0)]


def test_shared_parameters_are_in_the_first_layer_that_has_them():
    table, shared = nn.Embedding(V, D), nn.Linear(D, D)
    tied = nn.Linear(D, V)
    tied.weight = table.weight
    half = nn.Linear(D, D)
    half.weight = shared.weight
    model = nn.Sequential(shared, table, nn.Sequential(shared, nn.ReLU()), half, tied)
    parts = model_layout(model, table.weight)
    assert names(parts) == [("embedding", 3), ("0", 2), ("3", 1), ("4", 0)]
    assert [[tuple(p.shape) for p in part.params] for part in parts] == [
        [(V, D)],
        [(D, D), (D,)],
        [(D,)],
        [(V,)],
    ]


def test_parameters_beside_the_table_keep_their_depth_under_another_name():
    model = nn.Module()
    model.embedding = nn.ModuleDict({"table": nn.Embedding(V, D), "position": nn.Embedding(5, D)})
    model.output = nn.Linear(D, 2)
    parts = model_layout(model, model.embedding["table"].weight)
    assert names(parts) == [("embedding", 2), ("embedding.rest", 1), ("output", 0)]


# --- gates of layers ------------------------------------------------------------------------------


class TableFirst(fe.Strategy):
    """For the first epoch, the table alone trains."""

    def gate(self, name, clock):
        return float(name == "embedding" or clock.epoch >= 1)


class OneByOne(fe.Strategy):
    """Gradual unfreezing by steps: the output first, the table last."""

    ORDER = ("output", "hidden", "embedding")

    @property
    def timing(self):
        return "step"

    def gate(self, name, clock):
        return float(clock.step >= self.ORDER.index(name))


def trained_on(model: nn.Module, optimizer: torch.optim.Optimizer) -> set[str]:
    """Do one step and return the names of the parameters that moved."""
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    ids, labels = torch.tensor([[1, 2], [3, 4], [5, 6]]), torch.tensor([0, 1, 0])
    optimizer.zero_grad()
    functional.cross_entropy(model(ids, torch.tensor([2, 2, 2])), labels).backward()
    optimizer.step()
    return {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}


def head() -> nn.Module:
    return fe.BagOfEmbeddings(nn.Embedding(V, D, padding_idx=0), 2, hidden=16)


ALL = {"embedding.weight", "hidden.weight", "hidden.bias", "output.weight", "output.bias"}


@pytest.mark.parametrize("kind", [fe.RowAdamW, torch.optim.AdamW])
def test_a_custom_strategy_that_freezes_everything_except_the_table_for_an_epoch(kind):
    model, strategy = head(), TableFirst()
    groups = strategy.param_groups(model, model.embedding, lr=0.1, weight_decay=0.1)
    optimizer = kind(groups, lr=0.1)
    for epoch, moved in ((1, ALL), (0, {"embedding.weight"}), (0, {"embedding.weight"}), (1, ALL)):
        strategy.on_epoch_start(model.embedding, epoch, model=model)
        strategy.on_epoch_start(model.embedding, epoch, model=model)  # may be called again
        if epoch == 0:
            assert all(p.grad is None for n, p in model.named_parameters() if "embed" not in n)
        assert trained_on(model, optimizer) == moved


def test_without_the_model_only_the_table_is_gated():
    model, strategy = head(), TableFirst()
    strategy.on_epoch_start(model.embedding, 0)
    assert all(p.requires_grad for p in model.parameters())


def test_layers_open_one_by_one():
    model, strategy = head(), OneByOne()
    optimizer = fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=0.1))
    output, hidden = {"output.weight", "output.bias"}, {"hidden.weight", "hidden.bias"}
    for step, moved in enumerate((output, output | hidden, ALL, ALL)):
        strategy.on_step_start(model.embedding, step, model=model)
        assert trained_on(model, optimizer) == moved


def test_what_the_user_froze_is_never_opened():
    model, strategy = head(), TableFirst()
    model.hidden.weight.requires_grad_(False)
    optimizer = fe.RowAdamW(strategy.param_groups(model, model.embedding, lr=0.1))
    for epoch, moved in ((0, {"embedding.weight"}), (1, ALL - {"hidden.weight"})) * 2:
        strategy.on_epoch_start(model.embedding, epoch, model=model)
        assert trained_on(model, optimizer) == moved


@pytest.mark.parametrize(
    "strategy",
    [
        fe.FullTune(),
        fe.Freeze(),
        fe.UnfreezeAfter(epochs=2),
        fe.UnfreezeAfter(steps=2),
        fe.DiscriminativeLR(decay=0.5),
        fe.UnfreezeAfter(epochs=1) | fe.DiscriminativeLR(embedding=0.1),
    ],
    ids=str,
)
def test_no_built_in_strategy_touches_the_rest_of_the_model(strategy):
    model = head()
    model.hidden.requires_grad_(False)
    model.hidden.weight.grad = torch.ones_like(model.hidden.weight)
    rest = {name: p for name, p in model.named_parameters() if name != "embedding.weight"}
    for moment in range(4):
        if strategy.timing == "step":
            strategy.on_step_start(model.embedding, moment, model=model)
        else:
            strategy.on_epoch_start(model.embedding, moment, model=model)
        for name, parameter in rest.items():
            assert parameter.requires_grad == name.startswith("output"), name
        assert torch.equal(model.hidden.weight.grad, torch.ones_like(model.hidden.weight))
