"""`Run` and `load`: files, predictions, explanations, and damaged folders."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import polars as pl
import pytest
import scipy.stats
import torch
import yaml
from safetensors.numpy import load_file, save_file

import finetune_embed as fe
from finetune_embed.training.run.evaluation import few_texts
from finetune_embed.training.tasks import SingleLabel

D = 6
GOOD, BAD, PLAIN = (
    [f"{kind}{letter}" for letter in "abcdefgh"] for kind in ("fine", "poor", "word")
)
SETTINGS: dict[str, Any] = {"head": "bag", "epochs": 8, "lr": 0.5, "batch_size": 8, "seed": 1}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def base_table() -> fe.EmbeddingTable:
    """Vectors of most words of the data, and of words that only the test split has."""
    rng = np.random.default_rng(0)
    words = [*GOOD[:6], *BAD[:6], *PLAIN, "superb", "dire", "elsewhere"]
    return fe.EmbeddingTable(words, rng.standard_normal((len(words), D)))


def split(size: int, seed: int, others: tuple[str, ...] = ()) -> datasets.Dataset:
    rng = np.random.default_rng(seed)
    texts, labels = [], []
    for _ in range(size):
        good, wrong = rng.random() < 0.5, rng.random() < 0.2
        words = [*rng.choice(GOOD if good else BAD, 1), *rng.choice([*PLAIN, *others], 4)]
        texts.append(" ".join(words))
        labels.append("good" if good != wrong else "bad")
    return datasets.Dataset.from_dict({"text": texts, "label": labels})


@pytest.fixture(scope="module")
def dataset() -> datasets.DatasetDict:
    others = ("superb", "dire", "unheard")
    return datasets.DatasetDict(
        train=split(70, 1), validation=split(40, 2, others), test=split(60, 3, others)
    )


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("vectors") / "base.txt"
    fe.save_glove(base_table(), path)
    return path


@pytest.fixture(scope="module")
def tuned(tmp_path_factory, vectors, dataset) -> tuple[Path, fe.Run]:
    """A run that gets worse after its best epoch, so that the last epoch is not the best."""
    folder = tmp_path_factory.mktemp("run") / "out"
    run = fe.finetune(vectors, dataset, output_dir=folder, **SETTINGS)
    assert run.metrics["best_epoch"] < SETTINGS["epochs"] - 1
    return folder, run


@pytest.fixture
def folder(tuned, tmp_path) -> Path:
    """A copy of the run's folder that a test may damage."""
    for path in tuned[0].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


class Exported:
    """The exported files, read and used without the library: the mean of rows, a linear layer."""

    def __init__(self, folder: Path) -> None:
        table = load_file(folder / "embedding.safetensors")
        data, offsets = table["vocab.bytes"].tobytes(), table["vocab.offsets"]
        words = [data[a:b].decode() for a, b in pairwise(offsets)]
        self.rows = dict(zip(words, table["embedding.weight"].astype(np.float64), strict=True))
        model = load_file(folder / "model.safetensors")
        self.weight = model["output.weight"].astype(np.float64)
        self.bias = model["output.bias"].astype(np.float64)
        self.unknown = model["embedding.weight"][1].astype(np.float64)
        self.labels = json.loads((folder / "record.json").read_text())["labels"]

    def probabilities(self, text: str) -> np.ndarray:
        rows = [self.rows.get(word, self.unknown) for word in text.split()]
        logits = self.weight @ np.mean(rows, axis=0) + self.bias
        return np.exp(logits) / np.exp(logits).sum()

    def predict(self, text: str) -> str:
        return self.labels[int(self.probabilities(text).argmax())]


def accuracy(predicted: list[Any], labels: list[Any]) -> float:
    return sum(a == b for a, b in zip(predicted, labels, strict=True)) / len(labels)


# --- what is measured is what is exported ---------------------------------------------------------


def test_accuracies_match_the_exported_files(tuned, dataset):
    folder, run = tuned
    exported, loaded = Exported(folder), fe.load(folder)
    best = run.history[run.metrics["best_epoch"]]
    for name in ("validation", "test"):
        texts, labels = list(dataset[name]["text"]), list(dataset[name]["label"])
        by_hand = [exported.predict(text) for text in texts]
        assert 0.4 < accuracy(by_hand, labels) < 1
        assert run.metrics[name]["accuracy"] == pytest.approx(accuracy(by_hand, labels), abs=1e-12)
        for one in (run, loaded):
            assert one.predict(texts) == by_hand
            np.testing.assert_allclose(
                one.predict_proba(texts).numpy(),
                [exported.probabilities(text) for text in texts],
                rtol=1e-4,
                atol=1e-6,
            )
    assert run.metrics["validation"]["accuracy"] == best["validation_accuracy"]
    assert run.metrics["validation"]["loss"] == pytest.approx(best["validation_loss"], rel=1e-12)
    assert best["validation_accuracy"] > run.history[-1]["validation_accuracy"] or (
        best["validation_loss"] < run.history[-1]["validation_loss"]
    )


def test_the_loss_matches_the_exported_files(tuned, dataset):
    folder, run = tuned
    exported = Exported(folder)
    losses = [
        -np.log(exported.probabilities(row["text"])[["bad", "good"].index(row["label"])])
        for row in dataset["test"]
    ]
    assert run.metrics["test"]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


def test_patience_stops_and_the_best_weights_are_exported(tmp_path, vectors, dataset, tuned):
    run = fe.finetune(vectors, dataset, output_dir=tmp_path, patience=1, **SETTINGS)
    epochs, best = len(run.history), run.metrics["best_epoch"]
    assert epochs == best + 2 < SETTINGS["epochs"]
    whole = tuned[1].history
    for ours, theirs in zip(run.history, whole, strict=False):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
    again = fe.finetune(vectors, dataset, **{**SETTINGS, "epochs": best + 1})
    assert again.metrics["best_epoch"] == best
    assert run.table.vectors.tobytes() == again.table.vectors.tobytes()
    for name, value in run.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])


# --- words that training never saw ----------------------------------------------------------------


def test_words_never_seen_in_training_count_if_the_vectors_have_them(tuned):
    folder, run = tuned
    exported, base = Exported(folder), base_table()
    for word in ("superb", "dire", "elsewhere"):
        assert word not in run.vocab
        assert run.table[word].tobytes() == base[word].tobytes()
        for one in (run, fe.load(folder)):
            seen, unknown = one.predict_proba([f"finea {word}", "finea xyzzy"])
            odds = [math.log(p[1] / p[0]) for p in (seen, unknown)]
            assert abs(odds[0] - odds[1]) > 0.1
            np.testing.assert_allclose(
                seen.numpy(), exported.probabilities(f"finea {word}"), rtol=1e-4
            )
            np.testing.assert_allclose(
                unknown.numpy(), exported.probabilities("finea xyzzy"), rtol=1e-4
            )
    same = run.predict_proba(["finea xyzzy", "finea qwerty"])
    assert torch.equal(same[0], same[1])


@pytest.mark.parametrize("head", ["bag", "cnn(filters=3, widths=(2, 3))"])
def test_a_texts_prediction_does_not_depend_on_its_neighbours(vectors, dataset, head):
    run = fe.finetune(vectors, dataset, **{**SETTINGS, "head": head, "epochs": 1})
    texts = ["", "finea", "poora superb worda", " ".join(PLAIN * 3), "unheard " * 20]
    together = run.predict_proba(texts)
    for text, row in zip(texts, together, strict=True):
        torch.testing.assert_close(run.predict_proba([text])[0], row)
    many = run.predict_proba(texts * 300)  # more than one batch
    assert many.shape == (1500, 2)
    torch.testing.assert_close(many, together.repeat(300, 1))


def test_predict_does_not_change_the_run(tuned):
    _, run = tuned
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    words = list(run.vocab.index_to_key)
    assert run.predict([]) == []
    assert run.predict_proba([]).shape == (0, 2)
    run.predict(["superb dire", "xyzzy"])
    assert run.vocab.index_to_key == words
    assert not run.model.training
    assert all(torch.equal(value, before[n]) for n, value in run.model.state_dict().items())
    with pytest.raises(
        fe.DataError, match=r"^predict takes a list of texts; call predict\(\['finea'\]\)$"
    ):
        run.predict("finea")


# --- the files ------------------------------------------------------------------------------------


def test_the_files_of_a_run(tuned):
    folder, run = tuned
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.yaml",
        "embedding.safetensors",
        "history.jsonl",
        "metrics.json",
        "model.safetensors",
        "record.json",
        "tokenizer.json",
        "words.parquet",
    ]
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    record = json.loads((folder / "record.json").read_text())
    assert settings == run.settings
    assert record == run.record
    assert run.config == {**settings, **record}
    assert {name: settings[name] for name in SETTINGS} == SETTINGS
    assert record["labels"] == ["bad", "good"] == run.labels
    found = ("task", "tokenizer", "device", "mixed_precision")
    assert [settings[name] for name in found] == [None] * 4  # as given
    assert [record[name] for name in found] == ["single_label", "glove", run.config["device"], "no"]
    assert json.loads((folder / "metrics.json").read_text()) == run.metrics
    lines = (folder / "history.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == run.history
    assert fe.load_safetensors(folder / "embedding.safetensors").index_to_key == (
        run.table.index_to_key
    )


def test_the_words_of_a_run_in_figures(tuned, dataset):
    folder, run = tuned
    words = pl.read_parquet(folder / "words.parquet").to_dict(as_series=False)
    assert words == run.words
    seen = [word for text in dataset["train"]["text"] for word in text.split()]
    base = base_table()
    assert set(words["word"]) == set(seen)
    assert words["count"] == [seen.count(word) for word in words["word"]]
    assert words["count"] == sorted(words["count"], reverse=True)
    assert words["found"] == ["exact" if w in base else "missing" for w in words["word"]]
    for i, word in enumerate(words["word"]):
        if word in base:
            start, end = base[word].astype(np.float64), run.table[word].astype(np.float64)
            size = np.linalg.norm(start)
            assert words["movement"][i] == pytest.approx(
                np.linalg.norm(end - start) / size, rel=1e-4
            )
            cosine = start @ end / size / np.linalg.norm(end)
            assert words["cosine"][i] == pytest.approx(cosine, abs=1e-5)


def test_coverage_and_drift_in_the_metrics(tuned, dataset):
    _, run = tuned
    seen = [word for text in dataset["train"]["text"] for word in text.split()]
    base = base_table()
    counts = {word: seen.count(word) for word in set(seen)}
    missing = [[word, count] for word, count in counts.items() if word not in base]
    assert run.metrics["coverage"] == {
        "types": len(set(seen)),
        "types_found": len(set(seen) & set(base.index_to_key)),
        "tokens": len(seen),
        "tokens_found": sum(word in base for word in seen),
        "missing": sorted(missing, key=lambda pair: (-pair[1], pair[0])),
        "by_step": {},
    }
    assert run.metrics["drift"] == fe.drift(base, run.table, counts).summary()
    assert run.metrics["drift"]["new_rows"] == len(set(seen) - set(base.index_to_key))
    assert run.metrics["epochs"] == SETTINGS["epochs"]


def test_rows_outside_the_vocabulary_are_the_bases_bit_for_bit(tuned):
    folder, run = tuned
    base = base_table()
    exported = fe.load_safetensors(folder / "embedding.safetensors")
    assert exported.index_to_key[: len(base)] == base.index_to_key
    outside = [word for word in base.index_to_key if word not in run.vocab]
    assert outside == ["superb", "dire", "elsewhere"]
    assert exported.subset(outside).vectors.tobytes() == base.subset(outside).vectors.tobytes()
    origins = dict(zip(exported.index_to_key, exported.origin.tolist(), strict=True))
    for word, origin in origins.items():
        moved = word in run.vocab
        expected = fe.Origin.TUNED if moved else fe.Origin.PRETRAINED
        assert origin == (expected if word in base else fe.Origin.NEW), word


# --- metadata -------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [fe.save_safetensors, fe.save_arrow, fe.save_parquet])
def test_the_source_is_the_given_file_not_the_one_it_was_made_from(
    save, tmp_path, vectors, dataset
):
    path = tmp_path / "converted"
    save(fe.load_vectors(vectors), path)
    run = fe.finetune(path, dataset, epochs=1, batch_size=8)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    for found in (run.record, run.table.metadata):
        assert (found["source"], found["source_sha256"]) == ("converted", sha256)
        assert found["source_format"] == save.__name__.removeprefix("save_")
    before = json.loads(run.table.metadata["history"])
    assert [(one["source"], one["source_format"]) for one in before] == [("base.txt", "glove")]


def test_the_source_is_the_given_folder_of_shards(tmp_path, vectors, dataset):
    folder = tmp_path / "shards"
    fe.save_safetensors(fe.load_vectors(vectors), folder, shard_size=200)
    files = sorted(folder.glob("model-*.safetensors"))
    assert len(files) > 2
    run = fe.finetune(folder, dataset, epochs=1, batch_size=8)
    sha256 = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    for found in (run.record, run.table.metadata):
        assert (found["source"], found["source_sha256"]) == ("shards", sha256)
        assert found["source_format"] == "safetensors-shards"


def test_metadata_hold_the_provenance_over_three_tunings(tmp_path, vectors, dataset):
    def sha256(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    short = {"epochs": 1, "batch_size": 8}
    fe.finetune(vectors, dataset, output_dir=first, seed=1, **short)
    one = fe.load_safetensors(first / "embedding.safetensors").metadata
    assert one["source"] == "base.txt"
    assert one["source_sha256"] == sha256(vectors)
    assert one["source_format"] == "glove"
    assert (one["strategy"], one["seed"]) == ("FullTune", "1")
    assert one["library_version"] == version("finetune_embed")
    metrics = json.loads((first / "metrics.json").read_text())
    scores = ("vectors", "lexical", "validation", "test")
    assert json.loads(one["metrics"]) == {name: metrics[name] for name in scores}
    assert "history" not in one

    strategy = "UnfreezeAfter(steps=2)"
    before = first / "embedding.safetensors"
    fe.finetune(before, dataset, output_dir=second, seed=2, strategy=strategy, **short)
    two = fe.load_safetensors(second / "embedding.safetensors").metadata
    assert two["source"] == "embedding.safetensors"
    assert two["source_sha256"] == sha256(before)
    assert (two["strategy"], two["seed"]) == (strategy, "2")
    assert [record["seed"] for record in json.loads(two["history"])] == ["1"]
    assert json.loads(two["history"])[0].items() >= one.items()

    fe.finetune(second / "embedding.safetensors", dataset, output_dir=third, seed=3, **short)
    three = fe.load_safetensors(third / "embedding.safetensors").metadata
    assert three["source_sha256"] == sha256(second / "embedding.safetensors")
    history = json.loads(three["history"])
    assert [record["source_sha256"] for record in history] == [sha256(vectors), sha256(before)]
    assert [record["strategy"] for record in history] == ["FullTune", strategy]
    assert all("history" not in record for record in history)


def test_a_second_tuning_starts_where_the_first_ended(tmp_path, vectors, dataset):
    first = fe.finetune(vectors, dataset, output_dir=tmp_path, **SETTINGS)
    frozen = fe.finetune(tmp_path / "embedding.safetensors", dataset, strategy="Freeze", **SETTINGS)
    assert frozen.table.index_to_key == first.table.index_to_key
    assert frozen.table.vectors.tobytes() == first.table.vectors.tobytes()
    assert frozen.table.origin.tolist() == first.table.origin.tolist()


# --- load -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["bag(hidden=3)", "cnn(filters=2, widths=(1, 2))"])
def test_a_loaded_run_is_the_run(tmp_path, vectors, dataset, head):
    run = fe.finetune(vectors, dataset, output_dir=tmp_path, **{**SETTINGS, "head": head})
    loaded = fe.load(tmp_path)
    texts = list(dataset["test"]["text"])
    assert loaded.predict(texts) == run.predict(texts)
    assert torch.equal(loaded.predict_proba(texts), run.predict_proba(texts))
    score = accuracy(loaded.predict(texts), list(dataset["test"]["label"]))
    assert score == pytest.approx(run.metrics["test"]["accuracy"], abs=1e-12)
    assert loaded.table.vectors.tobytes() == run.table.vectors.tobytes()
    assert loaded.labels == run.labels
    assert loaded.history == run.history
    assert loaded.metrics == run.metrics
    assert str(loaded) == str(run)
    assert loaded.drift is None
    for name, value in run.model.state_dict().items():
        assert torch.equal(loaded.model.state_dict()[name], value)


def test_a_loaded_run_can_be_saved_again(tuned, tmp_path):
    folder, _ = tuned
    fe.load(folder).save(tmp_path)
    for path in folder.iterdir():
        if path.suffix != ".parquet":
            assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_folder_without_a_run(folder, tmp_path):
    with pytest.raises(
        fe.DataError, match=r"nothing: no such folder; pass the folder of a finished run$"
    ):
        fe.load(tmp_path / "nothing")
    near = f"finished run; did you mean {folder}?"
    with pytest.raises(fe.DataError, match=rf"{re.escape(near)}$"):
        fe.load(f"{folder}s")
    (folder / "words.parquet").unlink()
    (folder / "record.json").unlink()
    with pytest.raises(
        fe.DataError,
        match=r": the folder has no record.json, words.parquet; pass the folder of a finished run$",
    ):
        fe.load(folder)


@pytest.mark.parametrize("damage", ["empty", "half", "garbage", "other"])
@pytest.mark.parametrize(
    "name",
    [
        "config.yaml",
        "embedding.safetensors",
        "history.jsonl",
        "metrics.json",
        "model.safetensors",
        "record.json",
        "tokenizer.json",
        "words.parquet",
    ],
)
def test_a_damaged_file_is_an_error_that_names_the_folder(folder, name, damage):
    path = folder / name
    whole = path.read_bytes()
    half = len(whole) // 2 - 3
    if name == "history.jsonl":
        half = whole.index(b"\n") // 2  # not between two lines
    contents = {"empty": b"", "half": whole[:half], "garbage": b"\xff\0\xfe" * 50}
    path.write_bytes(contents.get(damage, b"[]\n"))
    if (name, damage) == ("history.jsonl", "empty"):
        assert fe.load(folder).history == []  # a shorter history is a valid one
        return
    with pytest.raises(fe.DataError) as caught:
        fe.load(folder)
    assert str(caught.value).startswith(f"{path}: this file of the run is damaged: ")


def test_a_model_that_does_not_fit_the_head_is_an_error(folder):
    weights = load_file(folder / "model.safetensors")
    for changed in (
        {name: value for name, value in weights.items() if name != "output.bias"},
        weights | {"another.weight": np.zeros(3, np.float32)},
        weights | {"output.bias": np.zeros(3, np.float32)},
    ):
        save_file(changed, folder / "model.safetensors")
        with pytest.raises(fe.DataError, match=r"model.safetensors does not fit the head"):
            fe.load(folder)


# --- explain, and how a run prints ----------------------------------------------------------------


def test_explain(tuned):
    folder, run = tuned
    loaded = fe.load(folder)
    at = run.words["word"].index("finea")
    for one in (run, loaded):
        seen = one.explain("finea", topn=3)
        assert seen.found == "in the vectors"
        assert seen.count == run.words["count"][at] > 0
        assert seen.movement == run.words["movement"][at] > 0
        assert seen.cosine == run.words["cosine"][at] < 1
        assert seen.neighbours == tuple(run.table.most_similar("finea", topn=3))
        assert one.explain("FineA", topn=3) == seen  # as `predict` reads it
        assert one.explain("FineA and others").found == "unknown"
        new = one.explain("fineh")
        assert new.found == "not in the vectors, a new row"
        assert new.count > 0
        unseen = one.explain("superb")
        assert unseen.found == "in the vectors, never seen in training"
        assert (unseen.count, unseen.movement, unseen.cosine) == (0, 0.0, 1.0)
        unknown = one.explain("xyzzy")
        assert (unknown.found, unknown.count, unknown.movement) == ("unknown", 0, None)
        assert unknown.neighbours == ()
        assert str(unknown) == "xyzzy: unknown, 0 times in the training texts"
        assert one.explain("<unk>").found == "unknown"
    mover = run.explain("finea").mover
    assert mover == run.drift.word("finea")
    assert mover.movement == pytest.approx(run.words["movement"][at], rel=1e-5)
    assert loaded.explain("finea").mover is None
    text = str(run.explain("finea"))
    assert text.startswith(f"finea: in the vectors, {run.words['count'][at]} times in the training")
    assert "before: " in text
    assert f"moved {run.words['movement'][at]:.1%}" in str(loaded.explain("finea"))


def test_a_run_prints_its_figures(tuned):
    _, run = tuned
    lines = [f"FullTune: best epoch {run.metrics['best_epoch'] + 1}"]
    for split, texts in (("validation", 40), ("test", 60)):
        score = run.metrics[split]["accuracy"]
        found = scipy.stats.binomtest(round(score * texts), texts).proportion_ci(method="wilson")
        few = f"few: the 95 % interval of accuracy is {found.low:.1%} to {found.high:.1%}"
        lines.append(f"  {split}: accuracy {score:.2%} of {texts} texts ({few})")
    assert str(run).splitlines() == lines
    many = replace(run, metrics={**run.metrics, "texts": {"validation": 100, "test": 1234}})
    assert str(many).splitlines()[1].endswith(" of 100 texts")
    assert f"accuracy {run.metrics['test']['accuracy']:.2%} of 1,234 texts\n" in f"{many}\n"
    before = {name: one for name, one in run.metrics.items() if name != "texts"}
    shown = str(replace(run, metrics=before)).splitlines()  # of a version that did not keep it
    assert shown[1:] == [line[: line.index(" of ")] for line in lines[1:]]


def test_a_perfect_score_of_few_texts_is_no_certainty():
    task = SingleLabel(["a", "b"])
    assert task.interval(1.0, 12) == pytest.approx((0.7575, 1.0), abs=1e-4)
    found = scipy.stats.binomtest(0, 5).proportion_ci(method="wilson")
    assert task.interval(0.0, 5) == pytest.approx((found.low, found.high))
    assert task.interval(0.5, 0) is None
    assert replace(task, chosen="macro_f1").interval(0.5, 9) is None  # not a share of texts
    said = few_texts("macro_f1", 99, None)
    assert said == " (few, so chance has a large part in it)"
    assert few_texts("macro_f1", 100, None) == ""


def test_a_data_set_without_a_test_split_or_with_hidden_labels(vectors, dataset):
    short = {"epochs": 1}
    without = datasets.DatasetDict(train=dataset["train"], validation=dataset["validation"])
    assert "test" not in fe.finetune(vectors, without, **short).metrics
    numbered = dataset.map(lambda row: {"label": int(row["label"] == "good")})
    hidden = numbered["test"].map(lambda row: {"label": -1})
    parts = {**numbered, "test": hidden}
    run = fe.finetune(vectors, datasets.DatasetDict(parts), **short)
    assert "test" not in run.metrics
    assert run.labels == [0, 1]
    alone = fe.finetune(vectors, dataset["train"], validation=0.3, **short)
    assert alone.metrics["validation"]["accuracy"] * 21 == pytest.approx(
        round(alone.metrics["validation"]["accuracy"] * 21)
    )
