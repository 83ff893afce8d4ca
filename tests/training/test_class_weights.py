"""Class weights and label smoothing: the losses of torch, however a step is split."""

from __future__ import annotations

import json
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from datasets import Dataset, DatasetDict
from sklearn.svm import LinearSVC
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.cli import main
from finetune_embed.data import IGNORED, EncodedTexts
from finetune_embed.lexical import LexicalClassifier, Texts, classifier
from finetune_embed.lexical.svm import fit_machines
from finetune_embed.training.steps import Batching, InMemory, Step
from finetune_embed.training.tasks import MultiLabel, SingleLabel, Tagging

WEIGHTS = (0.3, 2.0, 5.5)
LABELS = ["a", "b", "c"]
WORDS = [f"w{i}" for i in range(30)]
TABLE = fe.EmbeddingTable(WORDS, np.random.default_rng(1).normal(size=(30, 8)).astype(np.float32))


def rows(count: int, seed: int) -> Dataset:
    """Texts of three classes, of which one is ten times as frequent as another."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, count, p=[0.7, 0.23, 0.07])
    own = [rng.choice(30, 6, p=np.r_[np.full(10, 0.05), np.full(20, 0.025)]) for _ in labels]
    texts = [
        " ".join(WORDS[i] for i in [*row, 10 + 2 * label])
        for row, label in zip(own, labels, strict=True)
    ]
    return Dataset.from_dict({"text": texts, "label": [LABELS[label] for label in labels]})


DATA = DatasetDict(train=rows(256, 0), validation=rows(90, 1), test=rows(90, 2))


def tune(**settings: Any) -> fe.Run:
    given = {"head": "bag", "epochs": 1, "lr": 0.02, "batch_size": 32, "device": "cpu"}
    return fe.finetune(TABLE, DATA, **{**given, **settings})


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("weights", [(), WEIGHTS])
@pytest.mark.parametrize("kind", [SingleLabel, Tagging])
def test_the_training_loss_is_that_of_torch_and_the_validation_loss_plain(kind, weights, smoothing):
    logits = torch.randn(40, 3, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(40) % 3
    targets[::7] = IGNORED
    task = kind(LABELS, weights=weights, smoothing=smoothing)
    weight = torch.tensor(weights) if weights else None
    expected = nn.CrossEntropyLoss(weight, label_smoothing=smoothing)(logits, targets)
    assert task.training_loss(logits, targets).item() == pytest.approx(expected.item(), rel=1e-6)
    plain = functional.cross_entropy(logits, targets).item()
    assert task.loss(logits, targets).item() == pytest.approx(plain, rel=1e-6)
    lengths = torch.full((10,), 4)
    assert task.scores(logits, targets, lengths)["loss"] == pytest.approx(plain, rel=1e-6)
    nothing = torch.full((40,), IGNORED)
    assert task.weight_of(nothing) == 0
    assert task.training_loss(logits, nothing).isfinite()


def test_smoothing_of_several_labels():
    logits, targets = torch.tensor([[2.0, -1.0]]), torch.tensor([[1.0, 0.0]])
    task = MultiLabel(["a", "b"], smoothing=0.2)
    smooth = functional.binary_cross_entropy_with_logits(logits, torch.tensor([[0.9, 0.1]]))
    assert task.training_loss(logits, targets).item() == pytest.approx(smooth.item())
    plain = functional.binary_cross_entropy_with_logits(logits, targets).item()
    assert task.scores(logits, targets, torch.tensor([1]))["loss"] == pytest.approx(plain)


def losses_of(task: Any, tags: bool, **how: Any) -> list[list[float]]:
    """Return the loss of each step of an epoch, as each process adds it up.

    The logits of a unit follow from its text and its word, so that all splits have the same.
    """
    lengths = torch.arange(37) % 6 + 1
    ids = (100 + torch.arange(37)).repeat_interleave(lengths)
    labels = (ids * ids) % 3 if tags else torch.arange(37) ** 2 % 3
    labels[::11] = IGNORED
    data = EncodedTexts(ids, lengths.cumsum(0) - lengths, lengths, labels)

    def loss(step: Step) -> float:
        found = 0.0
        for batch in step.batches:
            of_text = batch.ids.split(batch.lengths.tolist())
            units = batch.ids if tags else torch.stack([one[0] for one in of_text])
            logits = torch.stack([(units * f).sin() for f in (1.0, 2.0, 3.0)], dim=1)
            found += task.training_loss(logits, batch.targets).item() * batch.weight
        return found

    count = how.pop("count", 1)
    found = []
    for index in range(count):
        processes: Any = SimpleNamespace(index=index, count=count)
        size, accumulation = how["size"], how["accumulation"]
        batching = Batching(size, None, accumulation, True, task, 5, processes)
        found.append([loss(step) for step in InMemory(data, batching).steps(0)])
    return found


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("tags", [True, False])
def test_a_step_has_one_loss_however_it_is_split(tags, smoothing):
    kind: Any = Tagging if tags else SingleLabel
    task = kind(LABELS, weights=WEIGHTS, smoothing=smoothing)
    (whole,) = losses_of(task, tags, size=32, accumulation=1)
    (four,) = losses_of(task, tags, size=8, accumulation=4)
    assert four == pytest.approx(whole, rel=1e-6)
    for count in (2, 3):
        shared = losses_of(task, tags, size=32, accumulation=1, count=count)
        assert np.mean(shared, axis=0).tolist() == pytest.approx(whole, rel=1e-6)


def test_four_batches_of_8_are_one_of_32():
    given = {"class_weight": {"a": 0.2, "c": 7}, "label_smoothing": 0.1, "epochs": 2}
    whole, parts = (
        tune(**given, batch_size=size, gradient_accumulation_steps=steps)
        for size, steps in ((32, 1), (8, 4))
    )
    moved = whole.table.vectors - TABLE.vectors
    assert abs(moved).max() > 0.05
    np.testing.assert_allclose(parts.table.vectors, whole.table.vectors, rtol=0, atol=2e-6)
    for one, other in zip(parts.history, whole.history, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-5)
    plain = tune(epochs=2)
    assert abs(plain.table.vectors - whole.table.vectors).max() > 1e-3


def test_the_loss_of_an_epoch_is_that_of_all_its_texts():
    """With a rate of 0 nothing moves, so every step has the weights of the start."""
    run = tune(class_weight="balanced", label_smoothing=0.2, lr=0.0, strategy="Freeze")
    logits, _ = run.logits(DATA["train"]["text"])
    targets = torch.tensor([LABELS.index(label) for label in DATA["train"]["label"]])
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=targets.numpy())
    weight = torch.tensor(balanced, dtype=torch.float32)
    expected = functional.cross_entropy(logits, targets, weight, label_smoothing=0.2).item()
    assert run.history[0]["train_loss"] == pytest.approx(expected, rel=1e-5)
    assert run.task.weights == pytest.approx(balanced.tolist())


def test_balanced_counts_labels_that_count_in_training():
    names = ["a", "b", "c", "never"]
    given = Dataset.from_dict(
        {"words": [["w1", "w2", "w3"], ["w4"]] * 8, "tags": [["a", "a", "-100"], ["b"]] * 8}
    )
    run = fe.finetune(
        TABLE, given, text="words", label="tags", epochs=1, head="bilstm", class_weight="balanced"
    )
    assert run.task.weights == (0.75, 1.5)
    assert SingleLabel(names, weights=(1, 2, 3, 4)).weight_of(torch.tensor([0, 3, 3, -100])) == 9


def test_the_lexical_part_has_the_same_weights(monkeypatch):
    monkeypatch.setattr(classifier, "fit_machines", partial(fit_machines, tolerance=1e-7))
    rng = np.random.default_rng(0)
    lengths = torch.from_numpy(rng.integers(1, 9, 120))
    ids = torch.from_numpy(rng.integers(2, 20, int(lengths.sum())))
    targets = torch.from_numpy(rng.choice(3, 120, p=[0.8, 0.15, 0.05]))
    texts = Texts(ids.numpy(), lengths.numpy(), ids.numpy(), [f"word{i}" for i in range(20)])
    given = (texts, targets, 3, 20, 2)
    found = LexicalClassifier.fit(*given, weights=WEIGHTS)
    rows = found.rows(texts)
    from scipy.sparse import csr_matrix

    matrix = csr_matrix((rows.values, rows.columns, rows.starts), shape=(120, len(found.weight)))
    costs = dict(enumerate(WEIGHTS))
    expected = LinearSVC(random_state=0, class_weight=costs, tol=1e-9, max_iter=100_000)
    expected.fit(matrix, targets.numpy())
    np.testing.assert_allclose(found.weight.T, expected.coef_, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found.weight, LexicalClassifier.fit(*given).weight)


def test_rare_labels_are_found_more_often():
    plain, balanced = tune(epochs=4), tune(epochs=4, class_weight="balanced")
    assert balanced.metrics["test"]["macro_f1"] > plain.metrics["test"]["macro_f1"] + 0.05
    rare = [run.predict(DATA["test"]["text"]).count("c") for run in (plain, balanced)]
    assert rare[0] < DATA["test"]["label"].count("c") < rare[1]


def test_a_mapping_goes_through_files_and_the_command_line(tmp_path):
    one = tune(class_weight={"c": np.float32(4)}, output_dir=tmp_path / "one")
    assert one.task.weights == (1, 1, 4)
    config = tmp_path / "one" / "config.yaml"
    assert yaml.safe_load(config.read_text())["class_weight"] == {"c": 4.0}
    assert fe.load(tmp_path / "one").settings["class_weight"] == {"c": 4.0}
    fe.save_word2vec(TABLE, tmp_path / "v.txt")
    for name, split in DATA.items():
        split.to_csv(tmp_path / "data" / f"{name}.csv")
    given = ["train", "--vectors", tmp_path / "v.txt", "--data", tmp_path / "data", "--quiet"]
    plain = ["--head", "bag", "--epochs", 1, "--lr", 0.02, "--batch-size", 32, "--device", "cpu"]
    for number, weights in enumerate((json.dumps({"c": 4}), "{c: 4}")):
        folder = tmp_path / str(number)
        with pytest.raises(SystemExit) as stopped:
            main([*map(str, [*given, *plain, "--class-weight", weights, "-o", folder])])
        assert stopped.value.code == 0
        assert fe.load(folder).metrics["test"] == pytest.approx(one.metrics["test"], rel=1e-5)
    config = tmp_path / "given.yaml"
    config.write_text("class_weight: {c: 4}\n")
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, [*given, *plain, "--config", config, "-o", tmp_path / "two"])])
    assert stopped.value.code == 0
    assert fe.load(tmp_path / "two").task == fe.load(tmp_path / "0").task
    assert fe.load(tmp_path / "two").metrics["test"] == fe.load(tmp_path / "0").metrics["test"]


def test_numbers_as_labels():
    data = Dataset.from_dict({"text": ["w1", "w2"] * 20, "label": [0, 1] * 20})
    for one in (1, "1", np.int64(1)):
        run = fe.finetune(TABLE, data, epochs=1, class_weight={one: 3})
        assert run.task.weights == (1, 3)
    assert run.settings["class_weight"] == {"1": 3.0}


@pytest.mark.parametrize(
    "value", [0, "auto", [1.0], {"a": 0}, {"a": "2"}, {"a": float("inf")}, {"a": 1e-7}, 2.5]
)
def test_what_is_no_weight_is_refused_before_a_file_is_opened(value):
    expected = "must be balanced, or a mapping of labels to numbers from 1e-6 to 1e6$"
    with pytest.raises(fe.DataError, match=f"class_weight=.* {expected}"):
        fe.finetune("absent.txt", "absent.csv", class_weight=value)
