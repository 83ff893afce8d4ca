"""Pairs of texts: two columns kept apart, in training, evaluation, prediction and folders."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars
import pytest
import torch
from datasets import Dataset, DatasetDict
from scipy.stats import spearmanr
from torch import nn

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.data import EncodedTexts, pairs_of
from finetune_embed.heads import takes_pairs
from finetune_embed.table import EmbeddingTable
from finetune_embed.vocabulary import Tokenizer, Vocabulary

WORDS = [f"w{i}" for i in range(24)]
VALUES = np.random.default_rng(3).permutation(len(WORDS)).astype(float)
COLUMNS = ["question", "answer"]


def rows_of(count: int, seed: int) -> dict[str, list[Any]]:
    """Return pairs of texts, whether the first has the greater sum of values, and by how much."""
    random = np.random.default_rng(seed)
    both = random.integers(0, len(WORDS), (count, 2, 3))
    sums = VALUES[both].mean(axis=2)
    texts = [[" ".join(WORDS[at] for at in one) for one in pair] for pair in both]
    return {
        "question": [pair[0] for pair in texts],
        "answer": [pair[1] for pair in texts],
        "label": ["more" if a > b else "less" for a, b in sums],
        "score": (1.5 + (sums[:, 0] - sums[:, 1]) / 7).tolist(),
    }


TRAIN, TEST = rows_of(300, 0), rows_of(80, 1)
SPLITS = DatasetDict(train=Dataset.from_dict(TRAIN), test=Dataset.from_dict(TEST))
PAIRS = list(zip(TEST["question"], TEST["answer"], strict=True))


def tune(dataset: Any = SPLITS, **settings: Any) -> fe.Run:
    vectors = np.random.default_rng(4).normal(size=(len(WORDS), 8)).astype(np.float32)
    given = {"text": COLUMNS, "head": "pair", "epochs": 20, "lr": 3e-2, **settings}
    return fe.finetune(EmbeddingTable(WORDS, vectors), dataset, **given)


@pytest.fixture(scope="module")
def run() -> fe.Run:
    return tune()


@pytest.fixture
def call(capsys):
    def run(*words: object, code: int = 0) -> str:
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        assert stopped.value.code == code
        told = capsys.readouterr()
        return told.err if code else told.out

    return run


# The order of the two texts


def test_the_order_of_the_texts_decides(run):
    assert run.metrics["test"]["accuracy"] > 0.9
    joined = tune(head="bag")
    assert joined.metrics["test"]["accuracy"] < 0.7
    found = run.predict(PAIRS)
    turned = run.predict([(second, first) for first, second in PAIRS])
    assert np.mean([a != b for a, b in zip(found, turned, strict=True)]) > 0.7


def test_numbers_of_pairs():
    found = tune(label="score", task="regression", epochs=30)
    test = found.metrics["test"]
    assert test["spearman"] > 0.95
    predicted = found.predict(PAIRS)
    assert spearmanr(predicted, TEST["score"]).statistic == pytest.approx(test["spearman"])
    turned = found.predict([(second, first) for first, second in PAIRS])
    assert spearmanr(predicted, turned).statistic < -0.9


def test_similar_texts_have_high_scores():
    """As in semantic textual similarity: the score is the share of words that both texts have."""
    random = np.random.default_rng(9)
    first = random.integers(0, len(WORDS), (500, 4))
    keep = random.random((500, 1)) > random.random((500, 4))
    second = np.where(keep, first, random.integers(0, len(WORDS), (500, 4)))
    rows = {
        name: [" ".join(WORDS[at] for at in row) for row in part]
        for name, part in zip(COLUMNS, (first, second), strict=True)
    }
    data = Dataset.from_dict({**rows, "label": keep.mean(axis=1).tolist()})
    assert tune(data, task="regression", test=0.2).metrics["test"]["spearman"] > 0.7
    joined = tune(data, task="regression", test=0.2, head="bag")
    assert joined.metrics["test"]["spearman"] < 0.4


# Heads


@pytest.mark.parametrize("options", ["", "(hidden=4, pooling='mean+max')", "(dropout=0.5)"])
def test_the_features_are_those_of_infersent(options):
    torch.manual_seed(0)
    embedding = nn.Embedding(9, 5)
    head = fe.heads.build_head(f"pair{options}", embedding, 3).eval()
    ids, lengths = torch.tensor([2, 3, 4, 5, 5, 6]), torch.tensor([2, 1, 0, 3])
    features = []
    for first, second in ([[2, 3], [4]], [[], [5, 5, 6]]):
        pooled = []
        for text in (first, second):
            rows = embedding.weight[text]
            parts = [rows.mean(dim=0) if text else torch.zeros(5)]
            if "max" in options:
                parts.append(rows.amax(dim=0) if text else torch.zeros(5))
            pooled.append(torch.cat(parts))
        u, v = pooled
        features.append(torch.cat([u, v, (u - v).abs(), u * v]))
    expected = torch.stack(features)
    if head.hidden is not None:
        expected = torch.relu(head.hidden(expected))
    torch.testing.assert_close(head(ids, lengths), head.output(expected))


def test_which_heads_take_pairs():
    assert takes_pairs("pair")
    assert takes_pairs("pair(hidden=3)")
    assert takes_pairs(fe.PairOfBags)
    assert not any(map(takes_pairs, ["bag", "pooled_cnn", "nothing", None, fe.BagOfEmbeddings]))


class Difference(nn.Module):
    """A head of pairs that a caller might write."""

    packed = pairs = True

    def __init__(self, embedding: nn.Embedding, num_labels: int) -> None:
        super().__init__()
        self.embedding = embedding
        self.output = nn.Linear(embedding.embedding_dim, num_labels)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        sums = torch.zeros(len(lengths), self.embedding.embedding_dim)
        sums = sums.index_add(0, torch.repeat_interleave(lengths), self.embedding(ids))
        return self.output(sums[0::2] - sums[1::2])


def test_a_head_of_the_caller(tmp_path):
    found = tune(head=Difference, output_dir=tmp_path / "run")
    assert found.metrics["test"]["accuracy"] > 0.9
    assert fe.load(tmp_path / "run", head=Difference).predict(PAIRS) == found.predict(PAIRS)


def test_a_function_of_a_head_of_pairs_has_to_say_so():
    with pytest.raises(fe.DataError, match="takes pairs of texts, so it must have packed = True"):
        tune(head=lambda embedding, labels: Difference(embedding, labels), text="question")


# Data


def test_pairs_of_columns():
    split = Dataset.from_dict({"a": ["x", None, "z"], "b": ["1", "2", None]})
    assert pairs_of(split, ["a", "b"], "here") == ["x", "1", "", "2", "z", ""]
    assert pairs_of(split, ["b", "a"], "here") == ["1", "x", "2", "", "", "z"]
    nothing = Dataset.from_dict({"a": ["x", None], "b": ["1", None]})
    with pytest.raises(fe.DataError, match="1 of 2 examples have no text in any of 'a', 'b'"):
        pairs_of(nothing, ["a", "b"], "here")


@pytest.mark.parametrize("columns", ["question", ["question"], ["question", "answer", "label"]])
def test_other_than_two_columns_are_refused(columns):
    with pytest.raises(fe.DataError, match="and a head of pairs takes the texts of two; name two"):
        tune(text=columns)


@pytest.mark.parametrize("max_length", [None, 2])
def test_encoded_pairs(max_length):
    vocab = Vocabulary({"a": 1, "b": 1, "c": 1}, Tokenizer.named("whitespace"))
    texts = ["a b c", "c", "", "b a", "a", ""]
    data = EncodedTexts.of(texts, vocab, None, max_length, pairs=True)
    cut = [text.split()[:max_length] for text in texts]
    assert len(data) == 3
    assert data.halves is not None
    assert data.halves.tolist() == [[len(cut[i]), len(cut[i + 1])] for i in (0, 2, 4)]
    assert data.lengths.tolist() == data.halves.sum(dim=1).tolist()
    for rows in ([0, 1, 2], [2, 0], [1]):
        ids, lengths = data.packed(torch.tensor(rows))
        parts = [cut[2 * row + half] for row in rows for half in (0, 1)]
        assert lengths.tolist() == [len(part) for part in parts]
        words = [word for part in parts for word in part]
        assert [vocab.index_to_key[at] for at in ids.tolist()] == words


def test_lists_of_words_are_pairs_too():
    rows = {
        name: [text.split() for text in TRAIN[name]] if name in COLUMNS else values
        for name, values in TRAIN.items()
    }
    found = tune({"train": Dataset.from_dict(rows), "test": SPLITS["test"]})
    assert found.metrics["test"]["accuracy"] > 0.9
    assert found.predict([(PAIRS[0][0].split(), PAIRS[0][1].split())]) == found.predict(PAIRS[:1])


@pytest.mark.parametrize("given", [{"max_length": 2}, {"batch_tokens": 64}, {"word_dropout": 0.2}])
def test_settings_about_batches(given):
    found = tune(**given, epochs=3)
    assert len(found.predict(PAIRS)) == len(PAIRS)


def test_a_stream_of_pairs():
    stream = {"train": SPLITS["train"].to_iterable_dataset(), "validation": SPLITS["test"]}
    found = tune(stream)
    assert found.metrics["validation"]["accuracy"] > 0.9


def test_a_run_of_pairs_is_resumed(tmp_path):
    first = tune(output_dir=tmp_path / "run", epochs=2)
    again = tune(output_dir=tmp_path / "run", epochs=2, resume=True)
    assert again.metrics == first.metrics


def test_words_counted_beside_vectors_are_refused():
    with pytest.raises(fe.DataError, match="classifies single texts, and the head takes pairs"):
        tune(lexical=True)


def test_several_models_of_pairs_and_of_numbers(tmp_path):
    found = tune(ensemble=2, label="score", task="regression", output_dir=tmp_path / "run")
    test = found.metrics["test"]
    assert test["spearman"] > 0.9
    predicted = found.predict(PAIRS)
    assert spearmanr(predicted, TEST["score"]).statistic == pytest.approx(test["spearman"])
    assert fe.load(tmp_path / "run").predict(PAIRS) == predicted


# Predictions


def test_predictions_are_those_that_were_scored(run, tmp_path):
    found = run.predict(PAIRS)
    right = np.mean([a == b for a, b in zip(found, TEST["label"], strict=True)])
    assert right == pytest.approx(run.metrics["test"]["accuracy"])
    assert run.predict([list(pair) for pair in PAIRS]) == found
    assert [run.predict([pair])[0] for pair in PAIRS] == found
    assert run.evaluate(SPLITS["test"]).scores == pytest.approx(run.metrics["test"])
    run.save(tmp_path / "run")
    assert fe.load(tmp_path / "run").predict(PAIRS) == found
    assert run.predict([]) == []
    assert run.predict_proba(PAIRS).shape == (80, 2)


def test_words_that_only_the_vectors_have_and_unknown_ones(run):
    _, lengths, unknown = run.logits_and_unknown([("w1 never", "other w2 w3"), ("", "x")])
    assert lengths.tolist() == [5, 1]
    assert unknown.tolist() == [2, 1]


@pytest.mark.parametrize("item", ["w1", ("w1",), ("w1", "w2", "w3"), ("w1", 2), ["w1", None]])
def test_what_is_no_pair(run, item):
    with pytest.raises(fe.DataError, match=r"item 1 \(counted from 0\) is not one; give two texts"):
        run.predict([("w1", "w2"), item])


def test_the_command_line(run, tmp_path, call):
    run.save(tmp_path / "run")
    data = polars.DataFrame({name: TEST[name] for name in (*COLUMNS, "label")})
    data.write_csv(tmp_path / "test.csv")
    lines = call("predict", tmp_path / "run", "--data", tmp_path / "test.csv").splitlines()
    found = run.predict(PAIRS)
    assert [line.split("\t")[0] for line in lines] == found
    assert [tuple(line.split("\t")[2:]) for line in lines] == PAIRS
    turned = ("--data", tmp_path / "test.csv", "--text", "answer,question", "--json")
    documents = json.loads(call("predict", tmp_path / "run", *turned))
    expected = run.predict([(second, first) for first, second in PAIRS])
    assert [one["label"] for one in documents] == expected
    call("predict", tmp_path / "run", "--data", tmp_path / "test.csv", "-o", tmp_path / "o.csv")
    assert polars.read_csv(tmp_path / "o.csv")["prediction"].to_list() == found
    told = call("evaluate", tmp_path / "run", "--data", tmp_path / "test.csv")
    assert f"accuracy {run.metrics['test']['accuracy']:.2%}" in told
    told = call("predict", tmp_path / "run", "w1", "w2", code=2)
    assert told.endswith("is not one; give a file with the columns of both: --data FILE\n")
    fe.save_word2vec(run.table, tmp_path / "vectors.bin", binary=True)
    given = ("--vectors", tmp_path / "vectors.bin", "--data", tmp_path / "test.csv")
    given = (*given, "--text", "question,answer", "--head", "pair", "--epochs", 1, "--quiet")
    assert "best epoch" in call("train", *given, "-o", tmp_path / "other")
