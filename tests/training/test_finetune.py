"""`finetune`: resuming, seeds, settings, heads, labels, warnings and errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from killing import in_a_new_process
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.training import tuning
from finetune_embed.training.runtime.progress import ProgressBar

D = 6
GOOD, BAD, PLAIN = (
    [f"{kind}{letter}" for letter in "abcdefgh"] for kind in ("fine", "poor", "word")
)
OUTPUT = [
    "config.yaml",
    "embedding.safetensors",
    "history.jsonl",
    "metrics.json",
    "model.safetensors",
    "record.json",
    "tokenizer.json",
    "words.parquet",
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def table(size: int = D) -> fe.EmbeddingTable:
    """Return vectors of most words of the data and of some that it lacks."""
    rng = np.random.default_rng(0)
    words = [*GOOD[:6], *BAD[:6], *PLAIN, "elsewhere", "nowhere", "finez"]
    return fe.EmbeddingTable(words, rng.standard_normal((len(words), size)))


def split(size: int, seed: int, *, empty: int = 0) -> datasets.Dataset:
    rng = np.random.default_rng(seed)
    labels = ["good" if rng.random() < 0.5 else "bad" for _ in range(size)]
    texts = [
        " ".join([*rng.choice(GOOD if label == "good" else BAD, 2), *rng.choice(PLAIN, 3)])
        for label in labels
    ]
    texts[:empty] = [""] * empty
    return datasets.Dataset.from_dict({"text": texts, "label": labels})


def data(**options: Any) -> datasets.DatasetDict:
    return datasets.DatasetDict(
        train=split(60, 1, **options), validation=split(30, 2), test=split(20, 3)
    )


def tune(**options: Any) -> fe.Run:
    defaults = {"head": "bag", "epochs": 3, "lr": 0.02, "batch_size": 8}
    vectors, dataset = options.pop("vectors", None), options.pop("dataset", None)
    return fe.finetune(
        table() if vectors is None else vectors,
        data() if dataset is None else dataset,
        **(defaults | options),
    )


def state_of(run: fe.Run) -> dict[str, bytes]:
    state = {name: value.numpy().tobytes() for name, value in run.model.state_dict().items()}
    return state | {"table": run.table.vectors.tobytes()}


# --- law 2: interrupted equals uninterrupted ------------------------------------------------------

RUNS: dict[str, dict[str, Any]] = {
    "bag, linear with warmup, by step": {
        "head": "bag(hidden=5, dropout=0.4)",
        "strategy": "UnfreezeAfter(steps=11) | DiscriminativeLR(embedding=0.5)",
        "schedule": "linear",
        "warmup": 0.3,
        "weight_decay": 0.1,
    },
    "cnn, cosine, by epoch": {
        "head": "cnn(filters=4, widths=(2, 3), dropout=0.5)",
        "strategy": "UnfreezeAfter(epochs=2)",
        "schedule": "cosine",
    },
    "cnn, by step, warmup": {
        "head": "cnn(filters=3, widths=(1, 2), dropout=0.3)",
        "strategy": "UnfreezeAfter(steps=10)",
        "schedule": "linear",
        "warmup": 0.5,
    },
    "bag, early stopping": {
        "head": "bag(dropout=0.5)",
        "strategy": "FullTune",
        "lr": 2.0,
        "patience": 2,
        "epochs": 9,
    },
    "cnn, frozen": {"head": "cnn(filters=3)", "strategy": "Freeze", "weight_decay": 0.1},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The vectors and the data as files, so that another process reads the same."""
    folder = tmp_path_factory.mktemp("files")
    fe.save_safetensors(table(), folder / "vectors.safetensors")
    (folder / "data").mkdir()
    for name, part in data().items():
        part.to_json(folder / "data" / f"{name}.jsonl")
    return {"vectors": str(folder / "vectors.safetensors"), "dataset": str(folder / "data")}


def options_of(name: str, files: dict[str, str], folder: Path) -> dict[str, Any]:
    defaults = {"epochs": 5, "lr": 0.05, "batch_size": 16, "seed": 4}
    return {**files, **defaults, **RUNS[name], "output_dir": str(folder)}


def finished(folder: Path) -> dict[str, Any]:
    """Return the contents of the folder of a run, without durations."""
    assert sorted(path.name for path in folder.iterdir()) == OUTPUT
    found: dict[str, Any] = {name: (folder / name).read_bytes() for name in OUTPUT}
    history = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    metrics = json.loads((folder / "metrics.json").read_text())
    for record in [*history, metrics]:
        del record["seconds"]
    return {**found, "history.jsonl": history, "metrics.json": metrics}


def interrupted(epoch: int, *, saved: bool = True, **options: Any) -> None:
    """Make a run that Ctrl-C ends after an epoch, after or before its checkpoint is written."""
    real = tuning.save_checkpoint

    def stopping(folder, model, optimizer, best, progress, *others: Any, **options: Any):
        if progress.epoch == epoch and not saved:
            raise KeyboardInterrupt
        real(folder, model, optimizer, best, progress, *others, **options)
        if progress.epoch == epoch:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "save_checkpoint", stopping)
        with pytest.raises(KeyboardInterrupt):
            tune(**options)


@pytest.mark.slow
def test_interrupted_at_every_epoch_boundary_and_resumed_in_a_new_process(files, tmp_path):
    expected, resumed, lengths = {}, [], {}
    for name in RUNS:
        whole = tmp_path / name / "whole"
        run = fe.finetune(**options_of(name, files, whole))
        expected[name] = finished(whole)
        lengths[name] = len(run.history)
        steps_of_epoch = run.history[0]["step"]
        opened = [record["embedding_lr"] > 0 for record in run.history]
        assert any(opened) == ("Freeze" not in run.config["strategy"])
        for epoch in range(lengths[name] + 1):
            # without a checkpoint a run starts over, with the thread count of its process
            for saved in (True, False) if epoch else (True,):
                folder = tmp_path / name / f"{epoch}-{saved}"
                interrupted(epoch, saved=saved, **options_of(name, files, folder))
                left = [path.name for path in folder.glob("checkpoint-*")]
                done = epoch if saved else epoch - 1
                assert left == [f"checkpoint-{done}-{done * steps_of_epoch}"]
                assert not (folder / "metrics.json").exists()
                resumed.append((name, folder))
    assert lengths["bag, early stopping"] in range(4, 9)  # of 9
    given = [options_of(name, files, folder) for name, folder in resumed]
    assert in_a_new_process(given, 2) == 0  # the thread count of 1 comes from the checkpoint
    for name, folder in resumed:
        found = finished(folder)
        for part, value in expected[name].items():
            assert found[part] == value, (name, folder.name, part)
    assert len(resumed) == 2 * sum(lengths.values()) + len(RUNS) >= 50


DEATHS = [
    ("after a step", 2, ["checkpoint-0-0"]),  # in the first epoch
    ("after a step", 14, ["checkpoint-3-12"]),  # in mid-epoch, after three epochs of four batches
    ("in a checkpoint", 8, ["checkpoint-2-8"]),
    ("half an export", 1, ["checkpoint-5-20"]),
    ("beside the table", 1, ["checkpoint-5-20"]),
    ("only the table", 1, ["checkpoint-5-20"]),
    ("half removed", 6, []),  # the last checkpoint, at the end
]


@pytest.mark.slow
def test_killed_and_resumed_in_a_new_process(files, tmp_path):
    """SIGKILL leaves no time to tidy up."""
    name = "bag, linear with warmup, by step"
    fe.finetune(**options_of(name, files, tmp_path / "whole"))
    folders = [tmp_path / f"{where} {number}" for where, number, _ in DEATHS]
    runs = [options_of(name, files, folder) for folder in folders]
    for options, folder, (*death, left) in zip(runs, folders, DEATHS, strict=True):
        assert in_a_new_process([options], 1, tuple(death)) == -signal.SIGKILL
        assert [path.name for path in folder.glob("checkpoint-*")] == left
    assert in_a_new_process(runs, 2) == 0
    for folder in folders:
        assert finished(folder) == finished(tmp_path / "whole")


def test_ctrl_c_in_mid_epoch_leaves_a_checkpoint_that_resume_completes(
    files, tmp_path, monkeypatch
):
    name = "cnn, by step, warmup"
    fe.finetune(**options_of(name, files, tmp_path / "whole"))
    folder, advances = tmp_path / "stopped", []
    for at in (6, 3, 7):  # three times, each in another epoch
        advances.clear()

        def advance(bar, at=at):
            advances.append(at)
            if len(advances) == at:
                os.kill(os.getpid(), signal.SIGINT)

        with monkeypatch.context() as patch:
            patch.setattr(ProgressBar, "advance", advance)
            with pytest.raises(KeyboardInterrupt):
                fe.finetune(**options_of(name, files, folder), resume=True)
    # each time the current step has ended, and no step is lost
    assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-3-16"]
    history = (folder / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in history] == [0, 1, 2]
    fe.finetune(**options_of(name, files, folder), resume=True)
    assert finished(folder) == finished(tmp_path / "whole")


def test_resume_refuses_other_settings_and_other_data(files, tmp_path):
    name = "cnn, frozen"
    folder = tmp_path / "run"
    options = options_of(name, files, folder)
    interrupted(1, **options)
    for changed, message in (
        ({"lr": 0.06}, "lr=0.05, this run has lr=0.06"),
        ({"strategy": "FullTune"}, "strategy='Freeze', this run has strategy='FullTune'"),
        ({"epochs": 6}, "epochs=5, this run has epochs=6"),
        ({"max_length": 2}, "max_length=None, this run has max_length=2"),
        ({"dataset": data(empty=1)}, "data_sha256="),
    ):
        with pytest.raises(fe.DataError, match=f"checkpoint-1-4: it was written with {message}"):
            fe.finetune(**(options | changed), resume=True)
    fe.finetune(**options, resume=True)


def test_resume_knows_a_table_by_its_values(files, tmp_path):
    name = "cnn, frozen"
    options = options_of(name, files, tmp_path / "run") | {"vectors": table()}
    interrupted(1, **options)
    other = table()
    other.vectors[:] += np.float32(0.01)
    with pytest.raises(fe.DataError, match="checkpoint-1-4: it was written with start_sha256="):
        fe.finetune(**(options | {"vectors": other}), resume=True)
    fe.finetune(**(options | {"vectors": table()}), resume=True)


# --- a folder that already holds a run ------------------------------------------------------------


def test_a_finished_run_is_refused_returned_or_replaced(tmp_path):
    first = tune(output_dir=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(
        fe.DataError,
        match=r": the folder holds a finished run; choose another output_dir, or .*overwrite=True$",
    ):
        tune(output_dir=tmp_path, seed=1)
    for changed in ({"epochs": 99}, {"strategy": "Freeze"}):
        with pytest.raises(fe.DataError, match=r": it was written with (epochs|strategy)="):
            tune(output_dir=tmp_path, resume=True, **changed)
    with pytest.raises(fe.DataError, match=r"^resume=True excludes overwrite=True; choose one of"):
        tune(output_dir=tmp_path, resume=True, overwrite=True)
    again = tune(output_dir=tmp_path, resume=True, checkpoint_steps=5, checkpoint_minutes=1.0)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert state_of(again) == state_of(first)
    assert again.history == first.history
    other = tune(output_dir=tmp_path, seed=1, overwrite=True)
    assert state_of(fe.load(tmp_path)) == state_of(other) != state_of(first)
    assert sorted(path.name for path in tmp_path.iterdir()) == OUTPUT


def test_an_unfinished_run_is_refused_or_replaced(tmp_path):
    interrupted(1, output_dir=tmp_path)
    with pytest.raises(
        fe.DataError,
        match=r": the folder holds an unfinished run; continue it with resume=True, or start over "
        r"with overwrite=True$",
    ):
        tune(output_dir=tmp_path)
    (tmp_path / "mine.txt").write_text("not part of the run")
    run = tune(output_dir=tmp_path, overwrite=True, epochs=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*OUTPUT, "mine.txt"])
    assert len(run.history) == 1


def test_a_mistake_does_not_remove_the_former_run(tmp_path):
    tune(output_dir=tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for mistake in ({"vectors": "no.txt"}, {"text": "body"}, {"head": "lstm"}, {"seed": -1}):
        with pytest.raises(fe.FinetuneEmbedError):
            tune(output_dir=tmp_path, overwrite=True, **mistake)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_finished_run_on_objects_is_returned_for_equal_objects_only(tmp_path):
    options = {"output_dir": tmp_path, "oov": "zeros"}
    first = tune(**options)
    assert state_of(tune(**options, resume=True)) == state_of(first)
    beside = np.array(table().vectors)
    beside[table().index_to_key.index("elsewhere")] += 1  # which no text has
    for vectors in (
        fe.EmbeddingTable(table().index_to_key, beside),
        fe.EmbeddingTable([*table().index_to_key, "new"], np.vstack([table().vectors, beside[:1]])),
    ):
        with pytest.raises(fe.DataError, match="it was written with table_sha256="):
            tune(vectors=vectors, **options, resume=True)
    vectors = fe.EmbeddingTable(table().index_to_key, table().vectors + 1)
    with pytest.raises(fe.DataError, match="it was written with start_sha256="):
        tune(vectors=vectors, **options, resume=True)
    other = data()
    other["train"] = other["train"].select(range(len(other["train"]) - 1, -1, -1))
    with pytest.raises(fe.DataError, match="it was written with data_sha256="):
        tune(dataset=other, **options, resume=True)
    assert state_of(fe.load(tmp_path)) == state_of(first)


def test_a_vocabulary_may_be_given_with_its_special_tokens():
    texts = [f"{text} <x>" for text in data()["train"]["text"]]
    vocab = fe.Vocabulary.from_texts(texts, specials=["<x>"])
    special = fe.Special("<x>", start=np.full(D, 2.0), trainable=False)
    run = tune(vocab=vocab, specials=[special])
    row = run.model.get_parameter(run.config["embedding"])[run.vocab.key_to_index["<x>"]]
    assert row.tolist() == [2.0] * D
    assert [special.trainable for special in vocab.specials] == [True]
    with pytest.raises(fe.VocabularyError, match=r"'<y>' is not a special token .*=\['<y>'\]"):
        tune(vocab=vocab, specials=["<x>", "<y>"])
    for name, value in (("min_count", 2), ("tokenizer", "cased")):
        with pytest.raises(
            fe.DataError,
            match=rf"^{name}={value!r} has no effect on a vocabulary that is already made, and "
            rf"vocab is given; leave {name} out$",
        ):
            tune(vocab=vocab, **{name: value})


def test_settings_without_effect_are_errors():
    with pytest.raises(
        fe.DataError,
        match=r"^embedding='words' names the embedding of a module, but head is 'bag'; leave "
        r"embedding out$",
    ):
        tune(head="bag", embedding="words")
    with pytest.raises(
        fe.DataError,
        match=r"^member='a.txt' names a file of an archive, but vectors is a table; leave member "
        r"out$",
    ):
        tune(member="a.txt")


@pytest.mark.parametrize("decay", ["L2SP(decay=300.0)", "L2SP(decay=20.0)"])
def test_a_decay_that_would_overshoot_is_an_error_before_training(decay, tmp_path):
    with pytest.raises(
        fe.DivergenceError, match=r"L2SP\(.*: the learning rate 0.05 times the decay .* smaller lr"
    ):
        tune(strategy=decay, lr=0.05, output_dir=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint-0-0", "config.yaml"]


def test_decay_is_checked_at_rates_at_which_the_table_is_open():
    options = {"lr": 0.05, "schedule": "linear", "epochs": 3}
    run = tune(strategy="UnfreezeAfter(epochs=2) | L2SP(decay=30.0)", **options)
    assert 0 < 30 * run.history[-1]["embedding_lr"] < 1
    assert tune(strategy="UnfreezeAfter(epochs=9) | L2SP(decay=30.0)", **options).warnings


def test_an_infinite_validation_loss_with_finite_weights_is_not_an_error():
    class Masked(nn.Module):
        def __init__(self, embedding: nn.Embedding, classes: int) -> None:
            super().__init__()
            self.embedding, self.output = embedding, nn.Linear(D, classes)

        def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            logits = self.output(self.embedding(ids).mean(1))
            masked = torch.tensor([0.0, -torch.inf])
            return logits if self.training else logits + masked

    run = tune(head=Masked)
    assert run.metrics["validation"]["loss"] == float("inf")
    assert run.metrics["drift"]["rows_moved"]


def test_rows_without_a_batch_in_the_epoch_that_opens_are_waited_for():
    """The table opens with the last step of the first epoch, whose batch lacks the word."""
    rare = data()
    steps = -(-len(rare["train"]) // 8)
    rows = rare["train"].to_list()
    for at, row in enumerate(rows):
        row["text"] += " rare" if at == 0 else ""
    rare["train"] = datasets.Dataset.from_list(rows)
    vectors = fe.EmbeddingTable([*table().index_to_key, "rare"], np.ones((len(table()) + 1, D)))
    missed = 0
    for seed in range(6):
        strategy = f"UnfreezeAfter(steps={steps - 1}) | TrainRows(keys=['rare'])"
        options = {"vectors": vectors, "dataset": rare, "batch_size": 8, "seed": seed}
        run = tune(**options, strategy=strategy, epochs=1)
        if not run.metrics["drift"]["rows_moved"]:
            missed += 1
            assert run.warnings == [
                f"in 1 epoch ({steps} steps) no row that {fe.Strategy.parse(strategy)} lets train "
                "was in a batch while the table was open; the table is unchanged"
            ]
            longer = tune(**options, strategy=strategy, epochs=3)
            assert [record["embedding_lr"] > 0 for record in longer.history] == [True] * 3
    assert missed


def test_rows_that_shrink_back_to_their_start_are_a_warning():
    run = tune(strategy="DeltaShrink(shrink=100.0)")
    assert run.metrics["drift"]["rows_moved"] == 0
    assert run.warnings == [
        f"in the best epoch, {run.metrics['best_epoch'] + 1}, no row had moved; the table is "
        "unchanged"
    ]


def test_a_bag_with_maximum_pooling_is_tuned_with_dense_gradients():
    class Most(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bag = nn.EmbeddingBag(5, D, mode="max", padding_idx=0)
            self.output = nn.Linear(D, 2)

        def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return self.output(self.bag(ids))

    run = tune(head=Most())
    moved = (run.table.vectors[: len(table())] != table().vectors).any(axis=1)
    assert moved.any()
    assert run.metrics["drift"]["rows_moved"] == moved.sum()


def test_a_run_that_ends_before_its_first_checkpoint_leaves_a_folder_to_start_in(
    tmp_path, monkeypatch
):
    interrupted(1, output_dir=tmp_path)
    (tmp_path / "history.jsonl").write_text("{}\n")

    def full(*_: Any, **__: Any) -> None:
        raise fe.DataError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(tuning, "save_checkpoint", full)
        with pytest.raises(fe.DataError, match="the disk is full"):
            tune(output_dir=tmp_path, overwrite=True)
    assert state_of(tune(output_dir=tmp_path, resume=True)) == state_of(tune())


def test_a_table_is_tuned_again_in_place(tmp_path):
    first = tune(output_dir=tmp_path)
    again = tune(vectors=tmp_path / "embedding.safetensors", output_dir=tmp_path, overwrite=True)
    written = fe.load(tmp_path)
    assert written.table.vectors.tobytes() == again.table.vectors.tobytes()
    assert written.table.vectors.tobytes() != first.table.vectors.tobytes()
    (provenance,) = json.loads(written.table.metadata["history"])
    assert provenance["strategy"] == "FullTune"


@pytest.mark.slow
def test_killed_while_tuning_in_place(files, tmp_path):
    """Before the end the table that is tuned is still there; after it the run is finished."""
    deaths = [("half an export", 1), ("beside the table", 1), ("half removed", 6)]
    whole, *folders = (tmp_path / name for name in ("whole", *(where for where, _ in deaths)))
    options = {}
    for folder in (whole, *folders):
        first = options_of("bag, linear with warmup, by step", files, folder)
        fe.finetune(**first)
        before = (folder / "embedding.safetensors").read_bytes()
        options[folder] = first | {"vectors": str(folder / "embedding.safetensors"), "seed": 5}
    fe.finetune(**options[whole], overwrite=True)
    for death, folder in zip(deaths, folders, strict=True):
        again = options[folder] | {"overwrite": True, "resume": False}
        assert in_a_new_process([again], 1, death) == -signal.SIGKILL
    for folder in folders[:2]:
        assert (folder / "embedding.safetensors").read_bytes() == before
    assert in_a_new_process([options[folder] for folder in folders], 2) == 0
    for folder in folders:
        left, expected = finished(folder), finished(whole)
        del left["config.yaml"], expected["config.yaml"]  # they name the folders
        assert left == expected


@pytest.mark.parametrize("name", ["model.safetensors", "config.yaml", "tokenizer.json"])
def test_files_of_others_are_never_replaced(tmp_path, name):
    (tmp_path / name).write_text("somebody's")
    for options in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(
            fe.DataError,
            match=f": the folder holds {name}, which no run of finetune_embed wr.*; choose "
            f"another output_dir$",
        ):
            tune(output_dir=tmp_path, **options)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "somebody's"


def test_checkpoints_of_other_libraries_stay(tmp_path):
    (tmp_path / "checkpoint-500").mkdir()
    (tmp_path / "checkpoint-500" / "trainer_state.json").write_text("{}")
    tune(output_dir=tmp_path, overwrite=True)
    assert (tmp_path / "checkpoint-500" / "trainer_state.json").read_text() == "{}"


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(
        fe.DataError, match=r"^resume=True needs the folder of the run; pass output_dir=\.\.\.$"
    ):
        tune(resume=True)
    (tmp_path / "file").write_text("")
    with pytest.raises(fe.DataError, match=r"file: this is a file, and not a folder; "):
        tune(output_dir=tmp_path / "file")
    run = tune(output_dir=tmp_path / "a" / "b", resume=True)  # there is nothing to continue
    assert state_of(fe.load(tmp_path / "a" / "b")) == state_of(run)


# --- seeds, the generator, threads ----------------------------------------------------------------


@pytest.mark.parametrize("head", ["bag(dropout=0.2)", "cnn(filters=3)"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_different_ones(head):
    options = {"head": head, "oov": "normal"}
    first, torch_state = tune(**options, seed=5), torch.random.get_rng_state()
    torch.rand(100)
    np.random.default_rng().random()
    again, other = tune(**options, seed=5), tune(**options, seed=6)
    assert state_of(again) == state_of(first)
    assert not torch.equal(torch_state, torch.random.get_rng_state())
    for name, value in state_of(other).items():
        assert value != state_of(first)[name], name


def test_an_output_folder_changes_no_bit(tmp_path):
    assert state_of(tune(output_dir=tmp_path)) == state_of(tune())


@pytest.mark.parametrize("fails", [False, True])
def test_the_callers_generator_and_thread_count_are_unchanged(tmp_path, fails):
    interrupted(1, output_dir=tmp_path)
    torch.set_num_threads(2)
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    if fails:
        with pytest.raises(
            fe.DataError, match=r": it was written with lr=0.02, this run has lr=0.03; "
        ):
            tune(output_dir=tmp_path, resume=True, lr=0.03)
    else:
        tune(output_dir=tmp_path, resume=True)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.get_num_threads() == 2


# --- labels, texts --------------------------------------------------------------------------------

AS_CLASS = datasets.ClassLabel(names=["bad", "good"])


@pytest.mark.parametrize(
    ("labels", "convert"),
    [
        (["bad", "good"], lambda name: name),
        ([0, 1], lambda name: int(name == "good")),
        ([-7, 40], lambda name: 40 if name == "good" else -7),
        ([False, True], lambda name: name == "good"),
    ],
    ids=["strings", "numbers", "any numbers", "truth values"],
)
def test_kinds_of_labels_give_the_same_bits(labels, convert):
    dataset = data().map(lambda row: {"class": convert(row["label"])}, remove_columns="label")
    run = tune(dataset=dataset, label="class")
    assert run.labels == labels
    assert state_of(run) == state_of(tune())
    assert set(run.predict(data()["test"]["text"])) == set(labels)


def test_a_class_label_keeps_its_names_and_their_order():
    feature = datasets.ClassLabel(names=["good", "bad"])
    run = tune(dataset=data().cast_column("label", feature))
    assert run.labels == ["good", "bad"]
    right = [
        a == b
        for a, b in zip(run.predict(split(20, 3)["text"][:]), split(20, 3)["label"], strict=True)
    ]
    assert run.metrics["test"]["accuracy"] == pytest.approx(sum(right) / 20)
    plain = tune()
    same = tune(dataset=data().cast_column("label", AS_CLASS))
    assert state_of(same) == state_of(plain)
    assert same.predict(["finea fineb"]) == plain.predict(["finea fineb"])


def test_several_columns_and_lists_of_words_are_the_same_texts():
    def split_words(row: dict[str, Any]) -> dict[str, Any]:
        words = row["text"].split()
        return {"first": " ".join(words[:2]), "second": " ".join(words[2:]), "words": words}

    dataset = data().map(split_words)
    joined = tune(dataset=dataset, text=["first", "second"])
    listed = tune(dataset=dataset, text="words")
    assert state_of(joined) == state_of(listed) == state_of(tune())
    assert listed.predict([["finea", "fineb"]]) == joined.predict(["finea fineb"])


def test_empty_texts_train_and_are_predicted_from_the_bias():
    run = tune(dataset=data(empty=10), batch_size=1)
    assert len(run.history) == 3
    bias = run.model.output.bias.detach().softmax(0)
    assert torch.equal(run.predict_proba([""])[0], bias)
    assert torch.equal(run.predict_proba(["", "finea"])[0], bias)
    cnn = tune(dataset=data(empty=10), head="cnn(filters=3)", batch_size=1)
    assert torch.isfinite(cnn.predict_proba(["", "finea poora"])).all()


def test_only_the_first_words_count():
    run = tune(max_length=3)
    texts = data()["test"]["text"]
    truncated = [" ".join(text.split()[:3]) for text in texts]
    assert torch.equal(run.predict_proba(texts), run.predict_proba(truncated))
    whole = tune()
    assert not torch.equal(whole.predict_proba(texts), whole.predict_proba(truncated))


def test_rare_words_are_left_to_unk():
    run = tune(min_count=8)
    counts = fe.Vocabulary.from_texts(data()["train"]["text"])
    kept = [w for w, n in zip(counts.index_to_key, counts.counts, strict=True) if n >= 8]
    assert 0 < len(kept) < len(counts) - 2
    assert sorted(run.vocab.index_to_key[2:]) == sorted(kept)
    rare = [w for w in table().index_to_key if w not in kept]
    assert (run.table.subset(rare).vectors == table().subset(rare).vectors).all()


@pytest.mark.parametrize(
    ("oov", "expected"),
    [
        ("zeros", np.zeros(D)),
        ("mean", table().vectors.astype(np.float64).mean(0)),
        (lambda word: np.full(D, len(word)), np.full(D, 5.0)),
    ],
    ids=["zeros", "mean", "function"],
)
def test_initial_vectors_of_words_that_the_vectors_lack(oov, expected):
    run = tune(oov=oov, strategy="Freeze")
    new = [word for word in run.table.index_to_key if word not in table()]
    assert sorted(new) == ["fineg", "fineh", "poorg", "poorh"]
    for word in new:
        np.testing.assert_allclose(run.table[word], expected, rtol=1e-6)


# --- the matrix of settings -----------------------------------------------------------------------

HEADS = ["bag", "bag(hidden=4, dropout=0.1)", "cnn(filters=3, widths=(1, 2))"]
STRATEGIES = [
    "FullTune",
    "Freeze",
    "UnfreezeAfter(epochs=1)",
    "UnfreezeAfter(steps=9)",
    "DiscriminativeLR(embedding=0.1)",
    "DiscriminativeLR(decay=0.5) | UnfreezeAfter(epochs=1)",
]
SCHEDULES = [("constant", 0.0), ("linear", 0.2), ("cosine", 0.0)]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("head", HEADS)
def test_settings(head, strategy, schedule):
    run = tune(head=head, strategy=strategy, schedule=schedule[0], warmup=schedule[1], epochs=2)
    base, steps = table(), -(-60 // 8)
    given = {"head": head, "strategy": strategy, "schedule": schedule[0], "warmup": schedule[1]}
    assert {name: run.config[name] for name in given} == given
    assert [record["step"] for record in run.history] == [steps, 2 * steps]
    assert [record["epoch"] for record in run.history] == [0, 1]
    # rows that training does not see are the base's, bit for bit; new words follow them
    outside = [word for word in base.index_to_key if word not in run.vocab]
    assert {"elsewhere", "nowhere", "finez"} <= set(outside)
    assert (bits(run.table, outside) == bits(base, outside)).all()
    assert run.table.index_to_key[: len(base)] == base.index_to_key
    inside = [word for word in base.index_to_key if word in run.vocab]
    moved = (bits(run.table, inside) != bits(base, inside)).any(axis=1)
    opened = [record["embedding_lr"] > 0 for record in run.history]
    assert opened == {
        "Freeze": [False, False],
        "FullTune": [True, True],
        "DiscriminativeLR(embedding=0.1)": [True, True],
    }.get(strategy, [False, True])
    seen_open = any(opened[: run.metrics["best_epoch"] + 1])
    # in a CNN, only the windows of the maxima have a gradient
    assert int(moved.sum()) in (range(len(inside) // 2, len(inside) + 1) if seen_open else [0])
    assert moved.all() or "cnn" in head or not seen_open
    assert run.drift.rows_moved == moved.sum()
    below = 1 if head == "bag" else 2  # layers above the table
    rate = 0.02 * {
        "Freeze": 0.0,
        "DiscriminativeLR(embedding=0.1)": 0.1,
        "DiscriminativeLR(decay=0.5) | UnfreezeAfter(epochs=1)": 0.5**below,
    }.get(strategy, 1.0)
    highest = max(record["embedding_lr"] for record in run.history)
    assert highest == pytest.approx(rate) or (schedule[0] != "constant" and highest < rate)
    assert run.warnings == [] or (strategy != "Freeze" and not seen_open)


def bits(vectors: fe.EmbeddingTable, words: list[str]) -> np.ndarray:
    return vectors.subset(words).vectors.view(np.uint32)


def test_the_number_of_settings_swept():
    assert len(HEADS) * len(STRATEGIES) * len(SCHEDULES) == 54


def test_strategies_as_objects_and_as_text_are_the_same():
    strategy = fe.UnfreezeAfter(epochs=1) | fe.DiscriminativeLR(embedding=0.1)
    assert state_of(tune(strategy=strategy)) == state_of(tune(strategy=str(strategy)))
    assert state_of(tune(strategy=None)) == state_of(tune(strategy=fe.FullTune()))


def test_weight_decay_is_for_everything_except_the_table():
    plain, decayed = tune(epochs=1), tune(epochs=1, weight_decay=0.5, batch_size=60)
    one_step = tune(epochs=1, batch_size=60)
    assert decayed.table.vectors.tobytes() == one_step.table.vectors.tobytes()
    start = one_step.model.output.weight - decayed.model.output.weight  # lr x decay x start
    torch.manual_seed(0)
    expected = nn.Linear(D, 2).weight * (0.02 * 0.5)
    torch.testing.assert_close(start, expected, rtol=1e-3, atol=1e-6)
    assert not torch.equal(plain.model.output.weight, one_step.model.output.weight)


def test_loss_fn_is_the_loss_and_is_reported():
    weight = torch.tensor([1.0, 30.0])

    def leaning(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, labels, weight=weight)

    run = tune(loss_fn=leaning)
    assert run.config["loss_fn"] == "<leaning>"
    texts, labels = data()["test"]["text"], data()["test"]["label"]
    logits = run.predict_proba(texts).log()
    numbers = torch.tensor([["bad", "good"].index(label) for label in labels])
    expected = functional.cross_entropy(logits, numbers, weight=weight).item()
    assert run.metrics["test"]["loss"] == pytest.approx(expected, rel=1e-4)
    unsure = run.predict_proba(["worda wordb"])[0, 1]
    assert unsure > tune().predict_proba(["worda wordb"])[0, 1]


# --- custom heads ---------------------------------------------------------------------------------


class Own(nn.Module):
    """A model of a user, with an embedding of another size."""

    def __init__(self, rows: int = 3, size: int = D, max_norm: float | None = None) -> None:
        super().__init__()
        self.words = nn.Embedding(rows, size, max_norm=max_norm)
        self.output = nn.Linear(size, 2)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        inside = (torch.arange(ids.shape[1]) < lengths[:, None])[..., None]
        total = (self.words(ids) * inside).sum(1)
        return self.output(total / lengths.clamp(min=1)[:, None])


class TwoTables(Own):
    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Embedding(50, D)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return super().forward(ids, lengths) + self.output(self.positions(lengths.clamp(max=49)))


class TiedModel(nn.Module):
    """The table is also the output layer: logits by the rows of the first two words."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.output = nn.Linear(D, embedding.num_embeddings, bias=False)
        self.output.weight = embedding.weight

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        bag = functional.embedding(ids, self.embedding.weight).mean(1)
        return functional.linear(bag, self.output.weight)[:, 2:4]


def test_a_custom_module_gets_the_rows_of_the_table_and_is_trained():
    torch.manual_seed(3)
    module = Own()
    start = module.output.weight.detach().clone()
    given = module
    run = tune(head=given)
    module = run.model
    assert module is not given
    assert given.words.num_embeddings == 3  # the module of the caller is unchanged
    assert torch.equal(given.output.weight, start)
    assert state_of(tune(head=given)) == state_of(run)
    assert module.words.weight.shape == (len(run.vocab), D)
    assert module.words.num_embeddings == len(run.vocab)
    assert module.words.padding_idx == 0
    assert not module.words.weight[0].any()
    assert not torch.equal(module.output.weight, start)
    assert run.config["embedding"] == "words.weight"
    known = [word for word in run.vocab.index_to_key[2:] if word in table()]
    exported = torch.from_numpy(run.table.subset(known).vectors)
    rows = torch.tensor([run.vocab.key_to_index[word] for word in known])
    assert torch.equal(module.words.weight[rows], exported)


def test_a_custom_module_equals_the_ready_made_head_it_imitates():
    """Up to float tolerance: the same mean, by other operations."""
    ready = tune()

    module = Own()
    torch.manual_seed(0)  # what finetune does before it builds a head
    module.output = nn.Linear(D, 2)
    run = tune(head=module)
    np.testing.assert_allclose(run.table.vectors, ready.table.vectors, rtol=1e-3, atol=1e-4)


def test_a_function_builds_the_head_and_its_run_is_loaded_with_it(tmp_path):
    built = []

    def head(embedding: nn.Embedding, num_labels: int) -> nn.Module:
        built.append((embedding, num_labels))
        model = nn.Module()
        model.embedding, model.output = embedding, nn.Linear(D, num_labels)
        model.forward = lambda ids, lengths: model.output(model.embedding(ids).mean(1))
        return model

    run = tune(head=head, output_dir=tmp_path)
    assert [(e.num_embeddings, e.embedding_dim, n) for e, n in built] == [(len(run.vocab), D, 2)]
    assert built[0][0].weight is run.model.embedding.weight
    assert run.config["head"] == "head"
    texts = data()["test"]["text"]
    with pytest.raises(
        fe.DataError,
        match=r": the run has a custom head, head; pass one like it: load\('.*', head=\.\.\.\)$",
    ):
        fe.load(tmp_path)
    assert torch.equal(fe.load(tmp_path, head).predict_proba(texts), run.predict_proba(texts))
    with pytest.raises(fe.DataError, match="does not fit the head"):
        fe.load(tmp_path, "cnn")
    with pytest.raises(fe.DataError, match="does not fit the head"):
        fe.load(tmp_path, lambda e, n: nn.ModuleDict({"embedding": e, "other": nn.Linear(D, n)}))


def test_a_module_with_two_embeddings_needs_the_name_of_one():
    with pytest.raises(
        fe.DataError,
        match=r"TwoTables holds these embeddings: 'words' \(3, 6\), 'positions' \(50, 6\); name "
        r"the one that is the table of words: embedding='name'$",
    ):
        tune(head=TwoTables())
    with pytest.raises(fe.DataError, match="; name the one that is the table of words"):
        tune(head=TwoTables(), embedding="word")
    ends = []
    for by_name in (True, False):
        torch.manual_seed(1)
        module = TwoTables()
        positions = module.positions.weight.detach().clone()
        run = tune(head=module, embedding="words" if by_name else module.words)
        assert run.model.words.num_embeddings == len(run.vocab)
        assert run.model.positions.weight.shape == (50, D)
        assert not torch.equal(run.model.positions.weight, positions)  # it is trained too
        ends.append(state_of(run))
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (lambda: nn.Sequential(nn.Linear(2, 2)), r"Sequential holds these embeddings: none"),
        (lambda: Own(size=7), r"words of Own has 7 dimensions, the vectors have 6; build it with"),
        (
            lambda: Own(max_norm=1.0),
            r"words of Own has max_norm=1.0 and scale_grad_by_freq=False, which change rows",
        ),
        (
            lambda: TiedModel(nn.Embedding(9, D)),
            r"embedding.weight and output.weight share one weight, .*; pass a function that builds "
            r"the module over the embedding: head=lambda embedding, num_labels: \.\.\.$",
        ),
        (lambda: lambda embedding, labels: Own(), r"returned a Own that does not hold the embed"),
        (lambda: "rnn", r"no head is called 'rnn' \(did you mean cnn\?\); choose from bag, cnn"),
        (lambda: "bag(size=3)", r"bag has no option 'size'; write bag\(hidden=..., dropout=..."),
        (lambda: "bag(", r"'bag\(' is not a head; write bag or cnn"),
    ],
)
def test_heads_that_do_not_hold_the_table(head, message):
    with pytest.raises(fe.DataError, match=message):
        tune(head=head())


def test_a_tied_table_is_tuned_and_kept_once(tmp_path):
    def head(embedding: nn.Embedding, num_labels: int) -> nn.Module:
        return TiedModel(embedding)

    run = tune(head=head, output_dir=tmp_path)
    assert run.model.output.weight is run.model.embedding.weight
    assert run.drift.rows_moved > 10
    loaded = fe.load(tmp_path, head)
    assert torch.equal(loaded.model.output.weight, run.model.embedding.weight)
    assert loaded.model.output.weight is loaded.model.embedding.weight


# --- law 4, and runs that warn --------------------------------------------------------------------


class Blind(nn.Module):
    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embedding, self.output = embedding, nn.Linear(1, 2)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.output(lengths[:, None].float())


class Nobody(fe.Strategy):
    """Masks every row out."""

    def rows(self, weight, vocab):
        return fe.RowRule(train=torch.zeros(len(weight), dtype=torch.bool))


def test_a_table_that_does_not_move_while_it_is_open_is_an_error(tmp_path):
    with pytest.raises(
        fe.StrategyError,
        match=r"not one of its rows moved: .*the loss does not depend on it; use the embedding in "
        r"the model's forward",
    ):
        tune(head=lambda embedding, labels: Blind(embedding), output_dir=tmp_path)
    assert not (tmp_path / "metrics.json").exists()
    with pytest.raises(fe.StrategyError, match="row mask is False for every row"):
        tune(strategy=Nobody())


def test_a_table_that_was_never_opened_is_a_warning():
    run = tune(strategy="UnfreezeAfter(epochs=3)")
    assert run.warnings == [
        "the table was never open at a rate above 0 in 3 epochs (24 steps) of "
        "UnfreezeAfter(epochs=3); it is unchanged"
    ]
    assert run.table.vectors[: len(table())].tobytes() == table().vectors.tobytes()
    assert "warning: the table was never open" in str(run)
    assert tune(strategy="UnfreezeAfter(steps=23)").history[-1]["embedding_lr"] == 0.02
    for silent in ("Freeze", "FullTune"):
        assert tune(strategy=silent).warnings == []


def test_a_best_epoch_before_the_table_opened_is_a_warning():
    batches = []

    def turning(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Train on the wrong labels after two epochs."""
        batches.extend([1] * torch.is_grad_enabled())
        loss = functional.cross_entropy(logits, labels)
        return loss if len(batches) <= 16 else -loss

    strategy = "UnfreezeAfter(epochs=2) | DiscriminativeLR(embedding=10)"
    run = tune(strategy=strategy, epochs=4, loss_fn=turning)
    assert [record["embedding_lr"] for record in run.history] == pytest.approx([0, 0, 0.2, 0.2])
    accuracies = [record["validation_accuracy"] for record in run.history]
    best = accuracies.index(max(accuracies))
    assert run.metrics["best_epoch"] == best < 2
    assert accuracies[3] < 0.5
    assert run.warnings == [
        f"in the best epoch, {best + 1}, no row had moved; the table is unchanged"
    ]
    assert run.table.vectors[: len(table())].tobytes() == table().vectors.tobytes()


def test_vectors_of_another_language_are_a_warning():
    words = ["elsewhere", "nowhere", "worda", "wordb"]
    run = tune(vectors=fe.EmbeddingTable(words, np.eye(4, D)))
    assert len(run.warnings) == 1
    share = run.metrics["coverage"]["tokens_found"] / run.metrics["coverage"]["tokens"]
    assert run.warnings[0].startswith(
        f"only {share:.1%} of the tokens are in the vectors; check that language"
    )


def test_a_run_whose_last_step_diverges_is_an_error(tmp_path):
    message = (
        r"^the validation loss is (nan|inf) after epoch 1, step 1, with the table at a rate of "
        r"1e\+38, and weights have overflowed; use a smaller lr$"
    )
    with pytest.raises(fe.DivergenceError, match=message):
        tune(max_steps=1, lr=1e38, output_dir=tmp_path)
    assert not (tmp_path / "metrics.json").exists()


def test_a_strategy_is_an_instance():
    for wrong in (fe.Freeze, [fe.Freeze()]):
        with pytest.raises(
            fe.StrategyError,
            match=r"^strategy=.* is not a Strategy; pass one, such as fe.FullTune\(\)$",
        ):
            tune(strategy=wrong)


def test_a_finished_run_is_returned_wherever_the_same_files_are(files, tmp_path):
    folder, moved = tmp_path / "run", tmp_path / "elsewhere"
    options = options_of("cnn, frozen", files, folder)
    run = fe.finetune(**options)
    moved.mkdir()
    shutil.copytree(files["dataset"], moved / "data")
    shutil.copy(files["vectors"], moved / "other.safetensors")
    there = options | {"vectors": moved / "other.safetensors", "dataset": moved / "data"}
    assert state_of(fe.finetune(**there, resume=True)) == state_of(run)
    with pytest.raises(fe.DataError, match="it was written with source_sha256="):
        fe.finetune(**options | {"vectors": folder / "embedding.safetensors"}, resume=True)
    rows = (moved / "data" / "train.jsonl").read_text().splitlines()
    (moved / "data" / "train.jsonl").write_text("\n".join(rows[:-1]))
    with pytest.raises(fe.DataError, match="it was written with data_sha256="):
        fe.finetune(**there, resume=True)


@pytest.mark.slow
def test_a_folder_is_read_as_utf_8_in_any_locale(tmp_path):
    rows = data()
    for name, part in rows.items():
        named = ["größer" if label == "good" else "\u00e9" for label in part["label"]]
        rows[name] = part.remove_columns("label").add_column("label", named)
    run = tune(dataset=rows, output_dir=tmp_path)
    script = "import sys, finetune_embed as fe; print(ascii(fe.load(sys.argv[1]).labels))"
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", script, str(tmp_path)],
        env={**os.environ, "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == ascii(run.labels), done.stderr
    assert set(run.labels) == {"größer", "\u00e9"}


def test_a_loss_that_is_not_finite_is_an_error_and_leaves_the_last_good_checkpoint(tmp_path):
    calls = []

    def exploding(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return functional.cross_entropy(logits, labels) / (0.0 if len(calls) > 13 else 1.0)

    with pytest.raises(
        fe.FinetuneEmbedError,
        match=r"^the loss is inf in epoch 2, step 13, with the table at a rate of 0.02; use a "
        r"smaller lr$",
    ):
        tune(loss_fn=exploding, output_dir=tmp_path)
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-1-8"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overwrite": "no"}, "^overwrite='no' must be True or False$"),
        ({"epochs": 0}, "^epochs=0 must be a whole number of 1 or more"),
        ({"batch_size": 0}, "^batch_size=0 must be a whole number of 1 or more"),
        ({"epochs": 1.5}, "^epochs=1.5 must be a whole number of 1 or more"),
        ({"seed": -1}, "^seed=-1 must be a whole number of 0 or more"),
        ({"patience": 0}, "^patience=0 must be a whole number of 1 or more"),
        ({"max_length": 0}, "^max_length=0 must be a whole number of 1 or more"),
        ({"validation": -0.5}, "^validation=-0.5 must be a number above 0 and below 1$"),
        ({"device": "foo"}, "^device='foo' cannot be used: .*; try device='cpu'$"),
        ({"min_count": 0}, "^min_count=0 must be a whole number of 1 or more"),
        ({"lr": -1.0}, "^lr=-1.0 must be a number of 0 or more, or None$"),
        ({"lr": float("nan")}, "^lr=nan must be a number of 0 or more, or None$"),
        ({"weight_decay": -0.1}, "^weight_decay=-0.1 must be a number of 0 or more$"),
        ({"lr": "0.01"}, "^lr='0.01' must be a number of 0 or more, or None$"),
        ({"validation": None}, "^validation=None must be a number above 0 and below 1$"),
        ({"lr": True}, "^lr=True must be a number of 0 or more, or None$"),
        ({"warmup": "0.1"}, "^warmup='0.1' must be a number of 0 or more and below 1, or None$"),
        ({"max_grad_norm": "1"}, "^max_grad_norm='1' must be a number above 0, or None$"),
        ({"schedule": "step"}, "^schedule='step' must be one of constant, linear, "),
        ({"warmup": 2.0}, "^warmup=2.0 must be a number of 0 or more and below 1, or None$"),
        ({"strategy": "Thaw"}, "no strategy is called 'Thaw'"),
        ({"tokenizer": "bpe"}, "tokenizer='bpe' is not a known tokenizer"),
        ({"oov": "random"}, "oov='random' is not a start value"),
        ({"text": "txt"}, "there is no column 'txt'; choose from 'text', 'label', such as text="),
        ({"label": "y"}, "there is no column 'y'"),
        ({"vectors": "absent.txt"}, "absent.txt: no such file"),
        ({"dataset": "absent.csv"}, "absent.csv: there is no such file or folder"),
    ],
)
def test_settings_that_cannot_be_used_are_named(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(fe.FinetuneEmbedError, match=message):
        tune(output_dir=tmp_path / "out", **options)
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_settings_that_numpy_has_worked_out_are_written_as_numbers(tmp_path):
    options = {"lr": 0.02, "epochs": 2, "max_grad_norm": 1.0, "seed": 3, "batch_size": 8}
    kinds = {float: np.float64, int: np.int64}
    given = {name: kinds[type(value)](value) for name, value in options.items()}
    numpy = {"warmup": np.float32(0.25), "strategy": fe.DeltaShrink(np.float64(0.2))}
    run = tune(**given, **numpy, schedule="linear", output_dir=tmp_path)
    config = fe.load(tmp_path).config
    assert config["strategy"] == "DeltaShrink(shrink=0.2)"
    assert {name: config[name] for name in options} == options
    assert config["warmup"] == 0.25
    plain = tune(**options, warmup=0.25, strategy=config["strategy"], schedule="linear")
    assert np.array_equal(run.table.vectors, plain.table.vectors)
