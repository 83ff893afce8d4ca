"""The score that chooses the best epoch: its numbers, ties, files, and where it is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    f1_score,
    matthews_corrcoef,
)
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.training.loop import _better
from finetune_embed.training.run.checkpoints import Progress
from finetune_embed.training.settings import METRICS
from finetune_embed.training.tasks import (
    ADDS_UP,
    MultiLabel,
    Regression,
    SingleLabel,
    Tagging,
    Task,
)
from finetune_embed.training.tasks.class_scores import CLASS_SCORES

WORDS = [f"w{i}" for i in range(30)]
TABLE = fe.EmbeddingTable(WORDS, np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32))
TASKS: list[Task] = [
    SingleLabel(["a", "b", "c"]),
    MultiLabel(["a", "b", "c"]),
    Tagging(["DET", "NOUN"]),
    Tagging(["B-X", "I-X", "O"]),
]


def rows(count: int, seed: int) -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count, p=[0.75, 0.17, 0.08])
    texts = [" ".join(WORDS[i] for i in [*rng.choice(30, 5), 10 * label]) for label in labels]
    return Dataset.from_dict({"text": texts, "label": ["abc"[label] for label in labels]})


DATA = DatasetDict(train=rows(150, 0), validation=rows(60, 1), test=rows(60, 2))


def tune(**settings: Any) -> fe.Run:
    given = {"head": "bag", "epochs": 6, "lr": 0.05, "device": "cpu", "batch_size": 16}
    return fe.finetune(TABLE, DATA, **{**given, **settings})


# --- numbers --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.filterwarnings("ignore:A single label was found")
def test_scores_of_classes_are_those_of_scikit_learn(pairs):
    true, found = torch.tensor(pairs).T
    logits = functional.one_hot(found, 5) * 9.0
    expected = {
        "accuracy": accuracy_score(true, found),
        "macro_f1": f1_score(true, found, average="macro"),
        "weighted_f1": f1_score(true, found, average="weighted"),
        "balanced_accuracy": balanced_accuracy_score(true, found),
        "mcc": matthews_corrcoef(true, found),
        "loss": functional.cross_entropy(logits, true).item(),
    }
    for kind in (SingleLabel, Tagging):
        for name, score in expected.items():
            task = kind(list("abcde"), chosen=name)
            scores = task.scores(logits, true, torch.tensor([len(true)]))
            assert task.metric == name
            assert scores[name] == pytest.approx(score, abs=1e-12)
            assert scores.keys() == {"accuracy", "macro_f1", "loss", name}


@given(
    st.lists(st.tuples(*[st.integers(0, 3)] * 4), min_size=1, max_size=20),
    st.sampled_from([0.3, 0.5]),
)
def test_scores_of_several_labels_are_those_of_scikit_learn(cells, threshold):
    cells = torch.tensor(cells)
    true, found = (cells % 2).float(), (cells // 2).float()
    names = {"micro_f1": "micro", "macro_f1": "macro", "weighted_f1": "weighted"}
    for name, average in names.items():
        task = MultiLabel(list("abcd"), threshold=threshold, chosen=name)
        scores = task.scores(found * 9 - 4.5, true, torch.tensor([1]))
        expected = f1_score(true, found, average=average, zero_division=0)
        assert scores[name] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("task", "metric"),
    [
        pytest.param(task, metric, id=f"{task.name}-{len(task.labels)}-{metric}")
        for task in TASKS
        for metric in task.measures
    ],
)
def test_outcomes_add_up_to_the_score_or_there_are_none(task, metric):
    task = type(task)(task.labels, chosen=metric)
    rng = np.random.default_rng(3)
    lengths = torch.from_numpy(rng.integers(1, 5, 30))
    units = int(lengths.sum()) if task.per_word else 30
    logits = torch.from_numpy(rng.normal(size=(units, len(task.labels))))
    targets = torch.from_numpy(rng.integers(0, len(task.labels), units))
    if isinstance(task, MultiLabel):
        targets = functional.one_hot(targets, 3).float()
    outcomes = task.outcomes(logits, targets, lengths)
    if metric not in ADDS_UP:
        assert outcomes is None
        return
    above, below = outcomes.sum(axis=0)
    assert outcomes.shape == (30, 2)
    assert above / below == pytest.approx(task.scores(logits, targets, lengths)[metric])


def test_every_score_belongs_to_a_task():
    every: list[Task] = [*TASKS, Regression()]
    assert {name for task in every for name in task.measures} == set(METRICS)
    assert [task.metric for task in TASKS] == ["accuracy", "micro_f1", "accuracy", "entity_f1"]
    assert set(CLASS_SCORES) <= set(METRICS)


# --- the best epoch -------------------------------------------------------------------------------


def best_of(metric: str, scores: list[tuple[float, float]]) -> int:
    """Return the best of epochs with a score and a loss."""
    task, progress = SingleLabel(["a", "b"], chosen=metric), Progress()
    for epoch, (score, loss) in enumerate(scores):
        record = {f"validation_{metric}": score, "validation_loss": loss}
        progress.end_epoch(record)
        if _better(record, progress, task):
            progress.best_epoch = epoch
    return progress.best_epoch


def test_on_a_tie_the_loss_decides():
    assert best_of("accuracy", [(0.8, 0.5), (0.9, 0.7), (0.9, 0.6), (0.9, 0.6), (0.9, 0.9)]) == 2
    assert best_of("mcc", [(-0.1, 0.2), (0.0, 0.9), (0.0, 0.8), (-0.2, 0.1)]) == 2
    nan, inf = float("nan"), float("inf")
    assert best_of("accuracy", [(0.9, nan), (0.9, inf), (0.9, 3.0), (0.9, 4.0)]) == 2


def test_a_lower_loss_is_better():
    assert best_of("loss", [(0.5, 0.5), (0.4, 0.4), (0.4, 0.4), (0.6, 0.6)]) == 1
    assert best_of("loss", [(float("nan"),) * 2, (9.0, 9.0)]) == 1


@pytest.mark.parametrize("metric", [*CLASS_SCORES, "loss"])
def test_the_best_epoch_is_that_of_the_chosen_score(metric):
    run = tune(metric=metric)
    sign = -1 if metric == "loss" else 1
    ranks = [(sign * r[f"validation_{metric}"], -r["validation_loss"]) for r in run.history]
    assert run.metrics["best_epoch"] == ranks.index(max(ranks))
    assert run.metrics["validation"][metric] == pytest.approx(
        run.history[run.metrics["best_epoch"]][f"validation_{metric}"]
    )
    found, true = run.predict(DATA["test"]["text"]), DATA["test"]["label"][:]
    if metric == "weighted_f1":
        expected = f1_score(true, found, average="weighted")
        assert run.metrics["test"][metric] == pytest.approx(expected)


def test_patience_counts_epochs_without_a_better_score():
    run = tune(metric="loss", epochs=40, lr=0.3, patience=2)
    losses = [record["validation_loss"] for record in run.history]
    best = losses.index(min(losses))
    assert run.metrics["best_epoch"] == best
    assert len(losses) == best + 3 < 40


def test_a_score_is_kept_with_the_run_and_printed(tmp_path):
    run = tune(metric="mcc", epochs=2, output_dir=tmp_path / "run")
    loaded = fe.load(tmp_path / "run")
    assert loaded.task.metric == loaded.settings["metric"] == "mcc"
    score = run.metrics["test"]["mcc"]
    assert f"  test: mcc {score:.4f}" in str(loaded)
    assert str(run) == str(loaded)
    found = loaded.evaluate(DATA)
    assert found.metric == "mcc"
    assert found.scores["mcc"] == pytest.approx(score)
    assert f"mcc {score:.4f}, accuracy " in str(found)
    again = tune(metric="mcc", epochs=2, output_dir=tmp_path / "run", resume=True)
    assert again.metrics == loaded.metrics
    with pytest.raises(fe.DataError, match=r"metric='mcc', this run has metric='loss'"):
        tune(metric="loss", epochs=2, output_dir=tmp_path / "run", resume=True)
    assert run.outcomes is None
    assert tune(metric="accuracy", epochs=1).outcomes is not None


def test_entities_and_words():
    words = [["w1", "w2", "w3"], ["w4", "w5"]] * 12
    tags = [["B-X", "I-X", "O"], ["O", "B-X"]] * 12
    data = Dataset.from_dict({"text": words, "label": tags})
    given = {"head": "cnn_tagger(filters=4, widths=(1,))", "epochs": 2}
    run = fe.finetune(TABLE, data, metric="accuracy", **given)
    assert run.task.metric == "accuracy"
    assert "entity_f1" in run.metrics["validation"]
    assert fe.finetune(TABLE, data, **given).task.metric == "entity_f1"


def test_compare_by_another_score():
    given = {"head": "bag", "epochs": 1, "seeds": 1, "budget": 1, "device": "cpu"}
    lists = DATA.map(lambda one: {"label": [one["label"]]})
    found = fe.compare(["FullTune"], TABLE, lists, metric="accuracy", **given)
    assert found.metric == found.recipe["metric"] == "accuracy"
    (tuned, _) = (found.standing(one) for one in ("FullTune", "Freeze"))
    assert tuned.test_interval[0] <= tuned.test <= tuned.test_interval[1]
