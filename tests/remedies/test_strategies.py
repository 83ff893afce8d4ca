"""The remedies for strategies are followed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from datasets import ClassLabel, Dataset
from following import follows
from torch import nn

import finetune_embed as fe
from finetune_embed.errors import StrategyError

TEXTS = ["a king", "the queen", "a man", "the woman"]


class Model(nn.Module):
    """A table and an output layer."""

    def __init__(self, table: fe.EmbeddingTable) -> None:
        super().__init__()
        self.vocab = fe.Vocabulary.from_texts(TEXTS)
        self.embedding = fe.to_embedding(table, self.vocab)
        self.output = nn.Linear(3, 2)

    def groups(self, strategy: fe.Strategy, **options: object) -> list[dict]:
        return strategy.param_groups(self, self.embedding, lr=0.1, **options)


@pytest.fixture
def model(table):
    return Model(table)


# Composition and text forms


@follows("strategies/base.py", "is not a strategy")
def test_texts_that_are_not_strategies():
    with pytest.raises(StrategyError, match=r"such as 'UnfreezeAfter.*embedding=0.1\)'$"):
        fe.Strategy.parse("tune|")
    fe.Strategy.parse("UnfreezeAfter(epochs=2) | DiscriminativeLR(embedding=0.1)")


def argument(module: str, fragment: str, make: Callable[[], fe.Strategy], text: str):
    """Return a test that an argument is an error, and that `text`, its remedy, works."""

    @follows(f"strategies/{module}.py", fragment)
    def test() -> None:
        with pytest.raises(StrategyError) as caught:
            make()
        assert text in str(caught.value)
        fe.Strategy.parse(text)

    return test


test_unfreeze_after = argument(
    "freezing", "either epochs, steps or fraction", fe.UnfreezeAfter, "UnfreezeAfter(epochs=2)"
)
test_head_first = argument(
    "freezing", "either epochs or patience", fe.HeadFirst, "HeadFirst(epochs=3)"
)
test_ramp_up = argument("learning_rates", "either epochs or steps", fe.RampUp, "RampUp(steps=500)")
test_no_factor = argument(
    "learning_rates", "has no factor", fe.DiscriminativeLR, "DiscriminativeLR(decay=0.385)"
)
test_a_rate_of_zero = argument(
    "learning_rates", "a number above 0", lambda: fe.DiscriminativeLR(embedding=0), "Freeze()"
)
test_no_rows = argument("row_selection", "takes one of keys", fe.TrainRows, "TrainRows(oov=True)")
test_keys = argument(
    "row_selection",
    "must be a list of words",
    lambda: fe.TrainRows(keys="good"),
    "TrainRows(keys=['good', 'bad'])",
)
test_row_numbers = argument(
    "row_selection",
    "must be a list of row numbers",
    lambda: fe.TrainRows(rows=5),
    "TrainRows(rows=[0, 5])",
)


@follows("strategies/arguments.py", "what,")
def test_arguments_that_a_strategy_does_not_take():
    with pytest.raises(StrategyError, match=r"; write L2SP\(decay=\.\.\.\)$"):
        fe.L2SP(deccay=0.5)
    assert fe.L2SP(decay=0.5).decay == 0.5


def test_a_class_instead_of_a_strategy():
    with pytest.raises(StrategyError, match=r"; make one of it: MaxNorm\(\.\.\.\)$"):
        fe.L2SP() | fe.MaxNorm
    assert str(fe.L2SP() | fe.MaxNorm()) == "L2SP | MaxNorm"


# Groups


@follows("strategies/layout.py", "is not part of the model")
def test_an_embedding_outside_the_model(model, table):
    with pytest.raises(StrategyError, match=r"strategy.param_groups\(model, model.embedding, lr"):
        fe.FullTune().param_groups(model, Model(table).embedding, lr=0.1)
    fe.FullTune().param_groups(model, model.embedding, lr=0.1)


@follows("strategies/learning_rates.py", "matches no layer of the model")
def test_factors_on_unknown_layers(model):
    with pytest.raises(StrategyError, match=r"there are output; .*DiscriminativeLR\(embedding="):
        model.groups(fe.DiscriminativeLR(parts={"embedding": 0.5}))
    model.groups(fe.DiscriminativeLR(parts={"output": 0.5}))
    model.groups(fe.DiscriminativeLR(embedding=0.5))


@follows("strategies/row_selection.py", "chooses rows by their words")
def test_rows_by_word_without_a_vocabulary(model):
    with pytest.raises(StrategyError, match=r"call strategy.param_groups\(.*, vocab=vocab\)$"):
        model.groups(fe.FrequencyLR())
    model.groups(fe.FrequencyLR(), vocab=model.vocab)


@follows("strategies/row_selection.py", "depends on how often words occur")
def test_a_vocabulary_without_counts(model):
    without = fe.Vocabulary(dict.fromkeys(model.vocab.words, 0))
    with pytest.raises(StrategyError, match=r"Vocabulary.from_dataset\(dataset, 'text'\)$"):
        model.groups(fe.FrequencyLR(), vocab=without)
    counted = fe.Vocabulary.from_dataset(Dataset.from_dict({"text": TEXTS}), "text")
    model.groups(fe.FrequencyLR(), vocab=counted)


@follows("strategies/row_selection.py", "needs to know which words the vectors lack")
def test_an_embedding_of_unknown_origin(model, table):
    strategy, embedding = fe.TrainRows(oov=True), model.embedding
    model.embedding = nn.Embedding.from_pretrained(embedding.weight.detach(), freeze=False)
    with pytest.raises(StrategyError, match=r"make it with to_embedding\(table, vocab\)"):
        model.groups(strategy)
    model.embedding = fe.to_embedding(table, model.vocab)
    model.groups(strategy)


# Hooks


@follows("strategies/protocol.py", "is timed by step")
def test_the_hook_of_epochs(model):
    strategy = fe.UnfreezeAfter(steps=1)
    with pytest.raises(StrategyError, match=r"strategy.on_step_start\(embedding, step, epoch=ep"):
        strategy.on_epoch_start(model.embedding, 0)
    strategy.on_step_start(model.embedding, 0, epoch=0)


@follows("strategies/protocol.py", "is timed by epoch")
def test_the_hook_of_steps(model):
    strategy = fe.UnfreezeAfter(epochs=1)
    with pytest.raises(StrategyError, match=r"strategy.on_epoch_start\(embedding, epoch\)$"):
        strategy.on_step_start(model.embedding, 0)
    strategy.on_epoch_start(model.embedding, 0)


@follows("strategies/freezing.py", "needs validation scores")
def test_hooks_without_scores(model):
    strategy, history = fe.UnfreezeOnPlateau(), []
    with pytest.raises(StrategyError, match=r"on_epoch_start\(embedding, epoch, scores=history\)"):
        strategy.on_epoch_start(model.embedding, 0)
    strategy.on_epoch_start(model.embedding, 0, scores=history)


@follows("strategies/validation_records.py", "a validation record has")
def test_records_without_the_score(model):
    strategy = fe.UnfreezeOnPlateau(metric="f1")
    with pytest.raises(StrategyError, match=r"scores=\[\{'validation_f1': 0.5\}, \.\.\.\]\)$"):
        strategy.on_epoch_start(model.embedding, 1, scores=[{"validation_loss": 0.5}])
    strategy.on_epoch_start(model.embedding, 1, scores=[{"validation_f1": 0.5}])
    fe.UnfreezeOnPlateau().on_epoch_start(model.embedding, 1, scores=[{"validation_loss": 0.5}])


@follows("strategies/gradual_unfreezing.py", "opens one part of the model after the other")
def test_hooks_without_the_model(model):
    strategy = fe.GradualUnfreeze()
    with pytest.raises(StrategyError, match=r"on_epoch_start\(embedding, epoch, model=model\)$"):
        strategy.on_epoch_start(model.embedding, 0)
    strategy.on_epoch_start(model.embedding, 0, model=model)


@follows("strategies/freezing.py", "needs the number of all steps")
def test_a_share_of_an_unknown_number_of_steps(model, table):
    strategy = fe.UnfreezeAfter(fraction=0.5)
    with pytest.raises(StrategyError, match=r"step, total_steps=\.\.\.\), or"):
        strategy.on_step_start(model.embedding, 0)
    strategy.on_step_start(model.embedding, 0, total_steps=10)

    rows = {"text": TEXTS * 8, "label": [0, 1] * 16}
    data = Dataset.from_dict(rows).cast_column("label", ClassLabel(names=["x", "y"]))
    data = {"train": data.to_iterable_dataset(), "validation": data}  # its length is not counted
    settings = {"strategy": strategy, "vocab": model.vocab, "epochs": 1, "batch_size": 4}
    with pytest.raises(StrategyError, match=r"to finetune\(\.\.\., max_steps=\.\.\.\)$"):
        fe.finetune(table, data, **settings)
    fe.finetune(table, data, max_steps=4, **settings)


# Optimizers


@follows("strategies/gates.py", "sets single rows or a share of the rate")
def test_rules_without_row_adamw(model):
    strategy = fe.L2SP()
    torch.optim.AdamW(model.groups(strategy))
    with pytest.raises(StrategyError, match=r"use RowAdamW\(strategy.param_groups\(\.\.\.\)\)$"):
        strategy.on_epoch_start(model.embedding, 0)
    fe.RowAdamW(model.groups(strategy))
    strategy.on_epoch_start(model.embedding, 0)


def check_without(model: Model, parameters: object) -> None:
    strategy, remedy = fe.FullTune(), r"with strategy.param_groups\(model, embedding, lr=lr\)$"
    with pytest.raises(StrategyError, match=remedy):
        fe.check_optimizer(torch.optim.SGD(parameters), model.embedding, strategy)
    fe.check_optimizer(torch.optim.SGD(model.groups(strategy)), model.embedding, strategy)


@follows("strategies/checks.py", "groups, so it would never train")
def test_optimizers_without_the_table(model):
    check_without(model, model.output.parameters())


@follows("strategies/checks.py", "did not make, so its rate would be lost")
def test_optimizers_with_other_groups(model):
    check_without(model, model.parameters())


@follows("strategies/checks.py", "was open for an epoch")
def test_a_table_that_did_not_move(model):
    weight, optimizer = model.embedding.weight, torch.optim.SGD(model.output.parameters())
    weight.grad = torch.ones_like(weight)
    with pytest.raises(StrategyError, match=r"with check_optimizer\(optimizer, embedding\)$"):
        fe.check_moved(model.embedding, weight.detach().clone(), 0.1)
    with pytest.raises(StrategyError, match="is in none of the optimizer's 1 groups"):
        fe.check_optimizer(optimizer, model.embedding)


# What a step, a forward pass and a hook must not do


def one_step(model: Model, optimizer: torch.optim.Optimizer) -> None:
    loss = model.output(model.embedding(torch.tensor([2, 3]))).square().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@follows("strategies/freezing.py", "takes one validation record for each finished epoch")
def test_more_records_than_epochs(model):
    strategy, history = fe.UnfreezeOnPlateau(), [{"validation_loss": 0.5}, {}]
    with pytest.raises(StrategyError, match=r"start\(embedding, len\(history\), scores=history\)$"):
        strategy.on_epoch_start(model.embedding, 1, scores=history)
    strategy.on_epoch_start(model.embedding, len(history), scores=history)


@follows("strategies/gates.py", "param_groups was not given the embedding")
def test_a_weight_that_was_replaced(model):
    strategy = fe.TrainRows(keys=["king"])
    fe.RowAdamW(model.groups(strategy, vocab=model.vocab))
    model.embedding.weight = nn.Parameter(model.embedding.weight.detach().clone())
    with pytest.raises(StrategyError, match=r"strategy.param_groups\(model, embedding, lr=lr\)$"):
        strategy.on_epoch_start(model.embedding, 0)
    optimizer = fe.RowAdamW(model.groups(strategy, vocab=model.vocab))
    strategy.on_epoch_start(model.embedding, 0)
    one_step(model, optimizer)


@follows("strategies/watch.py", "no hook of")
def test_a_loop_without_a_hook(model):
    for strategy, remedy in (
        (fe.Freeze(), r"epoch call strategy.on_epoch_start\(embedding, epoch\)$"),
        (fe.UnfreezeAfter(steps=1), r"pass call strategy.on_step_start\(embedding, step\)$"),
    ):
        optimizer = torch.optim.SGD(model.groups(strategy))
        with pytest.raises(StrategyError, match=remedy):
            one_step(model, optimizer)
        if strategy.timing == "step":
            strategy.on_step_start(model.embedding, 0)
        else:
            strategy.on_epoch_start(model.embedding, 0)
        one_step(model, optimizer)


@follows("strategies/watch.py", "sets single rows or a share of the rate")
def test_a_step_that_ignores_rows(model):
    strategy = fe.L2SP()
    optimizer = torch.optim.AdamW(model.groups(strategy))
    remedy = r"use RowAdamW\(strategy.param_groups\(\.\.\.\)\); to end it, .* from FullTune"
    with pytest.raises(StrategyError, match=remedy):
        one_step(model, optimizer)
    one_step(model, fe.RowAdamW(model.groups(strategy)))
    one_step(model, torch.optim.AdamW(model.groups(fe.FullTune())))


@follows("strategies/watch.py", "but since then requires_grad")
def test_a_second_phase_that_opens_a_frozen_table(model):
    fe.RowAdamW(model.groups(fe.Freeze()))
    fe.Freeze().on_epoch_start(model.embedding, 0)
    model.embedding.requires_grad_(True)
    with pytest.raises(StrategyError, match=r"end it, build the optimizer from FullTune\(\)\.par"):
        one_step(model, torch.optim.AdamW(model.parameters()))
    start = model.embedding.weight.detach().clone()
    one_step(model, torch.optim.AdamW(model.groups(fe.FullTune())))
    assert not torch.equal(model.embedding.weight, start)


@follows("strategies/weights.py", "is no parameter but computed")
def test_a_weight_that_is_computed(model):
    from torch.nn.utils import parametrizations, parametrize

    parametrizations.weight_norm(model.embedding)
    with pytest.raises(StrategyError, match=r"remove_parametrizations\(embedding, 'weight'\)$"):
        model.groups(fe.FullTune())
    parametrize.remove_parametrizations(model.embedding, "weight")
    model.groups(fe.FullTune())


@follows("strategies/weights.py", "which rescales rows of its table")
def test_a_table_with_max_norm(model):
    model.embedding.max_norm = 0.5
    strategy = fe.DiscriminativeLR(embedding=0.5)
    with pytest.raises(StrategyError, match=r"MaxNorm\(max_norm=0.5\) limits .*strategy \| MaxNo"):
        model.groups(strategy)
    model.embedding.max_norm = None
    optimizer = fe.RowAdamW(model.groups(strategy | fe.MaxNorm(max_norm=0.5)))
    one_step(model, optimizer)
    norms = model.embedding.weight.detach().norm(dim=1)
    assert norms[2:4].max() <= 0.500001
    assert norms[4:].max() > 0.6
