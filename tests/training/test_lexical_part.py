"""Runs with a lexical part: stacking, files, prediction, resuming, and where there can be none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from scipy.optimize import minimize_scalar
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.lexical import LexicalClassifier, Texts, classifier
from finetune_embed.training import lexical_part, results, tuning
from finetune_embed.training.lexical_part import LexicalPart, least_loss
from finetune_embed.training.runtime.progress import ProgressBar

#: `Known...` are words of the table alone; `Far...` occur nowhere in training.
SEEN = [f"w{i}" for i in range(14)]
TABLE_ONLY = [f"known{i}" for i in range(5)]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def table() -> fe.EmbeddingTable:
    words = [*SEEN[:11], *TABLE_ONLY]  # three words of training are not in the vectors
    vectors = np.random.default_rng(0).normal(size=(len(words), 5)).astype(np.float32)
    return fe.EmbeddingTable(words, vectors)


def split(size: int, seed: int, words: list[str]) -> datasets.Dataset:
    """Texts whose label is in a pair of words, with upper case, empty ones and long ones."""
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for number in range(size):
        high = bool(rng.integers(2))
        first, second = ("w0", "w1") if high else ("w1", "w0")
        row = [*rng.choice(words, rng.integers(0, 5)), first, second, *rng.choice(words, 2)]
        row = [word.upper() if rng.random() < 0.2 else word for word in row]
        texts.append(" ".join(row) if number % 9 else "")
        labels.append("high" if high else "low")
    topics = [[label, "even"] if i % 2 == 0 else [label] for i, label in enumerate(labels)]
    return datasets.Dataset.from_dict({"text": texts, "label": labels, "topics": topics})


def data() -> dict[str, datasets.Dataset]:
    everywhere = [*SEEN, *TABLE_ONLY, "far0", "far1"]
    return {
        "train": split(60, 0, SEEN),
        "validation": split(30, 1, everywhere),
        "test": split(30, 2, everywhere),
    }


SETTINGS: dict[str, Any] = {
    "tokenizer": "cased",
    "fallback": ("lower",),
    "max_length": 6,
    "epochs": 3,
    "head": "pooled_cnn(filters=4)",
    "lexical": True,
    "batch_size": 8,
}


def tune(folder: Path | None = None, **options: Any) -> fe.Run:
    return fe.finetune(table(), data(), output_dir=folder, **{**SETTINGS, **options})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, fe.Run]:
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, tune(folder)


@pytest.fixture
def folder(finished: tuple[Path, fe.Run], tmp_path: Path) -> Path:
    """A copy of the finished run."""
    shutil.copytree(finished[0], tmp_path / "run")
    return tmp_path / "run"


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def bits_of(folder: Path) -> dict[str, bytes]:
    """The files of a run that hold no durations."""
    named = files_in(folder)
    return {name: named[name] for name in named if name not in ("metrics.json", "history.jsonl")}


# --- the two weights ------------------------------------------------------------------------------

NOTHING: Any = None  # a classifier that is not asked


def evidence(labels: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of two parts that are partly right, at scales of their own, and the targets."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(0, labels, (200,), generator=generator)
    right = functional.one_hot(targets, labels).float()
    one, other = (torch.randn(200, labels, generator=generator) for _ in range(2))
    return 8 * (right + one), 0.3 * (right + 0.7 * other), targets


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("labels", [2, 5])
def test_the_weights_have_the_least_loss(labels, seed):
    vectors, lexical, targets = evidence(labels, seed)
    part = LexicalPart.stacked(NOTHING, vectors, lexical, targets, functional.cross_entropy)

    def loss(one: float, other: float) -> float:
        return float(functional.cross_entropy(one * vectors + other * lexical, targets))

    found, grid = loss(part.vectors, part.lexical), np.geomspace(1e-3, 30, 60)
    assert found <= min(loss(one, other) for one in grid for other in grid) + 2e-3
    # and so not above the loss of a part alone, at its best scale
    for alone in (min(loss(one, 0) for one in grid), min(loss(0, other) for other in grid)):
        assert found <= alone + 2e-3
    assert found < min(loss(one, 0) for one in grid) - 0.01


@pytest.mark.parametrize("labels", [2, 5])
def test_the_least_loss_of_one_part(labels):
    _, lexical, targets = evidence(labels, 3)
    found = least_loss(lexical, targets, functional.cross_entropy)

    def loss(weight: float) -> float:
        return float(functional.cross_entropy(weight * lexical, targets))

    least = minimize_scalar(loss, (0.01, 3)).fun
    assert least <= found + 1e-9
    assert found == pytest.approx(least, abs=1e-3)  # which the pull toward the start leaves


def test_in_many_tokens_characters_count_if_validation_has_less_loss_with_them(monkeypatch):
    losses = dict[int, float]()

    def watched(logits: torch.Tensor, *others: Any) -> float:
        losses[len(losses)] = least_loss(logits, *others)
        return losses[len(losses) - 1]

    monkeypatch.setattr(results, "least_loss", watched)
    with_characters = tune().lexical.classifier
    assert losses == {}
    monkeypatch.setattr(classifier, "MANY_TOKENS", 0)
    chosen = tune().lexical.classifier
    without, both = losses.values()
    assert without != both
    assert bool(chosen.characters.ngrams) == (both < without)
    monkeypatch.setattr(results, "least_loss", lambda *given: -least_loss(*given))
    other = tune().lexical.classifier
    assert bool(other.characters.ngrams) == (both > without)
    assert torch.equal((chosen if both < without else other).weight, with_characters.weight)


def test_the_weights_do_not_grow_where_there_are_no_mistakes():
    targets = torch.arange(50) % 2
    right = functional.one_hot(targets, 2).float() * 2 - 1
    part = LexicalPart.stacked(NOTHING, right, right, targets, functional.cross_entropy)
    assert 1 < part.vectors < 100
    assert 1 < part.lexical < 100


def test_evidence_that_is_the_same_for_all_texts():
    targets, nothing = torch.arange(50) % 2, torch.zeros(50, 2)
    part = LexicalPart.stacked(NOTHING, nothing, nothing, targets, functional.cross_entropy)
    assert np.isfinite([part.vectors, part.lexical]).all()


def test_a_joined_run_is_not_worse_than_its_parts_at_their_best_scales(finished):
    _, run = finished
    targets = torch.tensor([run.labels.index(one) for one in data()["validation"]["label"]])
    joined, _ = run.logits(data()["validation"]["text"])
    classifier = run.lexical.classifier
    lexical = classifier(lexical_texts_of(run, data()["validation"]["text"]))
    vectors = (joined - run.lexical.lexical * lexical) / run.lexical.vectors
    assert functional.cross_entropy(joined, targets) == pytest.approx(
        run.metrics["validation"]["loss"], rel=1e-5
    )
    for name, alone in (("vectors", vectors), ("lexical", lexical)):
        scores = run.metrics[name]
        assert scores["loss"] == pytest.approx(
            float(functional.cross_entropy(alone, targets)), 1e-4
        )
        assert scores["accuracy"] == pytest.approx(
            float((alone.argmax(1) == targets).float().mean())
        )
        best = min(functional.cross_entropy(k * alone, targets) for k in np.geomspace(1e-3, 30, 99))
        assert run.metrics["validation"]["loss"] <= best + 2e-3


def lexical_texts_of(run: fe.Run, texts: list[str]) -> Texts:
    """The ids of the training vocabulary: of a word as it is, or in lower case; and its letters."""
    rows = []
    for text in texts:
        row = []
        for word in text.split()[:6]:
            forms = [form for form in (word, word.lower()) if form in run.vocab]
            row.append(run.vocab.key_to_index[forms[0]] if forms else 1)
        rows.append(row)
    ids = np.array([i for row in rows for i in row])
    words = [word for text in texts for word in text.split()[:6]]
    return Texts(ids, np.array([len(row) for row in rows]), np.arange(len(ids)), words)


def test_words_and_pairs_tell_what_the_order_of_two_words_says(finished):
    _, run = finished
    assert len(run.lexical.classifier.features.pairs) > 1
    assert run.metrics["lexical"]["accuracy"] > 0.8
    assert run.metrics["test"]["accuracy"] > 0.7


# --- prediction -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"label": "topics"}, {"max_length": None, "oov": "mean"}])
def test_predict_gives_what_the_held_out_splits_were_scored_by(options):
    run = tune(**options)
    for name in ("validation", "test"):
        scores = run.evaluate(data()[name]).scores
        assert scores.keys() == run.metrics[name].keys()
        for score in scores:
            assert scores[score] == pytest.approx(run.metrics[name][score], rel=1e-5), (name, score)


def test_a_text_is_predicted_alone_as_among_others(finished):
    _, run = finished
    texts = ["", "far0 far1", "W0 W1", "known1 w0 w1", "w0 " * 40, *data()["test"]["text"]]
    every, _ = run.logits(texts)
    for number, text in enumerate(texts):
        torch.testing.assert_close(run.logits([text])[0][0], every[number])
    assert run.predict_proba(texts).sum(1).tolist() == pytest.approx([1.0] * len(texts))


@pytest.mark.parametrize("ensemble", [1, 2])
@pytest.mark.parametrize("label", ["label", "topics"])
def test_an_evaluation_scores_each_part_as_the_run_does(label, ensemble):
    run = tune(label=label, epochs=1, ensemble=ensemble)
    found = run.evaluate(data()["validation"])
    metric = run.task.metric
    expected = {name: run.metrics[name][metric] for name in ("vectors", "lexical")}
    assert found.parts == pytest.approx(expected)
    assert found.scores[metric] == pytest.approx(run.metrics["validation"][metric])
    plain = tune(label=label, epochs=1, lexical=False)
    assert plain.evaluate(data()["validation"]).parts == {}


def test_loading_and_predicting_do_not_import_what_fits(finished):
    script = (
        "import sys, finetune_embed as fe\n"
        f"run = fe.load({str(finished[0])!r})\n"
        "assert run.lexical is not None and len(run.predict(['w0 w1', ''])) == 2\n"
        "print([name for name in ('sklearn', 'scipy', 'joblib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


# --- files ----------------------------------------------------------------------------------------


def test_a_loaded_run_has_the_same_bits(finished, tmp_path):
    folder, run = finished
    again = fe.load(folder)
    texts = [*data()["test"]["text"], "far0", ""]
    assert torch.equal(run.logits(texts)[0], again.logits(texts)[0])
    assert str(again) == str(run)
    assert (again.lexical.vectors, again.lexical.lexical) == (
        run.record["stacking"]["vectors"],
        run.record["stacking"]["lexical"],
    )
    again.save(tmp_path / "copy")
    assert files_in(tmp_path / "copy") == files_in(folder)
    assert fe.load_vectors(folder).vectors.tobytes() == run.table.vectors.tobytes()


def test_a_file_whose_data_begin_anywhere_has_the_same_bits(finished, tmp_path):
    """A header of any length is valid, so numbers need not begin where a processor wants them."""
    folder, run = finished
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = copy / "lexical.safetensors"
    data_of_file = file.read_bytes()
    end = 8 + int.from_bytes(data_of_file[:8], "little")
    header = data_of_file[8:end].rstrip(b" ")
    texts = ["far0 near1", "", "word"]
    for extra in range(1, 5):
        padded = header + b" " * extra
        size = len(padded).to_bytes(8, "little")
        file.write_bytes(size + padded + data_of_file[end:])
        assert torch.equal(fe.load(copy).logits(texts)[0], run.logits(texts)[0])


def test_a_run_says_what_each_part_scores_alone(finished):
    _, run = finished
    vectors, lexical = (run.metrics[name]["accuracy"] for name in ("vectors", "lexical"))
    line = f"accuracy of each part alone: vectors {vectors:.2%}, lexical {lexical:.2%}"
    assert f"  on validation, {line}" in str(run).splitlines()
    found = run.evaluate(data()["validation"])
    assert f"  {line}" in str(found).splitlines()
    assert found.to_dict()["parts"] == pytest.approx({"vectors": vectors, "lexical": lexical})
    assert "each part" not in str(tune(lexical=False))


def test_a_run_without_a_lexical_part_that_replaces_one_leaves_no_file_of_it(folder, tmp_path):
    tune(folder, lexical=False, overwrite=True)
    assert "lexical.safetensors" not in os.listdir(folder)
    assert fe.load(folder).lexical is None
    plain = fe.load(folder)
    with_part = tune(tmp_path / "other")
    plain.save(tmp_path / "other")
    assert files_in(tmp_path / "other") == files_in(folder)
    with_part.save(folder)
    assert fe.load(folder).lexical is not None


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def of_another_size(path: Path) -> None:
    tensors = load_file(path)
    save_file({**tensors, "bias": torch.zeros(3)}, path)


@pytest.mark.parametrize("damage", [cut, of_another_size, lambda p: p.write_text("")])
def test_a_damaged_lexical_file_is_one_error_that_names_it(folder, damage):
    damage(folder / "lexical.safetensors")
    with pytest.raises(fe.DataError, match=rf"^{folder}/lexical\.safetensors: ") as caught:
        fe.load(folder)
    assert "\n" not in str(caught.value)


def test_a_folder_without_its_lexical_file_lacks_it(folder):
    (folder / "lexical.safetensors").unlink()
    expected = f"{folder}: the folder has no lexical.safetensors; copy the folder of the run"
    with pytest.raises(fe.DataError, match=f"^{expected}"):
        fe.load(folder)


@pytest.mark.parametrize(
    "stacking", [None, 1, {}, {"vectors": 1.0}, {"vectors": 1.0, "lexical": "x"}, "nan"], ids=str
)
def test_damaged_weights_are_one_error(folder, stacking):
    record = json.loads((folder / "record.json").read_text())
    if stacking is None:
        del record["stacking"]
    elif stacking == "nan":
        record["stacking"]["lexical"] = float("nan")
    else:
        record["stacking"] = stacking
    (folder / "record.json").write_text(json.dumps(record))
    with pytest.raises(fe.DataError, match=rf"^{folder}/record\.json: .* damaged: .*stacking"):
        fe.load(folder)


@pytest.mark.parametrize("name", ["vectors", "lexical"])
def test_missing_scores_of_a_part_are_one_error(folder, name):
    metrics = json.loads((folder / "metrics.json").read_text())
    del metrics[name]
    (folder / "metrics.json").write_text(json.dumps(metrics))
    with pytest.raises(fe.DataError, match=rf"^{folder}/metrics\.json: .* it has no {name}$"):
        fe.load(folder)


# --- resuming -------------------------------------------------------------------------------------


def test_a_finished_run_is_returned(folder, monkeypatch):
    before = files_in(folder)
    monkeypatch.setattr(tuning, "lexical_of", None)  # which nothing calls
    again = tune(folder, resume=True)
    assert files_in(folder) == before
    assert again.lexical is not None


@pytest.mark.parametrize("options", [{}, {"head": None, "lexical": None, "epochs": 2}], ids=str)
@pytest.mark.parametrize("at", [1, 9])
def test_an_interrupted_run_continues_with_the_same_bits(tmp_path, monkeypatch, at, options):
    steps: list[int] = []

    def advance(bar: ProgressBar) -> None:
        steps.append(1)
        if len(steps) == at:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            tune(tmp_path / "run", checkpoint_steps=1, **options)
    run = tune(tmp_path / "run", resume=True, checkpoint_steps=1, **options)
    whole = tune(tmp_path / "whole", checkpoint_steps=1, **options)
    assert run.lexical is not None
    assert bits_of(tmp_path / "run") == bits_of(tmp_path / "whole")
    assert {**run.metrics, "seconds": 0} == {**whole.metrics, "seconds": 0}


def test_a_run_interrupted_while_it_waits_for_the_fit_continues(tmp_path, monkeypatch):
    class Never:
        def result(self) -> LexicalClassifier:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "in_background", lambda work: Never())
        with pytest.raises(KeyboardInterrupt) as stopped:
            tune(tmp_path / "run")
    assert stopped.value.__notes__ == ["to continue, repeat the call with resume=True"]
    tune(tmp_path / "run", resume=True)
    tune(tmp_path / "whole")
    assert bits_of(tmp_path / "run") == bits_of(tmp_path / "whole")


def test_an_error_of_the_fit_is_that_of_the_run(monkeypatch):
    def failing(*_: object) -> None:
        raise MemoryError("of the fit")

    monkeypatch.setattr(tuning, "lexical_of", failing)
    with pytest.raises(MemoryError, match="of the fit"):
        tune()


FITTING = """
import sys, time
import finetune_embed as fe
from finetune_embed.demo import REVIEWS, VECTORS
from finetune_embed.training import tuning

def fit(*_):
    print("fitting", flush=True)
    time.sleep(60)

tuning.lexical_of = fit
fe.finetune(VECTORS, REVIEWS, **eval(sys.argv[1]))
"""


@pytest.mark.parametrize(
    "options", [{"epochs": 500}, {"max_steps": 1}], ids=["training", "waiting"]
)
def test_ctrl_c_while_the_fit_runs_ends_the_process_at_once(options):
    command = [sys.executable, "-c", FITTING, repr(options)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"fitting\n"
    threading.Event().wait(1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)  # the fit takes a minute
    assert process.returncode in (1, -signal.SIGINT), err
    assert err.rstrip().endswith(b"KeyboardInterrupt")


def test_an_error_while_the_fit_runs_waits_for_it():
    """The interpreter would abort if it ended while the thread is in C++ code."""
    code = (
        "import time\n"
        "from finetune_embed.lexical import in_background\n"
        "in_background(lambda: [time.sleep(0.3), print('fitted', flush=True)])\n"
        "raise SystemExit(2)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (2, b"fitted\n", b"")


def test_the_fit_does_not_disturb_the_random_state():
    """The table of a run is the same with a lexical part and without."""
    one, other = tune(), tune(lexical=False)
    assert one.table.vectors.tobytes() == other.table.vectors.tobytes()
    assert one.metrics["vectors"] == other.metrics["validation"]


# --- where there is none --------------------------------------------------------------------------


def test_where_a_lexical_part_is_refused():
    stream = {**data(), "train": data()["train"].to_iterable_dataset()}
    with pytest.raises(fe.DataError, match=r"^lexical=True needs all training texts in memory"):
        fe.finetune(table(), stream, lexical=True)
    tagged = datasets.Dataset.from_dict({"text": [["a", "b"]] * 20, "label": [["x", "y"]] * 20})
    with pytest.raises(fe.DataError, match=r"^lexical=True classifies texts, and the task is to"):
        fe.finetune(table(), tagged, lexical=True)
    assert fe.finetune(table(), stream, epochs=1).lexical is None
    assert fe.finetune(table(), tagged, epochs=1).lexical is None


def test_one_label_alone(tmp_path):
    names = datasets.ClassLabel(names=["x", "y"])
    one = datasets.Dataset.from_dict({"text": ["w0", "w1 w2"] * 9, "label": [0] * 18})
    one = one.cast_column("label", names)
    run = fe.finetune(table(), one, epochs=1, output_dir=tmp_path)
    assert run.predict(["w0", "far"]) == fe.load(tmp_path).predict(["w0", "far"]) == ["x", "x"]


def test_labels_and_numbers_of_other_tasks(tmp_path):
    """A label that training lacks, and numbers, which a ridge regression predicts."""
    rows = data()["validation"].to_dict()
    rows["label"][3] = "other"
    splits = {**data(), "validation": datasets.Dataset.from_dict(rows)}
    run = fe.finetune(table(), splits, epochs=1)
    assert run.lexical is not None
    assert run.metrics["validation"]["accuracy"] <= 29 / 30
    texts = data()["train"]["text"]
    numbers = datasets.Dataset.from_dict(
        {"text": texts, "label": [len(one.split()) / 2 for one in texts]}
    )
    run = fe.finetune(table(), numbers, epochs=2, task="regression", output_dir=tmp_path)
    assert run.metrics["lexical"]["spearman"] > 0.5
    assert torch.equal(fe.load(tmp_path).logits(texts)[0], run.logits(texts)[0])


def test_only_texts_with_a_label_that_counts_are_fitted(monkeypatch):
    found: list[Any] = []

    def noting(*given: Any) -> LexicalClassifier:
        found.append(given)
        return LexicalClassifier.fit(*given)

    monkeypatch.setattr(lexical_part, "LexicalClassifier", SimpleNamespace(fit=noting))
    texts = ["w0 w1", "w1 w0", "w2"] * 8
    rows = datasets.Dataset.from_dict({"text": texts, "label": [1, 0, -1] * 8})
    splits = {"train": rows, "validation": rows}
    fe.finetune(table(), splits, epochs=1, ignore_label=-1)
    (given, targets, labels, *_) = found[0]
    assert (len(given.lengths), len(given.ids), labels) == (16, 32, 2)
    assert sorted(set(targets.tolist())) == [0, 1]


def test_one_validation_text_gives_finite_weights():
    one, target = torch.tensor([[0.3]]), torch.tensor([0.6])

    def loss(logits, targets):
        return (logits[:, 0] - targets).square().mean()

    part = LexicalPart.stacked(None, one, one, target, loss)
    assert part.vectors == pytest.approx(part.lexical)
    assert (part.vectors + part.lexical) * 0.3 == pytest.approx(0.6, abs=1e-3)
