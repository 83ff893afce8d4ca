"""Labels of held-out texts that training lacks: wrong in scores, in no loss, and reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from sklearn import metrics
from sklearn.preprocessing import MultiLabelBinarizer
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.training.tasks import MultiLabel, SingleLabel, Tagging, entity_f1

WORDS = [f"w{i}" for i in range(20)]
TABLE = fe.EmbeddingTable(WORDS, np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32))


def rows(count: int, seed: int, names: str = "ab") -> Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.choice(list(names), count)
    texts = [" ".join([*rng.choice(WORDS[5:], 4), f"w{ord(one) % 5}"]) for one in labels]
    return Dataset.from_dict({"text": texts, "label": labels.tolist()})


DATA = DatasetDict(train=rows(60, 0), validation=rows(30, 1, "abB"), test=rows(40, 2, "abxyz"))


def tune(data: Any = DATA, **settings: Any) -> fe.Run:
    given = {"head": "bag", "epochs": 2, "lr": 0.05, "batch_size": 16, "device": "cpu"}
    return fe.finetune(TABLE, data, **{**given, **settings})


def test_scores_are_those_of_scikit_learn_on_the_labels_as_they_are():
    run = tune()
    assert run.labels == ["a", "b"]
    for name in ("validation", "test"):
        true, found = DATA[name]["label"][:], run.predict(DATA[name]["text"])
        assert set(found) <= {"a", "b"} < set(true)
        scores = run.metrics[name]
        assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(true, found))
        macro = metrics.f1_score(true, found, average="macro")
        assert scores["macro_f1"] == pytest.approx(macro)
        known = [at for at, label in enumerate(true) if label in ("a", "b")]
        logits, _ = run.logits([DATA[name]["text"][at] for at in known])
        targets = torch.tensor(["ab".index(true[at]) for at in known])
        loss = functional.cross_entropy(logits, targets).item()
        assert scores["loss"] == pytest.approx(loss, rel=1e-5)
    above, below = run.outcomes.sum(axis=0)
    assert (above / below, below) == (pytest.approx(run.metrics["test"]["accuracy"]), 40)


@pytest.mark.parametrize("metric", ["weighted_f1", "balanced_accuracy", "mcc"])
def test_other_scores_too(metric):
    run = tune(metric=metric)
    true, found = DATA["test"]["label"][:], run.predict(DATA["test"]["text"])
    expected = {
        "weighted_f1": lambda: metrics.f1_score(true, found, average="weighted"),
        "balanced_accuracy": lambda: metrics.balanced_accuracy_score(true, found),
        "mcc": lambda: metrics.matthews_corrcoef(true, found),
    }[metric]()
    assert run.metrics["test"][metric] == pytest.approx(expected)


@pytest.mark.parametrize("head", ["bag", None])
def test_they_are_reported_once_and_never_trained_on(head):
    run, count = tune(head=head, lexical=head is None), DATA["test"]["label"][:].count
    upper = DATA["validation"]["label"][:].count("B")
    names = sorted("xyz", key=lambda name: -count(name))
    shown = ", ".join(f"'{name}' ({count(name)})" for name in names)
    lacks = "labels are not among the 2 of training, and count as wrong"
    expected = [
        f"{upper} of 30 validation {lacks}: 'B' ({upper}); 'b' is among them, and differs only in "
        "case or spaces",
        f"{sum(map(count, 'xyz'))} of 40 test {lacks}: {shown}",
    ]
    assert sorted(run.warnings) == sorted(expected)
    assert str(run).count("count as wrong") == 2
    known = {n: split.filter(lambda one: one["label"] in "ab") for n, split in DATA.items()}
    alone = tune(DatasetDict(known), head=head, lexical=head is None)
    losses = ([r["validation_loss"] for r in one.history] for one in (run, alone))
    assert next(losses) == pytest.approx(next(losses), rel=1e-6)
    if run.metrics["best_epoch"] == alone.metrics["best_epoch"]:
        assert run.table.vectors.tobytes() == alone.table.vectors.tobytes()
    assert alone.warnings == []


def test_several_labels():
    def lists(split: Dataset, more: list[str]) -> Dataset:
        return split.map(lambda one: {"label": [one["label"], *more]})

    data = {"train": lists(rows(60, 0), []), "validation": lists(rows(30, 1), ["new"])}
    run = tune({**data, "test": lists(rows(30, 2, "abx"), [])})
    for name, unknown in (("validation", ["new"]), ("test", ["x"])):
        split = data.get(name) or lists(rows(30, 2, "abx"), [])
        true, found = split["label"][:], run.predict(split["text"])
        both = MultiLabelBinarizer(classes=["a", "b", "new", "x"])
        true, found = both.fit_transform(true), both.transform(found)
        scores = run.metrics[name]
        for average in ("micro", "macro"):
            expected = metrics.f1_score(true, found, average=average, zero_division=0)
            assert scores[f"{average}_f1"] == pytest.approx(expected)
        assert scores["accuracy"] == pytest.approx(metrics.accuracy_score(true, found))
        assert any(f"'{unknown[0]}'" in note for note in run.warnings)
    task = MultiLabel(["a", "b"], others=("new",))
    logits = torch.tensor([[2.0, -1.0]])
    loss = functional.binary_cross_entropy_with_logits(logits, torch.tensor([[1.0, 0.0]]))
    assert task.loss(logits, torch.tensor([[1.0, 0.0, 1.0]])) == loss
    assert task.fit(logits, torch.tensor([[1.0, 0.0, 1.0]])).threshold > 0.25


def test_tags():
    words = [["w1", "w2", "w3"], ["w4", "w5"]] * 12
    train = Dataset.from_dict({"text": words, "label": [["B-X", "I-X", "O"], ["O", "B-X"]] * 12})
    tags = [["B-X", "I-X", "B-new"], ["odd", "B-X"]] * 12
    data = {"train": train, "validation": Dataset.from_dict({"text": words, "label": tags})}
    run = tune(data, head="cnn_tagger(filters=8, widths=(1,))", epochs=15, lr=0.1)
    found = run.predict(words)
    assert found[:2] == train["label"][:2]
    as_entities = [[tag if tag != "odd" else "B-odd" for tag in row] for row in tags]
    assert run.metrics["validation"]["entity_f1"] == pytest.approx(entity_f1(as_entities, found))
    assert run.metrics["validation"]["entity_f1"] == pytest.approx(2 * 2 / (4 + 2))
    assert run.metrics["validation"]["accuracy"] == pytest.approx(3 / 5)
    task = Tagging(["B-X", "O"], others=("new",))
    assert task.decode(torch.eye(2), torch.tensor([2])) == [["B-X", "O"]]


def test_new_data(tmp_path, capsys):
    run = tune(output_dir=tmp_path / "run")
    found = run.evaluate(DATA)
    true, named = DATA["test"]["label"][:], run.predict(DATA["test"]["text"])
    assert found.scores == pytest.approx(run.metrics["test"])
    assert found.labels[:2] == ["a", "b"]
    assert sorted(found.labels[2:]) == ["x", "y", "z"]
    expected = metrics.confusion_matrix(true, named, labels=found.labels)
    assert found.confusion.tolist() == expected.tolist()
    new = {one.label: one for one in found.classes}["x"]
    assert (new.precision, new.recall, new.f1, new.support) == (0, 0, 0, true.count("x"))
    assert sum("labels are not among the 2 of training" in note for note in found.notes) == 1
    DATA["test"].to_json(tmp_path / "new.jsonl")
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", str(tmp_path / "run"), "--data", str(tmp_path / "new.jsonl")])
    assert stopped.value.code == 0
    out, err = capsys.readouterr()
    assert "of 40 labels are" in err
    assert "count as wrong" in err
    assert f"accuracy {found.scores['accuracy']:.2%}" in out


def test_a_comparison_reports_them_too():
    given = {"head": "bag", "epochs": 1, "seeds": 1, "budget": 1, "device": "cpu"}
    found = fe.compare(["FullTune"], TABLE, DATA, **given)
    notes = [note.partition(", and count")[0].partition(" of ")[2] for note in found.data_notes]
    lacks = "labels are not among the 2 of training"
    assert notes == [f"30 validation {lacks}", f"40 test {lacks}"]
    assert str(found).count("count as wrong") == 2


def test_labels_of_which_none_is_known_are_an_error():
    data = DatasetDict(train=rows(60, 0), validation=rows(30, 1), test=rows(9, 1, "xy"))
    with pytest.raises(fe.DataError, match=r"\(test\): 9 of 9 examples have a label that is not "):
        tune(data)
    with pytest.raises(fe.DataError, match="9 of 9 examples have a label that is not among"):
        tune().evaluate(data["test"])


def test_numbers_without_a_class_name_are_no_labels():
    named = {
        n: split.cast_column("label", ClassLabel(names=["a", "b"]))
        for n, split in {"train": rows(60, 0), "validation": rows(30, 1)}.items()
    }
    features = named["validation"].features
    numbers = [-1, *named["validation"]["label"][1:]]
    texts = named["validation"]["text"][:]
    named["validation"] = Dataset.from_dict({"text": texts, "label": numbers}, features=features)
    with pytest.raises(fe.DataError, match=r"1 of 30 examples .* the first is .*: -1"):
        tune(named)


def test_targets_beside_those_of_training():
    task = SingleLabel(["a", "b"], others=("x",))
    data = Dataset.from_dict({"label": ["x", "a", "-100", "b"]})
    assert task.targets(data, "label", "here", []).tolist() == [2, 0, -100, 1]
    assert task.settings() == SingleLabel(["a", "b"]).settings()
