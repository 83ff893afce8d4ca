"""Strategies with tables that are tied, one of two, shared or compiled, or in other trainers."""

from __future__ import annotations

import copy
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.optim import mean_bag

V, D, EPOCHS, LR = 20, 4, 4, 0.05
WORDS = [f"word{i}" for i in range(V)]
VOCAB = fe.Vocabulary({word: 2 * (V - i) for i, word in enumerate(WORDS)})
TABLE = fe.EmbeddingTable(
    WORDS[:15], np.random.default_rng(0).standard_normal((15, D)).astype(np.float32)
)
STRATEGIES = [
    fe.Freeze(),
    fe.FullTune(),
    fe.UnfreezeAfter(epochs=2),
    fe.GradualUnfreeze(),
    fe.GradualUnfreeze(by="frequency", bands=2),
    fe.HeadFirst(epochs=2, rate_after=0.5),
    fe.DiscriminativeLR(embedding=0.3),
    fe.RampUp(epochs=2) | fe.UnfreezeAfter(epochs=1),
    fe.FrequencyLR(),
    fe.TrainRows(keys=["word1", "word3"]),
    fe.LockRows({"word0": 0.0, "word1": 0.5}),
    fe.L2SP(2.0),
    fe.DeltaShrink(0.2),
    fe.TrustRegion(0.1),
    fe.MaxNorm(1.5),
]
_random = torch.Generator().manual_seed(1)
BATCHES = [torch.randint(2, V + 2, (6, 3), generator=_random) for _ in range(3)]
SEEN = torch.cat(BATCHES).unique()  # all words except one


def new_embedding(*, sparse: bool = False) -> nn.Embedding:
    return fe.to_embedding(TABLE, VOCAB, sparse=sparse)


def bits(weight: torch.Tensor) -> bytes:
    return weight.detach().numpy().tobytes()


START = new_embedding().weight.detach().clone()


# Tied weights


class LanguageModel(nn.Module):
    """Predicts a word from the two before it; the table is also the output layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.hidden = new_embedding(), nn.Linear(2 * D, D)
        self.output = nn.Linear(D, V + 2, bias=False)
        self.output.weight = self.embedding.weight

    def loss(self, words: torch.Tensor) -> torch.Tensor:
        units = torch.relu(self.hidden(self.embedding(words[:, :2]).flatten(1)))
        return functional.cross_entropy(self.output(units), words[:, 2])


class Untied(nn.Module):
    """The parameters of the tied model, which get its gradients."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.hidden = new_embedding(), nn.Linear(2 * D, D)


def optimizer_of(strategy: fe.Strategy, model: Any) -> fe.RowAdamW:
    groups = strategy.param_groups(model, model.embedding, lr=LR, weight_decay=0.01, vocab=VOCAB)
    return fe.RowAdamW(groups)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_a_tied_table_is_one_parameter_and_follows_its_strategy(strategy):
    """It moves like an untied table with the same gradients, bit for bit."""
    model, untied = LanguageModel(), Untied()
    optimizer, other = optimizer_of(strategy, model), optimizer_of(strategy, untied)
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert len(held) == len({id(p) for p in held}) == 3
    for epoch in range(EPOCHS):
        for one in (model, untied):
            strategy.on_epoch_start(one.embedding, epoch, model=one)
        for words in BATCHES:
            optimizer.zero_grad()
            if any(p.requires_grad for p in model.parameters()):
                model.loss(words).backward()
            for (name, p), q in zip(model.named_parameters(), untied.parameters(), strict=True):
                assert name in dict(untied.named_parameters())
                q.grad = None if p.grad is None else p.grad.clone()
            optimizer.step()
            other.step()
    assert bits(model.embedding.weight) == bits(untied.embedding.weight)
    assert model.output.weight is model.embedding.weight
    moved = (model.embedding.weight != START).any(dim=1)
    if strategy == fe.Freeze():
        assert not moved.any()
    elif isinstance(strategy, fe.TrainRows):
        kept = [VOCAB.key_to_index[word] for word in ("word1", "word3")]
        assert moved.nonzero().squeeze(1).tolist() == kept
    else:
        assert moved[2:].sum() >= V - 1  # the output layer has a gradient for every row


# Two tables


class Tower(nn.Module):
    def __init__(self, *, sparse: bool = False) -> None:
        super().__init__()
        self.embedding, self.output = new_embedding(sparse=sparse), nn.Linear(D, D)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.output(self.embedding(ids).mean(1))


class TwoTables(nn.Module):
    """A question and an answer, each with a table, equal by value."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.question, self.answer = Tower(), Tower()

    def loss(self, words: torch.Tensor) -> torch.Tensor:
        a, b = self.question(words), self.answer(words.flip(0))
        return functional.mse_loss(a, b.roll(1, 0)) + a.square().mean() + b.square().mean()


def train(model: Any, optimizer: torch.optim.Optimizer, *timed: Any) -> None:
    """Train for some epochs; `timed` are called with the number of each."""
    for epoch in range(EPOCHS):
        for call in timed:
            call(epoch)
        for words in BATCHES:
            optimizer.zero_grad()
            model.loss(words).backward()
            optimizer.step()


def test_one_of_two_equal_tables_is_found_by_identity():
    model, strategy = TwoTables(), fe.Freeze()
    table = model.answer.embedding
    assert torch.equal(model.question.embedding.weight, table.weight)
    groups = strategy.param_groups(model, table, lr=LR)
    assert [p for g in groups if g["name"] == "embedding" for p in g["params"]] == [table.weight]
    assert sum(p is table.weight for g in groups for p in g["params"]) == 1
    optimizer = fe.RowAdamW(groups)
    train(model, optimizer, lambda epoch: strategy.on_epoch_start(table, epoch, model=model))
    assert bits(table.weight) == bits(START)
    assert (model.question.embedding.weight != START).any(dim=1)[SEEN].all()


PAIRS = [
    (fe.Freeze(), fe.FullTune()),
    (fe.UnfreezeAfter(epochs=2), fe.TrainRows(keys=["word1"])),
    (fe.L2SP(2.0), fe.Freeze()),
    (fe.TrustRegion(0.05), fe.DiscriminativeLR(embedding=0.1)),
]


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_each_of_two_tables_has_its_own_strategy(pair):
    """With the joined groups of the two parts, each table follows its own strategy."""

    model = TwoTables()
    parts = list(zip(pair, (model.question, model.answer), strict=True))
    optimizer = fe.RowAdamW(
        [g for s, part in parts for g in s.param_groups(part, part.embedding, lr=LR, vocab=VOCAB)]
    )

    def opened(epoch: int) -> None:
        for strategy, part in parts:
            strategy.on_epoch_start(part.embedding, epoch, model=part)

    train(model, optimizer, opened)
    for strategy, part in parts:
        moved = (part.embedding.weight != START).any(dim=1)
        way = (part.embedding.weight - START).norm(dim=1)
        if strategy == fe.Freeze():
            assert not moved.any()
        elif isinstance(strategy, fe.TrainRows):
            assert moved.nonzero().squeeze(1).tolist() == [VOCAB.key_to_index["word1"]]
        else:
            assert moved.nonzero().squeeze(1).tolist() == SEEN.tolist()
        if isinstance(strategy, fe.TrustRegion):
            assert (way[2:15] <= 1.00001 * 0.05 * START.norm(dim=1)[2:15]).all()


# One table, held twice


class Twins(nn.Module):
    """Two encoders over one table: the same module, or two modules of one weight."""

    def __init__(self, *, same_module: bool, sparse: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = new_embedding(sparse=sparse)
        self.first, self.second = Tower(sparse=sparse), Tower(sparse=sparse)
        for tower in (self.first, self.second):
            if same_module:
                tower.embedding = self.embedding
            else:
                tower.embedding.weight = self.embedding.weight

    def loss(self, words: torch.Tensor) -> torch.Tensor:
        return functional.mse_loss(self.first(words), 1 + self.second(words.flip(0)))


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_a_table_held_by_two_modules(strategy, sparse):
    ends = []
    for same_module in (True, False):
        model = Twins(same_module=same_module, sparse=sparse)
        optimizer = optimizer_of(strategy, model)
        weight = model.embedding.weight
        assert sum(p is weight for g in optimizer.param_groups for p in g["params"]) == 1

        def opened(epoch: int, model: Twins = model) -> None:
            strategy.on_epoch_start(model.embedding, epoch, model=model)

        train(model, optimizer, opened)
        assert model.first.embedding.weight is model.second.embedding.weight is weight
        ends.append(weight.detach())
    assert bits(ends[0]) == bits(ends[1])
    assert (bits(ends[0]) == bits(START)) == (strategy == fe.Freeze())


# torch.compile


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = new_embedding()
        self.hidden, self.output = nn.Linear(D, D), nn.Linear(D, 2)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        return self.output(torch.relu(self.hidden(self.embedding(words).mean(1))))


@pytest.fixture
def compiler() -> Iterator[None]:
    """Drop what was compiled."""
    if shutil.which("g++") is None:
        pytest.skip("torch's compiler needs g++")
    with warnings.catch_warnings():
        # torch warns about its compiler's own imports, and about reading tensors it traces
        warnings.filterwarnings("ignore", "`torch.jit.script_method` is dep", DeprecationWarning)
        warnings.filterwarnings(
            "ignore", r"The \.grad attribute of a Tensor that is not", UserWarning
        )
        yield
    torch._dynamo.reset()


#: The backend `eager` traces the forward pass, `aot_eager` the backward pass too.
COMPILED = [(fe.UnfreezeAfter(epochs=2), "eager")] + [(one, "aot_eager") for one in STRATEGIES]


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "backend"), COMPILED, ids=str)
def test_a_compiled_model_gives_the_same_bits(strategy, backend):
    """Opening and freezing during training also work in the compiled model."""
    labels = torch.tensor([0, 1] * 3)
    ends = []
    for compiled in (False, True):
        model = Classifier()
        optimizer = optimizer_of(strategy, model)
        called = torch.compile(model, backend=backend) if compiled else model
        moved = []
        for epoch in range(EPOCHS):
            strategy.on_epoch_start(model.embedding, epoch, model=model)
            before = bits(model.embedding.weight)
            for words in BATCHES:
                optimizer.zero_grad()
                functional.cross_entropy(called(words), labels).backward()
                optimizer.step()
            moved.append(bits(model.embedding.weight) != before)
        ends.append((moved, [bits(p) for p in model.parameters()]))
    torch._dynamo.reset()
    assert ends[0][0] == ends[1][0]
    assert ends[0][1] == ends[1][1]
    expected = {fe.Freeze(): [False] * 4, fe.UnfreezeAfter(epochs=2): [False, False, True, True]}
    assert ends[1][0] == expected.get(strategy, ends[0][0])


@pytest.mark.slow
def test_a_model_compiled_by_inductor_opens_its_table(compiler):
    """Inductor's fused loops round differently, so only frozen parameters have the same bits."""
    labels, ends = torch.tensor([0, 1] * 3), []
    for compiled in (False, True):
        model, strategy = Classifier(), fe.UnfreezeAfter(epochs=2)
        optimizer = optimizer_of(strategy, model)
        called = torch.compile(model) if compiled else model
        for epoch in range(EPOCHS):
            strategy.on_epoch_start(model.embedding, epoch, model=model)
            for words in BATCHES:
                optimizer.zero_grad()
                functional.cross_entropy(called(words), labels).backward()
                optimizer.step()
            assert (bits(model.embedding.weight) == bits(START)) == (epoch < 2)
        ends.append([p.detach() for p in model.parameters()])
    for theirs, ours in zip(*ends, strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
@pytest.mark.parametrize("head", [fe.BagOfEmbeddings, fe.KimCNN, fe.BiLSTMTagger])
def test_our_heads_learn_the_same_when_they_are_compiled(head, backend, compiler):
    lengths = torch.tensor([5, 3, 7, 4])
    ids = torch.randint(1, V, (19,), generator=torch.Generator().manual_seed(2))
    if head is not fe.BagOfEmbeddings:
        ids = nn.utils.rnn.pad_sequence(ids.split(lengths.tolist()), batch_first=True)
    ends = []
    for compiled in (False, True):
        torch.manual_seed(0)
        embedding = new_embedding(sparse=True)
        model = head(embedding, 2).eval()  # torch's compiler draws other dropout
        optimizer = optimizer_of(fe.FullTune(), model)
        called = torch.compile(model, backend=backend) if compiled else model
        for _ in range(3):
            optimizer.zero_grad()
            called(ids, lengths).square().sum().backward()
            optimizer.step()
        ends.append(embedding.weight.detach())
    assert (ends[0] - START).abs().max() > LR
    torch.testing.assert_close(ends[1], ends[0], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_means_are_compiled_as_one_graph_with_their_check(backend, compiler):
    ids, lengths = torch.tensor([7, 7, 2, 2, 9]), torch.tensor([3, 0, 2])
    compiled = torch.compile(mean_bag, backend=backend, fullgraph=True)
    ends = []
    for called in (mean_bag, compiled):
        weight = nn.Parameter(START.clone())
        means = called(weight, ids, lengths, True)
        means.square().sum().backward()
        ends.append((means.detach(), weight.grad.to_dense()))
    assert ends[0][1].abs().sum(1).nonzero().flatten().tolist() == [2, 7, 9]
    torch.testing.assert_close(ends[1], ends[0])
    with pytest.raises(RuntimeError, match="lengths don't add up to the number of ids"):
        compiled(weight, ids, torch.tensor([3, 0, 1]), True)


# sentence-transformers


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy",
    [fe.UnfreezeAfter(epochs=1), fe.TrainRows(keys=["word1", "word2"]), fe.Freeze()],
    ids=str,
)
def test_the_trainer_of_sentence_transformers(strategy, tmp_path: Path, monkeypatch):
    """Frozen until the strategy opens it; the model it saves is read by `load_static`."""
    warnings.simplefilter("ignore")  # the library warns about itself
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import Dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import CosineSimilarityLoss
    from sentence_transformers.models import Dense, StaticEmbedding
    from tokenizers import Tokenizer

    from finetune_embed.integrations.transformers import StrategyCallback

    VOCAB.save(tmp_path / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    static = StaticEmbedding(tokenizer, embedding_weights=START.clone())
    model = SentenceTransformer(modules=[static, Dense(D, D)], device="cpu")  # trains at least that
    embedding = model[0].embedding
    optimizer = fe.RowAdamW(strategy.param_groups(model, embedding, lr=LR, vocab=VOCAB))
    seen: list[bytes] = []

    class Watching(StrategyCallback):
        def on_epoch_end(self, *given: Any, **named: Any) -> None:
            seen.append(bits(embedding.weight))

    pairs = {
        "sentence1": [f"word{i} word{i + 1}" for i in range(12)],
        "sentence2": [f"word{i + 2} word{i + 4}" for i in range(12)],
        "label": [0.0, 1.0] * 6,
    }
    trainer = SentenceTransformerTrainer(
        model=model,
        args=SentenceTransformerTrainingArguments(
            str(tmp_path / "st"),
            num_train_epochs=3,
            per_device_train_batch_size=4,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
        ),
        train_dataset=Dataset.from_dict(pairs),
        loss=CosineSimilarityLoss(model),
        optimizers=(optimizer, None),
        callbacks=[Watching(strategy, embedding)],
    )
    trainer.train()
    assert len(seen) == 3
    opened = [epoch_bits != bits(START) for epoch_bits in seen]
    moved = (embedding.weight.detach() != START).any(dim=1)
    if strategy == fe.Freeze():
        assert opened == [False] * 3
    elif strategy == fe.UnfreezeAfter(epochs=1):
        assert opened == [False, True, True]
        assert moved.sum() >= 10
    else:
        assert moved.nonzero().squeeze(1).tolist() == [
            VOCAB.key_to_index[word] for word in ("word1", "word2")
        ]
    model.save(str(tmp_path / "saved"))
    table = fe.load_static(tmp_path / "saved")
    assert bits(torch.from_numpy(table["word1"].copy())) == bits(
        embedding.weight[VOCAB.key_to_index["word1"]].cpu()
    )


def test_a_copy_of_a_model_has_its_own_table():
    """By `copy.deepcopy`, as for teachers and weight averages; its groups hold its own table."""
    model = Classifier()
    strategy = fe.TrainRows(keys=["word1"])
    strategy.param_groups(model, model.embedding, lr=LR, vocab=VOCAB)
    twin = copy.deepcopy(model)
    optimizer = optimizer_of(strategy, twin)
    strategy.on_epoch_start(twin.embedding, 0)
    functional.cross_entropy(twin(BATCHES[0]), torch.tensor([0, 1] * 3)).backward()
    optimizer.step()
    assert bits(model.embedding.weight) == bits(START)
    moved = (twin.embedding.weight != START).any(dim=1).nonzero().squeeze(1)
    assert moved.tolist() == [VOCAB.key_to_index["word1"]]
