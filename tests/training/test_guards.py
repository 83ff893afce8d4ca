"""Runs in which something else than the optimizer would change rows, or nothing would train."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe

D = 6
RNG = np.random.default_rng(0)
WORDS = [f"w{i}" for i in range(20)] + ["good", "bad"]
TABLE = fe.EmbeddingTable(WORDS, RNG.standard_normal((22, D)).astype(np.float32))
LABELS = [int(y) for y in RNG.integers(0, 2, 40)]
TEXTS = [" ".join([*RNG.choice(WORDS[:20], 3), ["bad", "good"][y]]) for y in LABELS]
DATA = datasets.Dataset.from_dict({"text": TEXTS, "label": LABELS})


def tune(**settings: Any) -> fe.Run:
    return fe.finetune(TABLE, DATA, **{"epochs": 2, "batch_size": 8, "validation": 0.2} | settings)


class Head(nn.Module):
    """The mean of the rows and a linear layer, over a table of its own or a given one."""

    def __init__(self, embedding: nn.Module | None = None, labels: int = 2) -> None:
        super().__init__()
        self.embedding = embedding or nn.Embedding(3, D)
        self.output = nn.Linear(D, labels)

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        return functional.embedding(ids, self.embedding.weight)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.output(self.rows(ids).mean(1))


# --- the forward pass -----------------------------------------------------------------------------


class ByOption(Head):
    def __init__(self, embedding: Any, labels: int) -> None:
        super().__init__(embedding, labels)
        embedding.max_norm = 0.5


class ByTwin(Head):
    """Another module with the same weight renormalizes."""

    def __init__(self, embedding: Any, labels: int) -> None:
        super().__init__(embedding, labels)
        self.twin = nn.Embedding(len(embedding.weight), D, max_norm=0.5)
        self.twin.weight = embedding.weight


class ByBag(Head):
    def __init__(self, embedding: Any, labels: int) -> None:
        super().__init__(embedding, labels)
        self.inner = nn.ModuleDict({"bag": nn.EmbeddingBag(len(embedding.weight), D, max_norm=2)})
        self.inner["bag"].weight = embedding.weight


class ByFunction(Head):
    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        return functional.embedding(ids, self.embedding.weight, max_norm=0.5)


class ByFunctionOfBags(Head):
    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        bags = functional.embedding_bag(ids, self.embedding.weight, max_norm=0.5, mode="sum")
        return bags[:, None]


class ByHand(Head):
    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.embedding.weight[0] = 0
        return super().rows(ids)


class ByRenorm(Head):
    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            self.embedding.weight.renorm_(2, 0, 0.5)
        return super().rows(ids)


class ByHook(Head):
    def __init__(self, embedding: Any, labels: int) -> None:
        super().__init__(embedding, labels)
        self.register_forward_pre_hook(self.normalize)

    @torch.no_grad()
    def normalize(self, module: nn.Module, given: Any) -> None:
        self.embedding.weight.copy_(functional.normalize(self.embedding.weight))


OPTIONS = [ByOption, ByTwin, ByBag]
WRITERS = [ByFunction, ByFunctionOfBags, ByHand, ByRenorm, ByHook]


@pytest.mark.parametrize(
    "strategy",
    [fe.FullTune(), fe.Freeze(), fe.UnfreezeAfter(steps=2), fe.TrainRows(keys=["good"])],
    ids=str,
)
@pytest.mark.parametrize("head", [*OPTIONS, *WRITERS])
def test_a_head_that_changes_rows_in_its_forward_pass_is_refused(head, strategy):
    expected = "has max_norm=" if head in OPTIONS else "writes to the table in its forward pass"
    with pytest.raises(fe.StrategyError, match=expected):
        tune(head=head, strategy=strategy)


@pytest.mark.parametrize("head", WRITERS)
def test_so_is_a_module_that_does(head):
    with pytest.raises(fe.StrategyError, match="writes to the table in its forward pass"):
        tune(head=head(None, 2))


class TwoTables(Head):
    """The other table renormalizes itself; it is no table of words."""

    def __init__(self, embedding: Any, labels: int) -> None:
        super().__init__(embedding, labels)
        self.positions = nn.Embedding(9, D, max_norm=0.5)

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        return super().rows(ids) + self.positions(torch.arange(ids.shape[1]))


def test_a_second_table_may_renormalize_while_it_trains():
    run = tune(head=TwoTables, strategy="Freeze")
    assert run.metrics["drift"]["rows_moved"] == 0
    assert run.model.positions.weight.norm(dim=1)[:3].max() < 1
    with pytest.raises(fe.StrategyError, match=r"positions has max_norm=0\.5"):
        tune(head=TwoTables, strategy="ChainThaw")


# --- nothing trains -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shut(fe.Strategy):
    """Everything is frozen from an epoch on."""

    since: int = 0

    def gate(self, name: str, clock: fe.Clock) -> float:
        return float(clock.epoch < self.since)


class NoHead(nn.Module):
    """The table alone: a number for each label is a dimension of the mean vector."""

    def __init__(self, embedding: nn.Embedding, labels: int) -> None:
        super().__init__()
        self.embedding, self.labels = embedding, labels

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return functional.embedding(ids, self.embedding.weight).mean(1)[:, : self.labels]


class Detached(Head):
    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return super().forward(ids, lengths).detach()


class FrozenHead(Head):
    def __init__(self, embedding: Any, labels: int) -> None:
        super().__init__(embedding, labels)
        self.output.requires_grad_(False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": Shut()}, "every part of PooledCNN is frozen in epoch 1"),
        ({"strategy": Shut(since=1)}, "every part of PooledCNN is frozen in epoch 2"),
        ({"strategy": Shut(), "head": "bag"}, "every part of BagOfEmbeddings is frozen in epoch 1"),
        ({"strategy": Shut(), "head": "cnn"}, "every part of KimCNN is frozen in epoch 1"),
        ({"strategy": "Freeze", "head": NoHead}, "nothing trains in epoch 1: the loss depends on"),
        ({"strategy": "UnfreezeAfter(epochs=1)", "head": NoHead}, "nothing trains in epoch 1"),
        ({"strategy": "FullTune", "head": Detached}, "nothing trains in epoch 1"),
        ({"strategy": "Freeze", "head": FrozenHead}, "every part of FrozenHead is frozen"),
    ],
    ids=str,
)
def test_where_nothing_trains_there_is_a_clear_error(settings, message):
    with pytest.raises(fe.StrategyError, match=message):
        tune(**settings)


# --- runs in several threads ----------------------------------------------------------------------


def in_threads(calls: list[Callable[[], Any]]) -> list[Any]:
    results: list[Any] = [None] * len(calls)

    def work(at: int) -> None:
        results[at] = calls[at]()

    threads = [threading.Thread(target=work, args=(at,)) for at in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.parametrize(
    "settings",
    [
        {"head": "bag(dropout=0.5)"},
        {"head": "bag(hidden=8)", "word_dropout": 0.3},
        {"head": "cnn"},
        {"strategy": "UnfreezeAfter(epochs=1) | L2SP"},
        {"head": "bag(dropout=0.3)", "gradient_accumulation_steps": 2},
    ],
    ids=str,
)
def test_runs_in_several_threads_give_the_bits_of_runs_by_themselves(settings):
    alone = [tune(seed=seed, **settings) for seed in range(4)]
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    together = in_threads([lambda s=seed: tune(seed=s, **settings) for seed in range(4)])
    for one, other in zip(alone, together, strict=True):
        assert one.table.vectors.tobytes() == other.table.vectors.tobytes()
        for (name, a), b in zip(
            one.model.state_dict().items(), other.model.state_dict().values(), strict=True
        ):
            assert torch.equal(a, b), name
        assert one.history[-1]["train_loss"] == other.history[-1]["train_loss"]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_a_head_may_start_a_run_of_its_own():
    def head(embedding: nn.Embedding, labels: int) -> nn.Module:
        assert tune(epochs=1).metrics["epochs"] == 1
        return fe.BagOfEmbeddings(embedding, labels)

    assert tune(head=head).metrics["epochs"] == 2


@pytest.mark.parametrize(
    "strategy",
    [fe.Freeze(), fe.UnfreezeAfter(epochs=9), fe.TrainRows(top=3), fe.L2SP(), fe.ChainThaw()],
    ids=str,
)
def test_the_model_of_a_run_trains_with_any_optimizer(strategy):
    run = tune(strategy=strategy, epochs=1)
    optimizer = torch.optim.SGD(run.model.parameters(), lr=0.1)
    start = run.model.embedding.weight.detach().clone()
    ids, lengths = torch.arange(2, 8).view(2, 3), torch.tensor([3, 3])
    functional.cross_entropy(run.model(ids, lengths), torch.tensor([0, 1])).backward()
    optimizer.step()
    moved = (run.model.embedding.weight != start).any(dim=1)
    assert moved.nonzero().flatten().tolist() == [2, 3, 4, 5, 6, 7]
    run.model.embedding.requires_grad_(False)  # the caller's own business from here on
    optimizer.zero_grad()
    optimizer.step()
