"""Heads and settings that a caller gives in Python, as they are and as they should not be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.errors import DataError, FinetuneEmbedError

WORDS = [f"w{i}" for i in range(12)] + ["good", "bad"]
RNG = np.random.default_rng(1)
LABELS = [int(one) for one in RNG.integers(0, 2, 24)]
TEXTS = [" ".join([*RNG.choice(WORDS[:12], 4), ["bad", "good"][one]]) for one in LABELS]
DATA = Dataset.from_dict({"text": TEXTS, "label": LABELS})


@pytest.fixture(scope="module")
def table() -> fe.EmbeddingTable:
    vectors = np.random.default_rng(0).normal(size=(len(WORDS), 8)).astype(np.float32)
    return fe.EmbeddingTable(WORDS, vectors)


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def tune(table, **settings: object) -> fe.Run:
    return fe.finetune(table, DATA, **{"epochs": 2, "validation": 0.2, **settings})


class TwoNames(nn.Module):
    """The same embedding under two names."""

    def __init__(self, embedding: nn.Embedding, num_labels: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.alias = embedding
        self.output = nn.Linear(embedding.embedding_dim, num_labels)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.output(self.embedding(ids).mean(1) + self.alias(ids).mean(1))


class Nested(nn.Module):
    """The same embedding at two depths."""

    def __init__(self, embedding: nn.Embedding, num_labels: int) -> None:
        super().__init__()
        self.inner = TwoNames(embedding, num_labels)
        self.table = self.inner.embedding

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.inner(ids, lengths) + 0 * self.table(ids).sum()


class Tied(TwoNames):
    """An output layer that shares the weight of the embedding."""

    def __init__(self, embedding: nn.Embedding, num_labels: int) -> None:
        super().__init__(embedding, num_labels)
        self.words = nn.Linear(embedding.embedding_dim, len(embedding.weight), bias=False)
        self.words.weight = embedding.weight

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        word = self.words(self.embedding(ids).mean(1))
        return super().forward(ids, lengths) + 1e-3 * word.mean(1, keepdim=True)


@pytest.mark.parametrize("head", [TwoNames, Nested, Tied])
def test_an_embedding_under_two_names(table, head, tmp_path):
    run = tune(table, head=head, epochs=3, output_dir=tmp_path / "run")
    path = run.record["embedding"]
    assert isinstance(run.model.get_parameter(path), nn.Parameter)
    loaded = fe.load(tmp_path / "run", head=head)
    expected = run.predict_proba(TEXTS)
    for _ in range(2):  # a call leaves the model as it was
        assert torch.equal(loaded.predict_proba(TEXTS), expected)
    rows = run.model.get_parameter(path).detach()
    exported = fe.to_embedding(run.table, run.vocab).weight.detach()
    assert torch.equal(exported[2:], rows[2:])  # a tied output layer also moves padding


@pytest.mark.parametrize("head", [TwoNames, Nested])
def test_a_module_with_its_embedding_under_two_names(table, head):
    module = head(nn.Embedding(3, 8), 2)
    run = tune(table, head=module)
    assert len(run.model.get_parameter(run.record["embedding"])) == len(run.vocab)
    assert len(run.predict(TEXTS)) == len(TEXTS)
    with pytest.raises(DataError, match="share one weight, which replacing the rows would"):
        tune(table, head=Tied(nn.Embedding(3, 8), 2))


@pytest.mark.parametrize("outputs", [1, 3, 5])
@pytest.mark.parametrize(
    ("head", "labels"),
    [
        (fe.BagOfEmbeddings, ["x", "y"] * 12),
        (fe.KimCNN, [["x"], ["x", "y"]] * 12),
        (fe.CNNTagger, [["x", "y", "x", "y", "y"]] * 24),
        (fe.BiLSTMTagger, [["x", "y", "x", "y", "y"]] * 24),
    ],
)
def test_a_head_with_other_outputs_than_labels(table, head, labels, outputs):
    per_word = getattr(head, "per_word", False)
    texts = [text.split() for text in TEXTS] if per_word else TEXTS
    data = Dataset.from_dict({"text": texts, "label": labels})
    message = f"the head has {outputs} outputs, but there are 2 labels; build it with 2, or pass"
    with pytest.raises(DataError, match=message):
        fe.finetune(table, data, epochs=1, head=lambda embedding, _: head(embedding, outputs))


def test_a_module_with_other_outputs_than_labels(table):
    module = fe.BagOfEmbeddings(nn.Embedding(2, 8), 7)
    with pytest.raises(DataError, match="the head has 7 outputs, but there are 2 labels"):
        tune(table, head=module)


WRONG = {
    "head": [5, ["bag"], b"bag", {"bag": 1}],
    "tokenizer": [5, ["glove"], str.split, b"glove", fe.Vocabulary],
    "vocab": [5, ["a"], {"a": 1}, "glove", fe.Tokenizer()],
    "specials": [5, [5], [None], [b"<x>"]],
    "fallback": [5, [5], [None]],
    "trackers": [5, [5]],
    "text": [5, None, [5], [], {}],
    "label": [5, None, ["label"], ("label",)],
    "loss_fn": [5, "cross_entropy", [functional.cross_entropy]],
    "ignore_label": [1.5, [1], ()],
    "output_dir": [5, ["x"]],
    "oov": [5, None, [1]],
    "strategy": [5, fe.FullTune, fe.FullTune | fe.Freeze, [fe.FullTune()]],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_settings_of_another_type(table, name, value):
    with pytest.raises(FinetuneEmbedError) as caught:
        tune(table, **{name: value})
    assert caught.value.option in (name, None)
    assert len(str(caught.value)) < 500


def test_head_functions_of_another_form(table):
    with pytest.raises(DataError, match=r"cannot be called with two arguments: too many"):
        tune(table, head=lambda embedding: embedding)
    with pytest.raises(DataError, match="cannot be called with two arguments: missing a required"):
        tune(table, head=lambda embedding, num_labels, more: embedding)
    with pytest.raises(DataError, match="returned a NoneType, not an"):
        tune(table, head=lambda embedding, num_labels: None)
    assert tune(table, head=fe.KimCNN).labels == [0, 1]  # a class is a function of its arguments


@pytest.mark.parametrize("make", [fe.BagOfEmbeddings, fe.KimCNN, fe.BiLSTMTagger, fe.CNNTagger])
@pytest.mark.parametrize(
    ("embedding", "num_labels", "message"),
    [
        ("table", 2, "must be an nn.Embedding, not str; make one from a table: to_embedding"),
        (None, 2, "must be an nn.Embedding, not NoneType"),
        (torch.zeros(3, 2), 2, "must be an nn.Embedding, not Tensor"),
        (nn.Linear(3, 2), 2, "must be an nn.Embedding, not Linear"),
        (nn.Embedding(3, 2), 0, "num_labels=0 must be 1 or more"),
        (nn.Embedding(3, 2), -1, "num_labels=-1 must be 1 or more"),
        (nn.Embedding(3, 2), 2.0, r"num_labels=2\.0 must be a whole number"),
        (nn.Embedding(3, 2), "2", "num_labels='2' must be a whole number"),
        (nn.Embedding(3, 2), None, "num_labels=None must be a whole number"),
    ],
)
def test_what_a_head_is_made_from(make, embedding, num_labels, message):
    with pytest.raises(DataError, match=message):
        make(embedding, num_labels)


@pytest.mark.parametrize("number", [np.int64(3), torch.tensor(3)])
def test_numbers_of_other_libraries_as_options(number):
    head = fe.BagOfEmbeddings(nn.Embedding(3, 2), number, hidden=number)
    assert head.output.weight.shape == (3, 3)


HEADS = ["bag", "bag(hidden=4, layers=2, dropout=0.1)", "cnn(filters=3)", "cnn(channels=2)"]


@pytest.mark.parametrize("head", [*HEADS, TwoNames, "module"])
def test_the_default_number_type_changes_no_run(table, head, request):
    def run() -> fe.Run:
        torch.manual_seed(3)
        given = TwoNames(nn.Embedding(3, 8), 2) if head == "module" else head
        return tune(table, head=given, word_dropout=0.1)

    plain = run()
    request.getfixturevalue("float64")
    other = run()
    assert torch.get_default_dtype() == torch.float64
    assert {p.dtype for p in other.model.parameters()} == {torch.float32}
    if head != "module":  # whose layers are drawn in the default type
        assert plain.table.vectors.tobytes() == other.table.vectors.tobytes()
        assert torch.equal(plain.predict_proba(TEXTS), other.predict_proba(TEXTS))


@pytest.mark.parametrize("task", ["multi_label", "tagging"])
def test_the_default_number_type_changes_no_other_task(table, task, request):
    texts = [text.split() for text in TEXTS] if task == "tagging" else TEXTS
    labels = [["x", "y", "x", "y", "y"], ["y"] * 5] if task == "tagging" else [["x"], ["x", "y"]]
    data = Dataset.from_dict({"text": texts, "label": labels * 12})
    for head in ("bilstm(hidden=3)", "cnn_tagger(filters=3)") if task == "tagging" else HEADS[:1]:
        plain = fe.finetune(table, data, head=head, epochs=1, task=task)
        request.getfixturevalue("float64")
        other = fe.finetune(table, data, head=head, epochs=1, task=task)
        torch.set_default_dtype(torch.float32)
        assert plain.table.vectors.tobytes() == other.table.vectors.tobytes()


STRATEGIES = [
    fe.FullTune(),
    fe.LockRows({"good": 0.5}),
    fe.FrequencyLR(),
    fe.TrustRegion(0.1) | fe.MaxNorm(2.0),
    fe.L2SP(0.1),
    fe.TrainRows(min_count=2),
]


@pytest.mark.parametrize("strategy", STRATEGIES, ids=str)
def test_the_default_number_type_changes_no_loop(table, strategy, request):
    def loop() -> torch.Tensor:
        vocab = fe.Vocabulary.from_texts(TEXTS)
        embedding = fe.to_embedding(table, vocab)
        torch.manual_seed(0)
        model = fe.BagOfEmbeddings(embedding, 2)
        groups = strategy.param_groups(model, embedding, lr=0.05, vocab=vocab)
        optimizer = fe.RowAdamW(groups, max_grad_norm=1.0)
        data = [
            {"ids": ids, "label": at} for ids, at in zip([[2, 3], [4], []], [0, 1, 0], strict=True)
        ]
        for epoch in range(2):
            strategy.on_epoch_start(embedding, epoch)
            ids, lengths, labels = fe.collate_padded(data)
            loss = functional.cross_entropy(model(ids, lengths), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.dtype == torch.float32
        return embedding.weight.detach()

    plain = loop()
    request.getfixturevalue("float64")
    assert torch.equal(plain, loop())


def test_a_head_over_float64_vectors_is_float64():
    for make in (fe.BagOfEmbeddings, fe.KimCNN, fe.BiLSTMTagger, fe.CNNTagger):
        head = make(nn.Embedding(5, 4, dtype=torch.float64), 2)
        logits = head(torch.tensor([[1, 2, 3]]), torch.tensor([3]))
        assert logits.dtype == torch.float64
