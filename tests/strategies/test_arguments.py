"""The arguments of strategies: of other libraries, mistyped, and rows by number."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass
from typing import Any, get_type_hints

import numpy as np
import pytest
import torch
from torch import nn

import finetune_embed as fe
from finetune_embed.strategies import Clock


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (fe.UnfreezeAfter(epochs=np.int64(2)), fe.UnfreezeAfter(epochs=2)),
        (fe.UnfreezeAfter(fraction=np.float32(0.5)), fe.UnfreezeAfter(fraction=0.5)),
        (fe.TrustRegion(np.float32(0.5)), fe.TrustRegion(0.5)),
        (fe.TrustRegion(np.int32(2)), fe.TrustRegion(2)),
        (fe.DiscriminativeLR(embedding=np.float64(0.25)), fe.DiscriminativeLR(embedding=0.25)),
        (fe.LockRows({"a": np.int8(2)}), fe.LockRows({"a": 2.0})),
        (fe.FrequencyLR(power=np.float16(0.5)), fe.FrequencyLR(power=0.5)),
        (fe.TrainRows(top=np.uint8(3)), fe.TrainRows(top=3)),
        (fe.TrainRows(rows=np.array([3, 1])), fe.TrainRows(rows=[1, 3])),
        (fe.TrainRows(rows=torch.tensor([3, 1])), fe.TrainRows(rows=[1, 3])),
        (fe.TrainRows(rows=range(2)), fe.TrainRows(rows=[1, 0, 1])),
        (fe.TrainRows(rows={np.int64(4)}), fe.TrainRows(rows=[4])),
        (fe.HeadFirst(epochs=np.int64(1)), fe.HeadFirst(epochs=1)),
        (fe.GradualUnfreeze(epochs=np.int64(1)), fe.GradualUnfreeze(epochs=1)),
    ],
)
def test_numbers_of_other_libraries(given, plain):
    assert given == plain
    assert hash(given) == hash(plain)
    assert str(given) == str(plain)
    assert fe.Strategy.parse(str(given)) == plain


@pytest.mark.parametrize(
    "make",
    [
        lambda: fe.UnfreezeAfter(epochs=np.float64(2)),
        lambda: fe.UnfreezeAfter(epochs=np.array(2)),
        lambda: fe.UnfreezeAfter(epochs=10**5000),
        lambda: fe.TrustRegion(np.array(0.5)),
        lambda: fe.TrustRegion(torch.tensor(0.5)),
        lambda: fe.TrustRegion(np.bool_(True)),
        lambda: fe.TrustRegion(np.float32("nan")),
        lambda: fe.TrustRegion(10**400),
        lambda: fe.TrustRegion(10**5000),
        lambda: fe.DiscriminativeLR(embedding=True),
        lambda: fe.DiscriminativeLR(embedding=np.array(0.1)),
        lambda: fe.DiscriminativeLR(decay="1"),
        lambda: fe.FrequencyLR(power=1j),
        lambda: fe.FrequencyLR(power=None),
        lambda: fe.FrequencyLR(full=10**30),
        lambda: fe.LockRows({"a": 10**5000}),
        lambda: fe.TrainRows(rows=[2**63]),
        lambda: fe.TrainRows(rows=["a"]),
        lambda: fe.TrainRows(rows=np.array([[1, 2]])),
        lambda: fe.TrainRows(rows=torch.tensor(3)),
        lambda: fe.TrainRows(min_count=10**30),
    ],
)
def test_what_is_no_number(make):
    with pytest.raises(fe.StrategyError) as caught:
        make()
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: fe.L2SP(deccay=1),
            r"^L2SP has no option 'deccay' \(did you mean decay\?\); write L2SP",
        ),
        (lambda: fe.L2SP(weigth=1), r"^L2SP has no option 'weigth'; write L2SP\(decay=\.\.\.\)$"),
        (
            lambda: fe.UnfreezeAfter(epoch=1),
            r"no option 'epoch' \(did you mean epochs\?\); write Un",
        ),
        (
            lambda: fe.TrainRows(row=[1]),
            r"no option 'row' \(did you mean rows\?\); write TrainRows\(keys=",
        ),
        (lambda: fe.Freeze(1), r"^Freeze: too many positional arguments; write Freeze\(\)$"),
        (lambda: fe.TrustRegion(1, 2), "^TrustRegion: too many positional arguments; write Trust"),
        (
            lambda: fe.TrustRegion(1, radius=2),
            "^TrustRegion: multiple values for argument 'radius'",
        ),
        (lambda: Mine(), "^Mine: missing a required argument: 'limit'; write Mine"),
        (lambda: Mine(limits=1), r"^Mine has no option 'limits' \(did you mean limit\?\)"),
    ],
)
def test_arguments_that_a_strategy_does_not_take(make, message):
    with pytest.raises(fe.StrategyError, match=message):
        make()


@dataclass(frozen=True)
class Mine(fe.Strategy):
    limit: int
    more: Any = None

    def __post_init__(self) -> None:
        if self.limit == 13:
            raise TypeError("an error of its own")


def test_strategies_of_ones_own_are_made_as_before():
    assert Mine(3) == Mine(limit=3) != Mine(4)
    with pytest.raises(TypeError, match=r"^an error of its own$"):
        Mine(13)
    for one in (Mine(3), fe.TrainRows(rows=[1]), fe.L2SP(0.2) | fe.MaxNorm(), fe.TrainRows(top=3)):
        assert pickle.loads(pickle.dumps(one)) == one == copy.deepcopy(one)


def test_the_vocabulary_of_an_override_may_be_of_any_type():
    """So that `vocab: Vocabulary | None` passes a type checker."""
    assert get_type_hints(fe.Strategy.rows)["vocab"] is Any


def test_classes_instead_of_strategies():
    message = r"^FullTune is a class, not a strategy; make one of it: FullTune\(\.\.\.\)$"
    for compose in (lambda: fe.MaxNorm() | fe.FullTune, lambda: fe.FullTune | fe.MaxNorm()):
        with pytest.raises(fe.StrategyError, match=message):
            compose()
    for other in (3, "FullTune", None):
        with pytest.raises(TypeError, match="unsupported operand"):
            fe.MaxNorm() | other
    assert isinstance(fe.Freeze(), fe.FullTune | fe.Freeze)  # a union of types is still one


def test_freeze_and_full_tune_contradict_each_other():
    message = r"^Freeze \| FullTune: Freeze keeps the table unchanged, so FullTune would do nothing"
    for compose in (
        lambda: fe.FullTune() | fe.Freeze(),
        lambda: fe.Freeze() | fe.FullTune(),
        lambda: fe.Strategy.parse("FullTune | Freeze"),
    ):
        with pytest.raises(fe.StrategyError, match=message):
            compose()
    assert fe.FullTune() | fe.L2SP() == fe.L2SP()


def table_of(rows: int = 6) -> tuple[fe.BagOfEmbeddings, nn.Embedding]:
    embedding = nn.Embedding(rows, 3)
    return fe.BagOfEmbeddings(embedding, 2), embedding


@pytest.mark.parametrize("rows", [[0], [1, 3], [5, 4], range(6)])
def test_rows_by_number_need_no_vocabulary(rows):
    model, embedding = table_of()
    strategy = fe.TrainRows(rows=rows)
    optimizer = fe.RowAdamW(strategy.param_groups(model, embedding, lr=0.1))
    strategy.on_epoch_start(embedding, 0)
    before = embedding.weight.detach().clone()
    model(torch.arange(6)[None], torch.tensor([6])).sum().backward()
    optimizer.step()
    moved = (before != embedding.weight).any(dim=1).nonzero().flatten().tolist()
    assert moved == sorted(rows)


def test_rows_that_the_table_lacks():
    model, embedding = table_of()
    with pytest.raises(fe.StrategyError, match=r"chooses row 6, but the table has 6 rows, counted"):
        fe.TrainRows(rows=[1, 6]).param_groups(model, embedding, lr=0.1)


def test_a_lexicon_with_a_null_in_its_name():
    model, embedding = table_of(3)
    vocab = fe.Vocabulary.from_texts(["a"])
    with pytest.raises(fe.StrategyError, match=r"can't be read: embedded null"):
        fe.TrainRows(lexicon="\0").param_groups(model, embedding, lr=0.1, vocab=vocab)


@dataclass(frozen=True)
class Shut(fe.Strategy):
    until: int = 1

    def gate(self, name: str, clock: Clock) -> float:
        return float(clock.epoch >= self.until)


@dataclass(frozen=True)
class ShutByStep(Shut):
    @property
    def timing(self):
        return "step"


@dataclass(frozen=True)
class Negative(fe.Strategy):
    def gate(self, name: str, clock: Clock) -> float:
        return -1.0


@pytest.mark.parametrize("strategy", [Shut(), Negative(), Shut(until=99)])
def test_a_gate_that_closes_every_part(strategy):
    model, embedding = table_of()
    strategy.param_groups(model, embedding, lr=0.1)
    message = r"every part of BagOfEmbeddings is frozen in epoch 1, so nothing would train"
    with pytest.raises(fe.StrategyError, match=message):
        strategy.on_epoch_start(embedding, 0, model=model)


def test_a_gate_that_closes_every_part_at_a_step_or_in_a_run():
    model, embedding = table_of()
    ShutByStep().param_groups(model, embedding, lr=0.1)
    with pytest.raises(fe.StrategyError, match="every part of BagOfEmbeddings is frozen"):
        ShutByStep().on_step_start(embedding, 0, model=model)
    ShutByStep().on_step_start(embedding, 4, epoch=1, model=model)
    assert embedding.weight.requires_grad
    table = fe.EmbeddingTable(["a", "b"], np.eye(2, dtype=np.float32))
    import datasets

    data = datasets.Dataset.from_dict({"text": ["a", "b"] * 8, "label": [0, 1] * 8})
    with pytest.raises(fe.StrategyError, match="every part of PooledCNN is frozen"):
        fe.finetune(table, data, strategy=Shut(), epochs=2)


def test_what_compare_takes():
    table = fe.EmbeddingTable(["a", "b"], np.eye(2, dtype=np.float32))
    import datasets

    data = datasets.Dataset.from_dict({"text": ["a", "b"] * 20, "label": [0, 1] * 20})
    with pytest.raises(fe.DataError, match=r"word_pairs='x.txt' is one file, .* word_pairs=\['x"):
        fe.compare(["FullTune"], table, data, word_pairs="x.txt")
    for wrong in (fe.FullTune, 3, None):
        with pytest.raises(
            fe.StrategyError, match=r"compare takes strategies, and .* is not a Strategy; pass"
        ):
            fe.compare([wrong], table, data)
    settings = {"epochs": 1, "budget": np.int64(1), "test": np.float32(0.25)}
    found = fe.compare(["FullTune"], table, data, seeds=np.int64(2), **settings)
    assert found.recipe["seed"] == 0
    assert str(found)
