"""`Run.evaluate` and the test split that is set aside: scores against scikit-learn and by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
import torch
from datasets import ClassLabel, Dataset, DatasetDict

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.data import hold_out, open_splits

WORDS = [f"w{i}" for i in range(12)]
TABLE = fe.EmbeddingTable(WORDS, np.random.default_rng(0).standard_normal((12, 6)))


def rows(size: int, seed: int = 0, task: str = "single_label") -> dict[str, list[Any]]:
    rng = np.random.default_rng(seed)
    words = [rng.choice(WORDS, rng.integers(1, 6)).tolist() for _ in range(size)]
    kinds = {w: "abc"[i % 3] for i, w in enumerate(WORDS)}
    if task == "tagging":
        return {"text": words, "label": [[f"B-{kinds[w]}" for w in text] for text in words]}
    if task == "multi_label":
        labels: list[Any] = [sorted({kinds[w] for w in text}) for text in words]
    else:
        labels = [kinds[text[0]] for text in words]
    return {"text": [" ".join(text) for text in words], "label": labels}


def tuned(task: str = "single_label", **settings: Any) -> fe.Run:
    head = "cnn_tagger" if task == "tagging" else "bag"
    data = Dataset.from_dict(rows(80, task=task))
    return fe.finetune(TABLE, data, **{"epochs": 3, "lr": 0.05, "head": head, **settings})


def test_scores_of_single_labels():
    run, given = tuned(), rows(50, 1)
    found = run.evaluate(Dataset.from_dict(given))
    predicted = run.predict(given["text"])
    expected = sklearn.metrics.confusion_matrix(given["label"], predicted, labels=run.labels)
    assert np.array_equal(found.confusion, expected)
    assert found.scores["accuracy"] == np.mean(
        [a == b for a, b in zip(predicted, given["label"], strict=True)]
    )
    parts = sklearn.metrics.precision_recall_fscore_support(
        given["label"], predicted, zero_division=0
    )
    for one, *scores in zip(found.classes, *parts, strict=True):
        assert (one.precision, one.recall, one.f1, one.support) == pytest.approx(scores)
    assert (found.examples, found.metric, found.labels) == (50, "accuracy", ["a", "b", "c"])
    assert json.loads(json.dumps(found.to_dict()))["confusion"] == expected.tolist()


def test_what_is_given_counts_and_a_misspelt_name_is_an_error():
    run, given = tuned(), Dataset.from_dict(rows(9, 1))
    with pytest.raises(TypeError, match="got an unexpected keyword argument 'txet'"):
        run.read_labelled(given, txet="text")
    bare = replace(run, settings={})
    found = bare.read_labelled(given, text="text", label="label", missing="drop")
    assert found.texts == given["text"][:]
    assert found.stored.equal(run.read_labelled(given).stored)


def test_scores_of_several_labels():
    run, given = tuned("multi_label"), rows(40, 2, "multi_label")
    found = run.evaluate(Dataset.from_dict(given))
    true, predicted = (
        np.array([[label in row for label in run.labels] for row in lists])
        for lists in (given["label"], run.predict(given["text"]))
    )
    expected = sklearn.metrics.multilabel_confusion_matrix(true, predicted)
    assert np.array_equal(found.confusion, expected)
    parts = sklearn.metrics.precision_recall_fscore_support(true, predicted, zero_division=0)
    for one, *scores in zip(found.classes, *parts, strict=True):
        assert (one.precision, one.recall, one.f1, one.support) == pytest.approx(scores)
    assert found.scores["micro_f1"] == pytest.approx(
        sklearn.metrics.f1_score(true, predicted, average="micro")
    )


@pytest.mark.parametrize("max_length", [None, 3])
def test_scores_of_tags(max_length):
    run, given = tuned("tagging", max_length=max_length), rows(30, 3, "tagging")
    found = run.evaluate(Dataset.from_dict(given))
    true = [tag for tags in given["label"] for tag in tags[:max_length]]
    predicted = [tag for tags in run.predict(given["text"]) for tag in tags]
    assert np.array_equal(
        found.confusion, sklearn.metrics.confusion_matrix(true, predicted, labels=run.labels)
    )
    assert found.confusion.sum() == len(true)
    assert found.metric == "entity_f1"


def test_scores_are_those_of_the_run_on_its_test_split():
    data = DatasetDict(
        train=Dataset.from_dict(rows(60)),
        validation=Dataset.from_dict(rows(20, 1)),
        test=Dataset.from_dict(rows(30, 2)),
    )
    run = fe.finetune(TABLE, data, epochs=2)
    assert run.evaluate(data).scores == pytest.approx(run.metrics["test"])
    assert run.evaluate(data["test"]).scores == run.evaluate(data).scores


@pytest.mark.parametrize("task", ["single_label", "tagging"])
def test_ignored_labels_do_not_count(task):
    run, given = tuned(task), rows(20, 4, task)
    right = run.predict(given["text"])
    if task == "tagging":
        given["label"] = [[-100, *tags[1:]] for tags in right]
        given["label"] = [[str(tag) for tag in tags] for tags in given["label"]]
        found = run.evaluate(Dataset.from_dict(given))
        assert found.confusion.sum() == sum(len(tags) - 1 for tags in right)
    else:
        given["label"] = ["-100" if at % 2 else label for at, label in enumerate(right)]
        found = run.evaluate(Dataset.from_dict(given))
        assert found.confusion.sum() == 10
    assert found.scores["accuracy"] == 1.0


def test_labels_of_other_kinds_of_data(tmp_path):
    """Names of classes, files, other columns, whole numbers written with a point."""
    run, given = tuned(), rows(30, 5)
    found = run.evaluate(Dataset.from_dict(given))
    named = Dataset.from_dict({"x": given["text"], "y": given["label"]})
    named = named.cast_column("y", ClassLabel(names=["b", "a", "c"]))
    other = run.evaluate(named, text="x", label="y")
    assert np.array_equal(other.confusion, found.confusion)
    lines = [f"{t};{n}" for t, n in zip(given["text"], given["label"], strict=True)]
    (tmp_path / "semi.csv").write_text("\n".join(["text;label", *lines]))
    other = run.evaluate(tmp_path / "semi.csv", delimiter=";")
    assert np.array_equal(other.confusion, found.confusion)
    stars = {"text": given["text"], "label": [ord(n) for n in given["label"]]}
    lines = [f"{t},{n}.0" for t, n in zip(*stars.values(), strict=True)]
    (tmp_path / "stars.csv").write_text("\n".join(["text,label", *lines]))
    Dataset.from_dict(stars).to_parquet(tmp_path / "stars.parquet")
    files = [tmp_path / "stars.csv", tmp_path / "stars.parquet"]  # texts, and numbers
    for file in files:
        run = fe.finetune(TABLE, file, epochs=1)
        one, other = (run.evaluate(file).confusion for file in files)
        assert np.array_equal(one, other)
        assert one.sum() == 30


def test_missing_cells_are_left_out_and_noted(tmp_path):
    (tmp_path / "new.csv").write_text("text,label\nw0 w1,a\n,b\nw2,\nw1,b\n")
    found = tuned().evaluate(tmp_path / "new.csv")
    assert found.examples == 2
    assert len(found.notes) == 1
    assert "2 of 4" in found.notes[0]


@pytest.mark.parametrize(("data", "message"), [
    ({"text": ["w0"], "label": ["d"]}, "a label that is not among the 3 .*'d'"),
    ({"text": ["w0"], "label": [1]}, "a label that is not among the 3"),
    ({"text": ["w0"]}, "there is no column 'label'"),
    ({"words": ["w0"], "label": ["a"]}, "there is no column 'text'"),
    ({"text": ["w0"], "label": ["-100"]}, "none of the 1 texts has a label"),
])  # fmt: skip
def test_data_that_cannot_be_evaluated(data, message):
    with pytest.raises(fe.DataError, match=message):
        tuned().evaluate(Dataset.from_dict(data))


def test_several_splits_without_a_test(tmp_path):
    one = Dataset.from_dict(rows(9))
    with pytest.raises(fe.DataError, match="several splits, and none named test"):
        tuned().evaluate({"train": one, "validation": one})
    with pytest.raises(fe.DataError, match="it is streamed"):
        tuned().evaluate(one.to_iterable_dataset())


def test_the_report(capsys, tmp_path):
    run, given = tuned(output_dir=tmp_path / "run"), rows(50, 1)
    Dataset.from_dict(given).to_json(tmp_path / "new.jsonl")
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", str(tmp_path / "run"), "--data", str(tmp_path / "new.jsonl")])
    assert stopped.value.code == 0
    out, found = capsys.readouterr().out, run.evaluate(tmp_path / "new.jsonl")
    assert out == f"{found}\n"
    assert f"accuracy {found.scores['accuracy']:.2%}" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["label", "precision", "recall", "F1", "support"] in lines
    for name, row in zip("abc", found.confusion.tolist(), strict=True):
        assert [name, *map(str, row)] in lines
    many = fe.finetune(
        TABLE,
        Dataset.from_dict({"text": ["w0 w1"] * 80, "label": [f"l{i % 20:02}" for i in range(80)]}),
        epochs=1,
    )
    (taken,) = many.predict(["w0"])
    label = "l01" if taken != "l01" else "l02"
    report = many.evaluate(Dataset.from_dict({"text": ["w0"] * 9, "label": [label] * 9}))
    assert f"  9 x {label} taken for {taken}" in str(report)


# A test split that is set aside


@pytest.mark.parametrize("task", ["single_label", "multi_label", "tagging"])
def test_a_test_split_is_set_aside(task):
    data = Dataset.from_dict(rows(200, task=task))
    head = "cnn_tagger" if task == "tagging" else "bag"
    run = fe.finetune(TABLE, data, test=0.25, epochs=1, head=head)
    splits = hold_out(open_splits(data), "label", 0.25, 0, "test")
    rest = hold_out(splits, "label", 0.1, 0)
    assert (len(rest.train), len(rest.validation), len(rest.test)) == (135, 15, 50)
    assert run.outcomes is not None
    assert len(run.outcomes) == 50
    assert run.evaluate(splits.test).scores == pytest.approx(run.metrics["test"])
    parts = DatasetDict(train=rest.train, validation=rest.validation, test=rest.test)
    same = fe.finetune(TABLE, parts, epochs=1, head=head)
    assert same.metrics["test"] == run.metrics["test"]
    assert np.array_equal(same.table.vectors, run.table.vectors)


def test_classes_keep_their_shares_in_the_test():
    data = Dataset.from_dict(
        {"text": ["w0", "w1", "w1", "w2"] * 50, "label": ["a", "b", "b", "c"] * 50}
    )
    run = fe.finetune(TABLE, data, test=0.2, epochs=1)
    test = hold_out(open_splits(data), "label", 0.2, 0, "test").test
    assert sorted(map(test["label"].count, "abc")) == [10, 10, 20]
    assert "\n  test: accuracy " in str(run)


def test_the_test_chooses_nothing():
    """Training on the rest alone gives the same run."""
    splits = hold_out(open_splits(Dataset.from_dict(rows(100))), "label", 0.2, 0, "test")
    run = fe.finetune(TABLE, Dataset.from_dict(rows(100)), test=0.2, epochs=2)
    plain = fe.finetune(TABLE, splits.train, epochs=2)
    assert np.array_equal(run.table.vectors, plain.table.vectors)
    assert torch.equal(run.predict_proba(WORDS), plain.predict_proba(WORDS))
    assert run.metrics["validation"] == plain.metrics["validation"]


def test_a_test_split_that_exists_is_kept_unless_its_labels_are_hidden():
    train, test = Dataset.from_dict(rows(60)), Dataset.from_dict(rows(10, 1))
    run = fe.finetune(TABLE, {"train": train, "test": test}, test=0.5, epochs=1)
    assert run.outcomes is not None
    assert len(run.outcomes) == 10
    hidden = Dataset.from_dict({"text": ["w0"], "label": ["-1"]}).map(lambda r: {"label": None})
    run = fe.finetune(TABLE, {"train": train, "test": hidden}, test=0.5, epochs=1)
    assert run.outcomes is not None
    assert len(run.outcomes) == 30


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 2, "half", float("nan")])
def test_shares_that_are_none(share):
    with pytest.raises(fe.StrategyError, match=r"test=.* must be a number above 0 and below 1"):
        fe.finetune(TABLE, Dataset.from_dict(rows(10)), test=share)


def test_a_stream_has_no_test_to_set_aside():
    stream = Dataset.from_dict(rows(20)).to_iterable_dataset()
    given = {"train": stream, "validation": Dataset.from_dict(rows(9))}
    with pytest.raises(fe.DataError, match="there is no test split, and a stream has no examples"):
        fe.finetune(TABLE, given, test=0.2, epochs=1)
    assert "test" not in fe.finetune(TABLE, given, epochs=1).metrics


def test_train_sets_aside_a_test(tmp_path, capsys):
    fe.save_glove(TABLE, tmp_path / "v.txt")
    lines = [f"{t},{n}" for t, n in zip(*rows(100).values(), strict=True)]
    (tmp_path / "d.csv").write_text("\n".join(["text,label", *lines]))
    out: Path = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                "train",
                "--vectors",
                str(tmp_path / "v.txt"),
                "--data",
                str(tmp_path / "d.csv"),
                "-o",
                str(out),
                "--test",
                "0.2",
                "--epochs",
                "2",
                "--quiet",
            ]
        )
    assert stopped.value.code == 0
    metrics = json.loads((out / "metrics.json").read_text())
    assert f"test: accuracy {metrics['test']['accuracy']:.2%}" in capsys.readouterr().out


def test_a_label_that_differs_from_one_of_the_run_only_in_case():
    given = rows(20, 1)
    given["label"][3] = " A"
    (note,) = tuned().evaluate(Dataset.from_dict(given)).notes
    assert note == (
        "1 of 20 labels are not among the 3 of training, and count as wrong: ' A' (1); 'a' is "
        "among them, and differs only in case or spaces"
    )
    given["label"][3] = "other"
    (note,) = tuned().evaluate(Dataset.from_dict(given)).notes
    assert note.endswith("wrong: 'other' (1)")


def test_labels_that_are_not_scored_in_an_evaluation():
    run, given = tuned(), rows(40, 1)
    kept = [i for i, label in enumerate(given["label"]) if label != "b"]
    expected = run.evaluate(Dataset.from_dict({n: [v[i] for i in kept] for n, v in given.items()}))
    found = run.evaluate(Dataset.from_dict(given), ignore_label="b")
    assert found.confusion.tolist() == expected.confusion.tolist()
    assert found.scores["accuracy"] == expected.scores["accuracy"]
    given["label"][kept[0]] = "unknown"
    assert run.evaluate(Dataset.from_dict(given), ignore_label="unknown").confusion.sum() == 39


def test_missing_texts_in_an_evaluation(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("text,label\nw0,a\n,b\n")
    run = tuned()
    assert run.evaluate(path).examples == 1
    assert run.evaluate(path, missing="keep").examples == 2
    assert tuned(missing="keep").evaluate(path, missing="drop").examples == 1
    with pytest.raises(fe.DataError, match=r"^missing='kepe' must be"):
        run.evaluate(path, missing="kepe")


def test_the_split_that_is_read_is_named(tmp_path):
    run, given = tuned(), Dataset.from_dict(rows(20, 1))
    for name in ("train", "test"):
        given.to_csv(tmp_path / f"{name}.csv")
        notes = run.evaluate(tmp_path).to_dict()["notes"]
        assert notes == [f"the {name} split is read, {name}.csv"]
    assert run.evaluate(tmp_path / "train.csv").notes == ()
    assert run.evaluate(DatasetDict(train=given, test=given)).notes == ("the test split is read",)


def test_a_share_for_a_test_split_that_is_there_is_reported():
    part = Dataset.from_dict(rows(40))
    run = fe.finetune(TABLE, {"train": part, "test": part}, test=0.2, epochs=1)
    assert "test=0.2 is not used, because there is a test split" in run.warnings


@pytest.mark.parametrize("as_words", [False, True])
def test_texts_on_both_sides_of_a_split_are_counted(as_words):
    texts = [f"w{i % 5} w{i % 7}" for i in range(35)]
    labels = ["ab"[i % 2] for i in range(35)] * 2
    given = {"text": [t.split() if as_words else t for t in texts * 2], "label": labels}
    run = fe.finetune(TABLE, Dataset.from_dict(given), test=0.2, validation=0.2, epochs=1)
    splits = hold_out(open_splits(Dataset.from_dict(given)), "label", 0.2, 0, "test")
    splits = hold_out(splits, "label", 0.2, 0)
    expected = []
    for name in ("validation", "test"):
        found = getattr(splits, name)["text"][:]
        same = sum(text in splits.train["text"][:] for text in found)
        expected.append(f"{same} of {len(found)} {name} texts are training texts too")
    shown = [one for one in run.warnings if "training texts too" in one]
    assert [one.split(", which")[0] for one in shown] == expected
    half = {name: values[:35] for name, values in given.items()}
    assert "training texts" not in str(
        fe.finetune(TABLE, Dataset.from_dict(half), epochs=1).warnings
    )
