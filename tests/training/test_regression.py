"""Regression: numbers read from labels, standardised, scored as scipy and scikit-learn do."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error, mean_squared_error

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.data import Moments, label_values, open_splits, value_of
from finetune_embed.lexical import LexicalClassifier, Texts
from finetune_embed.table import EmbeddingTable
from finetune_embed.training.tasks import Regression, restore_task, task_of
from finetune_embed.training.tasks.regression import ranks

NO_LENGTHS = torch.tensor([], dtype=torch.int64)
WORDS = [f"w{i}" for i in range(30)]
VALUES = np.random.default_rng(5).normal(size=len(WORDS))


def texts_and_scores(count: int, seed: int) -> dict[str, list[Any]]:
    """Return texts whose score is 3 plus twice the mean value of their words."""
    chosen = np.random.default_rng(seed).integers(0, len(WORDS), (count, 5))
    texts = [" ".join(WORDS[at] for at in row) for row in chosen]
    return {"text": texts, "score": (3 + 2 * VALUES[chosen].mean(axis=1)).tolist()}


def tune(dataset: Any, **settings: Any) -> fe.Run:
    vectors = np.random.default_rng(6).normal(size=(len(WORDS), 8)).astype(np.float32)
    given = {"label": "score", "head": "bag", "epochs": 25, "lr": 3e-2, **settings}
    return fe.finetune(EmbeddingTable(WORDS, vectors), dataset, **given)


TRAIN, TEST = texts_and_scores(300, 0), texts_and_scores(60, 1)
SPLITS = DatasetDict(train=Dataset.from_dict(TRAIN), test=Dataset.from_dict(TEST))


@pytest.fixture(scope="module")
def run() -> fe.Run:
    return tune(SPLITS)


def csv_of(columns: dict[str, list[Any]]) -> str:
    rows = zip(columns["text"], columns["score"], strict=True)
    return "text,score\n" + "".join(f"{text},{score!r}\n" for text, score in rows)


# Which task


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1.5, 2.0, 3.0], "regression"),
        ([1, 2.5, 2.5], "regression"),
        ([1.0, 2.0, 3.0], "single_label"),
        ([1, 2, 3], "single_label"),
        (["1.5", "2.5", "2.5"], "single_label"),  # a column of texts
        ([True, False, True], "single_label"),
    ],
)
def test_numbers_that_are_not_all_whole_are_regression(labels, expected):
    dataset = Dataset.from_dict({"text": ["a", "b", "c"], "label": labels})
    assert task_of(None, open_splits(dataset), "text", "label").name == expected
    if not isinstance(labels[0], bool):
        asked = task_of("regression", open_splits(dataset), "text", "label")
        assert isinstance(asked, Regression)
        numbers = np.array(labels, float)
        assert (asked.mean, asked.deviation) == pytest.approx((numbers.mean(), numbers.std()))


@pytest.mark.parametrize("streaming", [False, True])
def test_the_numbers_of_a_csv_file_are_regression_and_that_is_reported(tmp_path, streaming):
    (tmp_path / "train.csv").write_text(csv_of(TRAIN))
    (tmp_path / "validation.csv").write_text(csv_of(TEST))
    found = tune(tmp_path, streaming=streaming)
    (warning,) = [one for one in found.warnings if "regression" in one]
    assert warning == (
        "the labels in 'score' are numbers that are not all whole, so the task is regression; if "
        "they are classes, pass task='single_label'"
    )
    assert found.record["target_mean"] == pytest.approx(np.mean(TRAIN["score"]))
    assert found.record["target_deviation"] == pytest.approx(np.std(TRAIN["score"]))
    assert found.metrics["validation"]["spearman"] > 0.95
    asked = tune(tmp_path, streaming=streaming, task="regression")
    assert asked.warnings == [one for one in found.warnings if one != warning]
    assert asked.metrics["validation"] == found.metrics["validation"]


def test_streams_of_numbers_in_memory():
    stream = {"train": SPLITS["train"].to_iterable_dataset(), "validation": SPLITS["test"]}
    assert tune(stream).metrics["validation"]["spearman"] > 0.95


# Labels


def test_values_of_labels():
    assert [value_of(one) for one in (1, 2.5, Decimal("0.25"), True, [1])] == [
        1.0,
        2.5,
        0.25,
        None,
        None,
    ]
    plain = Dataset.from_dict({"label": ["3", " -4.5e1 ", ".5", "+7."]})
    assert label_values(plain, "label", "here").tolist() == [3, -45, 0.5, 7]


@pytest.mark.parametrize("bad", ["inf", "nan", "1_000", "x", "", "1e999", "٣", "0x10", "1,5", None])
def test_labels_that_are_no_finite_numbers(bad):
    split = Dataset.from_dict({"label": ["1", bad, "2"]})
    with pytest.raises(
        fe.DataError, match=r"1 of 3 examples have no finite number in 'label', the first is"
    ):
        label_values(split, "label", "here")


@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_infinite_numbers_are_refused(bad):
    data = Dataset.from_dict({"text": ["a"] * 4, "score": [0.5, 1.5, bad, 2.5]})
    with pytest.raises(fe.DataError, match="no finite number in 'score'"):
        tune(data, task="regression")


def test_missing_numbers_are_missing_labels():
    scores = [math.nan, *TRAIN["score"][1:]]
    found = tune(Dataset.from_dict({**TRAIN, "score": scores}), epochs=1)
    assert "1 of 300 examples of train are left out: 1 with no label in 'score'" in str(found)
    test = Dataset.from_dict({**TEST, "score": [math.nan] * 60})
    hidden = tune(DatasetDict(train=SPLITS["train"], test=test), epochs=1)
    assert "test" not in hidden.metrics


def test_names_of_classes_are_taken_by_their_numbers():
    features = Features({"label": ClassLabel(names=["one star", "two", "three"])})
    split = Dataset.from_dict({"label": [0, 2, 1]}, features=features)
    assert label_values(split, "label", "here").tolist() == [0, 2, 1]


@pytest.mark.parametrize("ignored", ["9", "9.0", 9])
def test_numbers_that_are_ignored(ignored):
    train = {**TRAIN, "score": [9.0, -100.0, *TRAIN["score"][2:]]}
    splits = {"train": Dataset.from_dict(train), "validation": SPLITS["test"]}
    found = tune(splits, ignore_label=ignored, epochs=1)
    counted = train["score"][1:]  # -100 is a number as any other
    assert found.record["ignored"] == [9.0]
    assert found.record["target_deviation"] == pytest.approx(np.std(counted))
    assert any("1 of 300 training labels are ignored" in one for one in found.warnings)
    assert restore_task(found.record) == found.task


def test_numbers_that_are_all_the_same():
    data = Dataset.from_dict({"text": ["a"] * 9, "score": [0.1] * 9})
    with pytest.raises(fe.DataError, match=r"all 9 numbers in 'score' are 0\.1, so there is noth"):
        tune(data, task="regression")


def test_numbers_that_are_too_large_to_add_up():
    data = Dataset.from_dict({"text": ["a"] * 4, "score": [1e300, -1e300, 0.5, 1e300]})
    with pytest.raises(fe.DataError, match=r"up to 1e.300, are too large to add up; divide them"):
        tune(data, task="regression")


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=9), max_size=5))
def test_moments_of_parts_are_those_of_the_whole(parts):
    found = Moments()
    for part in parts:
        found.add(np.array(part))
    whole = np.array([number for part in parts for number in part])
    assert found.count == len(whole)
    if len(whole):
        assert found.mean == pytest.approx(whole.mean(), abs=1e-8)
        assert found.deviation == pytest.approx(whole.std(), abs=1e-6)


# Scores


def scored(found: list[float], true: list[float]) -> dict[str, float]:
    task = Regression(mean=2.0, deviation=0.5)
    logits = (torch.tensor(found, dtype=torch.float64)[:, None] - 2.0) / 0.5
    targets = (torch.tensor(true, dtype=torch.float64) - 2.0) / 0.5
    return task.scores(logits, targets, NO_LENGTHS)


NUMBERS = st.lists(
    st.tuples(st.integers(-5, 5).map(float), st.floats(-9, 9, width=16)), min_size=3, max_size=30
)


@given(NUMBERS)
def test_scores_are_those_of_scipy_and_scikit_learn(pairs):
    found, true = map(list, zip(*pairs, strict=True))
    scores = scored(found, true)
    assert scores["mse"] == pytest.approx(mean_squared_error(true, found), abs=1e-9)
    assert scores["mae"] == pytest.approx(mean_absolute_error(true, found), abs=1e-9)
    assert scores["loss"] == pytest.approx(scores["mse"] / 0.25, abs=1e-9)
    if len(set(found)) > 1 and len(set(true)) > 1 and np.std(true) > 1e-3:
        assert scores["spearman"] == pytest.approx(spearmanr(true, found).statistic, abs=1e-9)
        assert scores["pearson"] == pytest.approx(pearsonr(true, found).statistic, abs=1e-7)


@given(st.lists(st.integers(0, 5).map(float), max_size=20))
def test_ranks_are_those_of_scipy(numbers):
    assert ranks(np.array(numbers)).tolist() == rankdata(numbers).tolist()


@pytest.mark.parametrize(
    ("found", "true", "what"), [([1, 1, 1], [1, 2, 3], "predictions"), ([1, 2], [4, 4], "labels")]
)
def test_correlations_of_numbers_that_are_all_the_same_are_0_with_a_note(found, true, what):
    scores = scored(found, true)
    assert (scores["spearman"], scores["pearson"]) == (0.0, 0.0)
    task = Regression()
    logits = torch.tensor(found, dtype=torch.float64)[:, None]
    (note,) = task.notes(logits, torch.tensor(true, dtype=torch.float64))
    assert f"{len(found)} {what} are" in note
    assert note.endswith("so spearman and pearson are 0")


def test_a_run_that_predicts_one_number_says_so():
    found = tune(SPLITS, strategy="Freeze", lr=0.0, epochs=1)
    assert found.metrics["test"]["spearman"] != 0 or any("test: all" in w for w in found.warnings)
    with torch.no_grad():
        found.model.output.weight.zero_()  # type: ignore[union-attr,operator]
    evaluated = found.evaluate(SPLITS["test"])
    assert evaluated.scores["spearman"] == 0
    assert any(note.startswith("all 60 predictions are") for note in evaluated.notes)


@pytest.mark.parametrize("metric", ["pearson", "mse", "mae", "loss"])
def test_the_best_epoch_by_another_score(metric, tmp_path):
    found = tune(SPLITS, metric=metric, epochs=4, output_dir=tmp_path / "run")
    history = [one[f"validation_{metric}"] for one in found.history]
    best = max(history) if metric == "pearson" else min(history)
    assert found.metrics["best_epoch"] == history.index(best)
    assert fe.load(tmp_path / "run").task == found.task


@pytest.mark.parametrize("given", [{"class_weight": "balanced"}, {"label_smoothing": 0.1}])
def test_settings_about_labels_are_refused(given):
    with pytest.raises(fe.DataError, match="is about labels, and the task is to predict numbers"):
        tune(SPLITS, **given)


def test_texts_that_are_ignored_do_not_count():
    task = Regression(mean=1.0, deviation=2.0, ignored=frozenset({9.0}))
    targets = task.targets(Dataset.from_dict({"label": [3.0, 9.0]}), "label", "here", [])
    assert task.counted(targets).tolist() == [True, False]
    scores = task.scores(torch.tensor([[0.0], [0.0]]), targets, NO_LENGTHS)
    assert (scores["mse"], scores["mae"]) == (4.0, 2.0)
    assert task.loss(torch.tensor([[0.0], [5.0]]), targets).item() == 1.0


# Runs


def test_a_run_learns_predicts_and_is_scored(run):
    found = np.array(run.predict(TEST["text"]))
    assert all(isinstance(one, float) for one in run.predict(TEST["text"][:2]))
    test = run.metrics["test"]
    assert test["spearman"] > 0.95
    assert test["spearman"] == pytest.approx(spearmanr(found, TEST["score"]).statistic, abs=1e-6)
    assert test["pearson"] == pytest.approx(pearsonr(found, TEST["score"]).statistic, abs=1e-6)
    assert test["mse"] == pytest.approx(mean_squared_error(TEST["score"], found), rel=1e-4)
    assert run.predict([]) == []
    assert f"test: spearman {test['spearman']:.4f}" in str(run)
    assert run.labels == []


def test_a_run_has_no_probabilities(run):
    with pytest.raises(fe.DataError, match="numbers, which have no probabilities; call predict"):
        run.predict_proba(["w1"])


def test_a_run_is_saved_and_loaded(run, tmp_path):
    run.save(tmp_path / "run")
    loaded = fe.load(tmp_path / "run")
    assert loaded.task == run.task
    assert loaded.predict(TEST["text"]) == run.predict(TEST["text"])
    assert str(loaded) == str(run)
    record = json.loads((tmp_path / "run" / "record.json").read_text())
    record["target_deviation"] = 0.0
    (tmp_path / "run" / "record.json").write_text(json.dumps(record))
    with pytest.raises(fe.DataError, match="and the deviation 0"):
        fe.load(tmp_path / "run")


def test_a_run_is_resumed(tmp_path):
    first = tune(SPLITS, output_dir=tmp_path / "run", epochs=2)
    again = tune(SPLITS, output_dir=tmp_path / "run", epochs=2, resume=True)
    assert again.metrics == first.metrics


def test_evaluation(run):
    found = run.evaluate(SPLITS["test"])
    assert found.scores == pytest.approx(run.metrics["test"])
    assert (found.metric, found.classes, found.confusion.shape) == ("spearman", [], (0, 0))
    assert str(found).count("\n") == 1
    assert json.loads(json.dumps(found.to_dict()))["confusion"] == []


def test_a_loss_of_the_caller_gets_standardised_numbers():
    seen = []

    def loss(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        seen.append((outputs.shape, targets.shape, targets.dtype))
        return torch.nn.functional.l1_loss(outputs, targets)

    tune(SPLITS, loss_fn=loss, epochs=1)
    assert seen[0] == (torch.Size([64]), torch.Size([64]), torch.float32)


def test_a_head_of_the_caller_gets_one_output():
    outputs = []

    def head(embedding: torch.nn.Embedding, num_labels: int) -> torch.nn.Module:
        outputs.append(num_labels)
        return fe.BagOfEmbeddings(embedding, num_labels)

    tune(SPLITS, head=head, epochs=1)
    assert outputs == [1]
    with pytest.raises(
        fe.DataError, match="the head has 3 outputs, but one number needs 1; build it with 1"
    ):
        tune(SPLITS, head=lambda embedding, _: fe.BagOfEmbeddings(embedding, 3), epochs=1)


def test_the_lexical_part_is_ridge_regression():
    ids = torch.tensor([2, 3, 3, 4, 2, 4, 5, 5, 3])
    lengths = torch.tensor([2, 2, 3, 2])
    targets = torch.tensor([0.5, -1.0, 0.25, 2.0], dtype=torch.float64)
    words = ["", "", "two", "three", "four", "fourth"]
    texts = Texts(ids.numpy(), lengths.numpy(), ids.numpy(), words)
    found = LexicalClassifier.fit(texts, targets, 1, 6, 2)
    rows = found.rows(texts)
    dense = np.zeros((4, len(found.weight)))
    for text in range(4):
        for at in range(rows.starts[text], rows.starts[text + 1]):
            dense[text, rows.columns[at]] += rows.values[at]
    expected = Ridge().fit(dense, targets.numpy()).predict(dense)
    assert found(texts)[:, 0].numpy() == pytest.approx(expected, abs=1e-4)


def test_the_default_model_has_a_lexical_part(tmp_path):
    found = tune(SPLITS, head=None, epochs=1, lr=None, output_dir=tmp_path / "run")
    assert {"vectors", "lexical"} <= found.metrics.keys()
    assert fe.load(tmp_path / "run").predict(TEST["text"]) == found.predict(TEST["text"])


def test_autotune_shows_correlations_as_numbers():
    words = EmbeddingTable(WORDS, np.eye(len(WORDS), dtype=np.float32))
    found = fe.autotune(words, SPLITS, budget="1s", label="score", head="bag", epochs=1)
    first = found.tried[0]
    assert first.score is not None
    assert str(first).split()[:2] == [f"{first.score:.4f}", f"{first.loss:.4f}"]
    assert "%" not in str(first)


def test_compare_says_why_it_cannot_compare():
    with pytest.raises(
        fe.DataError, match="those of regression, such as spearman, are not made of single texts"
    ):
        fe.compare(["L2SP"], EmbeddingTable(["w1"], [[1.0]]), SPLITS, label="score")


def test_the_command_line(run, tmp_path, capsys):
    def call(*words: object) -> str:
        with pytest.raises(SystemExit) as stopped:
            main([str(word) for word in words])
        assert stopped.value.code == 0
        return capsys.readouterr().out

    run.save(tmp_path / "run")
    (tmp_path / "test.csv").write_text(csv_of(TEST))
    (number,) = run.predict(["w1 w2"])
    assert call("predict", tmp_path / "run", "w1 w2") == f"{number:.4g}\tw1 w2\n"
    (document,) = json.loads(call("predict", tmp_path / "run", "w1 w2", "--json"))
    assert document == {"text": "w1 w2", "prediction": number}
    out = tmp_path / "out.csv"
    call("predict", tmp_path / "run", "--data", tmp_path / "test.csv", "-o", out)
    header, first = out.read_text().splitlines()[:2]
    assert header == "text,score,prediction"
    assert float(first.split(",")[2]) == run.predict(TEST["text"][:1])[0]
    spearman = run.metrics["test"]["spearman"]
    told = call("evaluate", tmp_path / "run", "--data", tmp_path / "test.csv")
    assert f"spearman {spearman:.4f}, pearson" in told
    given = ("--data", tmp_path / "test.csv", "--label", "score", "--task", "regression")
    fe.save_word2vec(run.table, tmp_path / "vectors.bin", binary=True)
    given = (*given, "--vectors", tmp_path / "vectors.bin", "-o", tmp_path / "other")
    assert "validation: spearman" in call("train", *given, "--epochs", 1, "--quiet")
