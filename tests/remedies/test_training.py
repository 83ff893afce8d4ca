"""The remedies of runs are followed, in Python and on the command line."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars
import pytest
import torch
from datasets import ClassLabel, Dataset, IterableDataset
from following import follows
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed import DataError, DivergenceError, StrategyError
from finetune_embed.data import EncodedTexts
from finetune_embed.files import locked
from finetune_embed.training.run import checkpoints
from finetune_embed.training.runtime.precision import Precision
from finetune_embed.training.runtime.progress import ProgressBar
from finetune_embed.training.schedule import build_scheduler
from finetune_embed.training.steps import Batching
from finetune_embed.training.streamed import Streamed
from finetune_embed.training.tasks import SingleLabel
from finetune_embed.training.tuning import _check_same_data

ROWS = {"text": ["a king", "the queen"] * 10, "label": ["x", "y"] * 10}
DATA = Dataset.from_dict(ROWS)
CSV = "text,label\n" + "a king,x\nthe queen,y\n" * 10
TAGGED = {"text": [["a", "king"], ["queen"]] * 10, "label": [["O", "B"], ["B"]] * 10}
LINES = '{"text": ["a", "king"], "label": ["O", "B"]}\n{"text": ["queen"], "label": ["B"]}\n' * 9


@pytest.fixture(autouse=True)
def _a_checkpoint_after_every_epoch(monkeypatch):
    monkeypatch.setattr(checkpoints, "MIN_SECONDS", 0.0)


def message_of(error: type[Exception], call: Callable[[], Any]) -> str:
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


@pytest.fixture
def tune(table):
    """Runs `finetune` on the table and the data, unless others are given."""

    def run(vectors: Any = table, dataset: Any = DATA, **settings: Any) -> fe.Run:
        return fe.finetune(vectors, dataset, **{"epochs": 2, "batch_size": 4, **settings})

    return run


@pytest.fixture
def train(table, tmp_path, command):
    """Runs `train` on the table; data are the content of a file or its path."""
    fe.save_word2vec(table, tmp_path / "vectors.vec")

    def run(*options: object, data: str | Path = CSV, out: str = "out") -> str:
        if isinstance(data, str):
            path = tmp_path / ("data.jsonl" if data.startswith("{") else "data.csv")
            path.write_text(data)
            data = path
        given = ("--vectors", tmp_path / "vectors.vec", "--data", data, "-o", tmp_path / out)
        size = () if "--batch-size" in options else ("--batch-size", 4)
        return command("train", *given, "--epochs", 2, *size, "--quiet", *options)

    return run


def interrupt(monkeypatch: pytest.MonkeyPatch, run: Callable[[], Any]) -> None:
    """Make a run that Ctrl-C ends after its sixth step."""
    steps = []

    def advance(bar: ProgressBar) -> None:
        steps.append(1)
        if len(steps) == 6:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(KeyboardInterrupt):
            run()


# Settings


@follows("training/resolve.py", "is not a Strategy")
def test_a_class_as_strategy(tune):
    message = message_of(StrategyError, lambda: tune(strategy=fe.Freeze))
    assert message.endswith("is not a Strategy; pass one, such as fe.FullTune()")
    assert tune(strategy=fe.FullTune()).metrics["drift"]["rows_moved"]


@follows("training/resolve.py", "already made")
def test_settings_of_a_vocabulary_that_is_given(tune):
    vocab = fe.Vocabulary.from_dataset(DATA, "text")
    message = message_of(DataError, lambda: tune(vocab=vocab, min_count=2))
    assert message.endswith("and vocab is given; leave min_count out")
    assert tune(vocab=vocab).vocab is vocab


@follows("training/settings.py", "needs the folder of the run")
def test_resume_without_a_folder(tune, tmp_path):
    message = message_of(DataError, lambda: tune(resume=True))
    assert message == "resume=True needs the folder of the run; pass output_dir=..."
    assert tune(resume=True, output_dir=tmp_path)


@pytest.mark.parametrize(("name", "value"), [("member", "a.txt"), ("limit", 2), ("vector_size", 3)])
@follows("training/open_inputs.py", "but vectors is a table")
def test_a_setting_of_a_file_for_a_table(tune, name, value):
    message = message_of(DataError, lambda: tune(**{name: value}))
    assert message.endswith(f"but vectors is a table; leave {name} out")
    assert tune()


@follows("training/schedule.py", "is not a schedule")
def test_an_unknown_schedule():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    message = message_of(StrategyError, lambda: build_scheduler(optimizer, "step", 9))
    names = message.partition("; use one of ")[2].split(", ")
    assert len(names) == 5
    for name in names:
        assert build_scheduler(optimizer, name, 9)


def named_stream() -> dict[str, Any]:
    """A streamed data set with class names, whose length nothing has to count."""
    data = DATA.cast_column("label", ClassLabel(names=["x", "y"]))
    return {"train": data.to_iterable_dataset(), "validation": data}


@follows("training/schedule.py", "needs the number of steps")
def test_a_schedule_on_a_stream_of_unknown_length(tune):
    given = {"vocab": fe.Vocabulary.from_dataset(DATA, "text"), "schedule": "linear"}
    message = message_of(StrategyError, lambda: tune(dataset=named_stream(), **given))
    assert message.endswith("the length of the streamed data is unknown; pass max_steps=...")
    assert len(tune(dataset=named_stream(), **given, max_steps=7).history) == 2


# The lexical part


@follows("training/choose.py", "the task is to tag words")
def test_a_lexical_part_of_a_tagger(tune, train):
    dataset = Dataset.from_dict(TAGGED)
    message = message_of(DataError, lambda: tune(dataset=dataset, lexical=True))
    assert message == (
        "lexical=True classifies texts, and the task is to tag words; leave lexical out"
    )
    assert tune(dataset=dataset).lexical is None
    assert train("--lexical", data=LINES).endswith("tag words; leave --lexical out\n")
    assert train(data=LINES) == ""


@follows("training/choose.py", "they are streamed")
def test_a_lexical_part_of_a_stream(tune, train, tmp_path):
    data = {"train": DATA.to_iterable_dataset(), "validation": DATA}
    message = message_of(DataError, lambda: tune(dataset=data, lexical=True))
    assert message.endswith("in memory, and they are streamed; leave lexical out")
    assert tune(dataset=data).lexical is None
    folder = folder_of(tmp_path / "data", CSV)
    err = train("--streaming", "--lexical", data=folder)
    assert err.endswith("and they are streamed; leave --lexical out\n")
    assert train("--streaming", data=folder) == ""


# Learning rates


@follows("training/loop.py", "the loss is {loss}")
def test_a_loss_that_is_infinite(tune, train):
    message = message_of(DivergenceError, lambda: tune(lr=1e38, schedule="constant"))
    assert message.endswith("with the table at a rate of 1e+38; use a smaller lr")
    assert tune(lr=1e-2)
    assert train("--lr", 1e38).endswith("; use a smaller --lr\n")
    assert train("--lr", 1e-2, "--overwrite") == ""


@follows("training/loop.py", "the validation loss is")
def test_a_validation_loss_that_is_infinite(tune, train):
    message = message_of(DivergenceError, lambda: tune(lr=1e38, max_steps=1))
    assert message.endswith("and weights have overflowed; use a smaller lr")
    assert tune(lr=1e-2, max_steps=1)
    assert train("--lr", 1e38, "--max-steps", 1).endswith("overflowed; use a smaller --lr\n")
    assert train("--lr", 1e-2, "--max-steps", 1, "--overwrite") == ""


class Renormed(nn.Module):
    """A head that renormalizes the rows it looks up."""

    def __init__(self, embedding: nn.Embedding, num_labels: int) -> None:
        super().__init__()
        self.embedding, self.output = embedding, nn.Linear(embedding.embedding_dim, num_labels)
        self.max_norm: float | None = 0.5

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        rows = nn.functional.embedding(ids, self.embedding.weight, max_norm=self.max_norm)
        return self.output(rows.mean(1))


class Plain(Renormed):
    def __init__(self, embedding: nn.Embedding, num_labels: int) -> None:
        super().__init__(embedding, num_labels)
        self.max_norm = None


@follows("training/loop.py", "writes to the table in its forward pass")
def test_a_head_that_writes_to_the_table(tune):
    message = message_of(StrategyError, lambda: tune(head=Renormed))
    assert message.endswith("strategy='MaxNorm(max_norm=3.0)' limits rows as they train")
    assert tune(head=Plain, strategy="MaxNorm(max_norm=3.0)")


@follows("training/loop.py", "remedy=error.remedy")
def test_a_decay_that_overshoots(tune, train):
    given = {"strategy": "L2SP(decay=30)", "lr": 0.1}
    message = message_of(DivergenceError, lambda: tune(**given))
    assert message.endswith("; choose a smaller lr or a smaller decay")
    assert tune(**given | {"lr": 0.01})
    assert tune(**given | {"strategy": "L2SP(decay=3)"})
    options = ("--strategy", given["strategy"], "--lr")
    assert train(*options, 0.1).endswith("; choose a smaller --lr or a smaller decay\n")
    assert train(*options, 0.01, "--overwrite") == ""


# The machine


@follows("training/runtime/precision.py", "needs a GPU")
def test_fp16_on_the_cpu(tune, train):
    message = message_of(StrategyError, lambda: tune(mixed_precision="fp16", device="cpu"))
    assert message.endswith(" needs a GPU; on the CPU, use mixed_precision='bf16'")
    assert tune(mixed_precision="bf16", device="cpu")
    err = train("--mixed-precision", "fp16", "--device", "cpu")
    assert err.endswith("; on the CPU, use --mixed-precision bf16\n")
    assert train("--mixed-precision", "bf16", "--device", "cpu", "--overwrite") == ""


@follows("training/runtime/precision.py", "scales the loss of each process")
def test_fp16_with_several_processes():
    message = message_of(StrategyError, lambda: Precision("fp16", "cuda", 2))
    assert message.endswith("; use mixed_precision='bf16'")
    assert Precision("bf16", "cuda", 2)


@follows("training/runtime/processes.py", "cannot be used")
def test_an_unknown_device(tune, train):
    assert message_of(StrategyError, lambda: tune(device="gpu")).endswith("; try device='cpu'")
    assert tune(device="cpu")
    assert train("--device", "gpu").endswith("; try --device cpu\n")
    assert train("--device", "cpu") == ""


@follows("training/runtime/trackers.py", "{why}")
def test_an_unknown_tracker(tune, train, tmp_path):
    message = message_of(DataError, lambda: tune(trackers=["board"], output_dir=tmp_path / "a"))
    start, _, names = message.partition("; pass trackers=... of these: ")
    assert start == "the tracker 'board' is not known"
    assert tune(trackers=names.split(", ")[:1], output_dir=tmp_path / "b")
    assert train("--tracker", "board").endswith(f"; pass --tracker ... of these: {names}\n")
    assert train("--tracker", names.split(", ")[0], "--overwrite") == ""


@follows("training/runtime/trackers.py", "writes files")
def test_a_tracker_without_a_folder(tune, tmp_path):
    message = message_of(DataError, lambda: tune(trackers=["tensorboard"]))
    assert message == "the tracker 'tensorboard' writes files; pass output_dir=..."
    assert tune(trackers=["tensorboard"], output_dir=tmp_path)


@follows("training/tuning.py", "were not given the same data")
def test_processes_with_other_data():
    def check(*texts: list[str]) -> None:
        one, two = map(repr, texts)
        _check_same_data(SimpleNamespace(count=2, agree=lambda value: value == two), one)

    shuffled = [DATA.shuffle(seed=seed)["text"][:] for seed in (0, 1)]
    message = message_of(DataError, lambda: check(*shuffled))
    assert message.endswith("shuffle it with a seed: dataset.shuffle(seed=0)")
    check(*[DATA.shuffle(seed=0)["text"][:] for _ in (0, 1)])


# Folders and checkpoints


@follows("training/run/folder.py", "which no run of")
def test_a_folder_with_files_of_others(tune, train, tmp_path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "config.yaml").write_text("theirs: 1\n")
    message = message_of(DataError, lambda: tune(output_dir=tmp_path / "theirs"))
    assert message.endswith("; choose another output_dir")
    assert tune(output_dir=tmp_path / "mine")
    assert train(out="theirs").endswith("; choose another --output-dir\n")
    assert train(out="another") == ""


@follows("training/run/folder.py", "the folder holds a finished run")
def test_a_folder_with_a_finished_run(tune, train, tmp_path):
    tune(output_dir=tmp_path / "a")
    message = message_of(DataError, lambda: tune(output_dir=tmp_path / "a"))
    assert message.endswith("; choose another output_dir, or start over with overwrite=True")
    assert tune(output_dir=tmp_path / "b")
    assert tune(output_dir=tmp_path / "a", overwrite=True)
    assert train() == ""
    assert train().endswith("; choose another --output-dir, or start over with --overwrite\n")
    assert train(out="another") == ""
    assert train("--overwrite") == ""


@pytest.mark.parametrize("how", ["resume", "overwrite"])
@follows("training/run/folder.py", "the folder holds an unfinished run")
def test_a_folder_with_an_unfinished_run(tune, train, tmp_path, monkeypatch, how):
    interrupt(monkeypatch, lambda: tune(output_dir=tmp_path / "a"))
    message = message_of(DataError, lambda: tune(output_dir=tmp_path / "a"))
    assert message.endswith("; continue it with resume=True, or start over with overwrite=True")
    run = tune(output_dir=tmp_path / "a", **{how: True})
    assert run.table.vectors.tobytes() == tune().table.vectors.tobytes()
    settings = {"vectors": tmp_path / "vectors.vec", "dataset": tmp_path / "data.csv"}
    (tmp_path / "data.csv").write_text(CSV)
    interrupt(monkeypatch, lambda: tune(**settings, output_dir=tmp_path / "out"))
    assert train().endswith("; continue it with --resume, or start over with --overwrite\n")
    assert train(f"--{how}") == ""


@follows("training/run/folder.py", "the folder holds nothing to resume, but other files")
def test_a_folder_with_nothing_to_resume(tune, train, tmp_path):
    for name in ("a", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("")
    message = message_of(DataError, lambda: tune(output_dir=tmp_path / "a", resume=True))
    assert message.endswith("; choose another output_dir, or start without resume=True")
    assert tune(output_dir=tmp_path / "b", resume=True)
    assert tune(output_dir=tmp_path / "a")
    assert train("--resume").endswith("; choose another --output-dir, or start without --resume\n")
    assert "error" not in train("--resume", out="another")
    assert train() == ""


@follows("training/run/record.py", '"it was written with ",')
def test_a_run_with_other_settings(tune, train, tmp_path):
    tune(output_dir=tmp_path / "a", seed=1)
    message = message_of(DataError, lambda: tune(output_dir=tmp_path / "a", resume=True, seed=2))
    assert message.endswith(
        "with seed=1, this run has seed=2; continue with the same settings, or start over with "
        "overwrite=True instead of resume=True"
    )
    assert tune(output_dir=tmp_path / "a", resume=True, seed=1)
    assert tune(output_dir=tmp_path / "a", overwrite=True, seed=2)
    assert train("--seed", 1) == ""
    err = train("--resume", "--seed", 2)
    assert err.endswith(
        "with --seed 1, this run has --seed 2; continue with the same settings, or start over with "
        "--overwrite instead of --resume\n"
    )
    assert train("--resume", "--seed", 1) == ""
    assert train("--overwrite", "--seed", 2) == ""


@pytest.mark.parametrize("how", ["wait", "another"])
def test_a_folder_that_another_process_uses(tune, train, tmp_path, how):
    with locked(tmp_path / "out"):
        message = message_of(DataError, lambda: tune(output_dir=tmp_path / "out"))
        assert message.endswith("; wait until it ends, or choose another folder")
        assert train().endswith("; wait until it ends, or choose another folder\n")
        if how == "another":
            assert tune(output_dir=tmp_path / "b")
            assert train(out="c") == ""
    if how == "wait":
        assert train() == ""


@follows("training/run/record.py", "it was written with another")
def test_a_run_with_another_loss_or_head(tune, tmp_path):
    def loss(weight: float) -> Any:
        return partial(functional.cross_entropy, weight=torch.tensor([1.0, weight]))

    tune(output_dir=tmp_path / "a", loss_fn=loss(1.0))
    again = {"output_dir": tmp_path / "a", "resume": True}
    message = message_of(DataError, lambda: tune(loss_fn=loss(5.0), **again))
    assert message.endswith(
        "it was written with another loss_fn: its code or the values that it uses differ; continue "
        "with the same loss_fn, or start over with overwrite=True instead of resume=True"
    )
    assert tune(loss_fn=loss(1.0), **again)
    assert tune(loss_fn=loss(5.0), output_dir=tmp_path / "a", overwrite=True)

    def head(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return fe.BagOfEmbeddings(nn.Embedding(2, 3, padding_idx=0), 2)

    again = {"output_dir": tmp_path / "b", "resume": True}
    tune(output_dir=tmp_path / "b", head=head(0))
    message = message_of(DataError, lambda: tune(head=head(1), **again))
    assert "; continue with the same head (seed torch before you build it), or" in message
    assert tune(head=head(0), **again)


@follows("training/run/checkpoints.py", "make room")
def test_a_full_disk(tune, train, tmp_path, monkeypatch):
    real, calls = checkpoints.save_file, []

    def full(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) > 3:  # the first checkpoint has two files of its own
            raise OSError(28, os.strerror(28))
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", full)
        message = message_of(DataError, lambda: tune(output_dir=tmp_path / "a"))
        assert message.endswith("left on device; make room, then continue with resume=True")
        calls.clear()
        assert train().endswith("; make room, then continue with --resume\n")
    run = tune(output_dir=tmp_path / "a", resume=True)
    assert run.table.vectors.tobytes() == tune().table.vectors.tobytes()
    assert train("--resume") == ""


@follows("training/run/checkpoints.py", "belongs to another model")
def test_a_checkpoint_of_another_head(tune, tmp_path, monkeypatch):
    """The size is not in the code of the function, nor in a value that it names."""

    def head(embedding: nn.Embedding, num_labels: int) -> nn.Module:
        hidden = int(os.environ["TEST_HIDDEN"])
        return fe.BagOfEmbeddings(embedding, num_labels, hidden=hidden)

    def one(hidden: int) -> Any:
        monkeypatch.setenv("TEST_HIDDEN", str(hidden))
        return head

    interrupt(monkeypatch, lambda: tune(output_dir=tmp_path, head=one(4)))
    message = message_of(DataError, lambda: tune(output_dir=tmp_path, head=one(5), resume=True))
    assert message.endswith(
        "; continue with the same head, or start over with overwrite=True instead of resume=True"
    )
    assert tune(output_dir=tmp_path, head=one(4), resume=True)
    assert tune(output_dir=tmp_path, head=one(5), overwrite=True)


@follows("training/run/load.py", "DataError(state")
def test_folders_without_a_finished_run(tune, tmp_path, monkeypatch, command):
    folder = tmp_path / "run"
    assert message_of(DataError, lambda: fe.load(tmp_path)).endswith(
        "; pass the folder of a finished run"
    )
    assert command("predict", tmp_path, "a king").endswith("; pass the folder of a finished run\n")
    file = tmp_path / "some words.txt"
    file.write_text("king 1 2\nqueen 3 4\n")
    message = message_of(DataError, lambda: fe.load(file))
    assert message.startswith(
        f"{file}: this is a file, not the folder of a run; pass the folder of"
    )
    assert message.endswith(", or open vectors with load_vectors(path)")
    assert fe.load_vectors(file).index_to_key == ["king", "queen"]
    words = shlex.split(command("report", file, "-o", tmp_path / "r.html").rpartition(": ")[2])
    assert words == ["finetune-embed", "inspect", str(file)]
    assert command(*words[1:]) == ""
    interrupt(monkeypatch, lambda: tune(output_dir=folder))
    assert message_of(DataError, lambda: fe.load(folder)).endswith(
        "the folder holds an unfinished run; continue it: "
        f"finetune(..., output_dir={str(folder)!r}, resume=True)"
    )
    assert command("predict", folder, "a king").endswith(
        f"; continue it: finetune-embed train --config {folder / 'config.yaml'} -o {folder} "
        "--resume\n"
    )
    tune(output_dir=folder, resume=True)
    assert fe.load(folder).predict(["a king"])
    assert command("predict", folder, "a king") == ""


@follows("training/run/load.py", "the run has a custom head")
def test_loading_a_custom_head(tune, tmp_path, command):
    def head(embedding: nn.Embedding, num_labels: int) -> nn.Module:
        return fe.BagOfEmbeddings(embedding, num_labels)

    tune(head=head, output_dir=tmp_path)
    message = message_of(DataError, lambda: fe.load(tmp_path))
    assert message.endswith(f"; pass one like it: load({str(tmp_path)!r}, head=...)")
    err = command("predict", tmp_path, "a king")
    assert err.endswith("; load it in Python: fe.load(folder, head=...)\n")
    assert fe.load(tmp_path, head=head).predict(["a king"])


@follows("training/run/run.py", "takes a list of texts")
def test_predicting_one_text(tune):
    run = tune()
    message = message_of(DataError, lambda: run.predict("a king"))
    assert message == "predict takes a list of texts; call predict(['a king'])"
    assert len(run.predict(["a king"])) == 1


@follows("training/run/run.py", "with columns")
def test_predicting_a_table(tune):
    run = tune()
    columns = {"text": ["a king", "a dog"], "n": [1, 2]}
    frame = polars.DataFrame(columns)
    tables: list[Any] = [columns, frame, frame.to_pandas(), Dataset.from_dict(columns)]
    for data in tables:
        message = message_of(DataError, partial(run.predict, data))
        assert message.endswith(" columns; pass its column of texts: predict(list(data['text']))")
        assert run.predict(list(data["text"])) == run.predict(["a king", "a dog"])
    run = tune(dataset=Dataset.from_dict(PAIRS), text=("a", "b"), head="pair")
    message = message_of(DataError, partial(run.predict, PAIRS))
    assert message.endswith("; pass its columns of texts: predict(list(zip(data['a'], data['b'])))")
    assert len(run.predict(list(zip(PAIRS["a"], PAIRS["b"], strict=True)))) == 20


# Streams


@follows("training/first_pass.py", "kind_of_labels")
def test_a_stream_with_an_invalid_label(tune, train):
    labels = [*ROWS["label"][:-1], None]
    stream = Dataset.from_dict({**ROWS, "label": labels}).to_iterable_dataset()
    message = message_of(
        DataError, lambda: tune(dataset={"train": stream, "validation": DATA}, missing="keep")
    )
    assert message.endswith("; remove such examples with stream.filter(...)")
    kept = stream.filter(lambda example: example["label"] is not None)
    assert tune(dataset={"train": kept, "validation": DATA})


def folder_of(path: Path, train: str) -> Path:
    """Write a data set with a validation split, which a stream must have."""
    path.mkdir(exist_ok=True)
    (path / "train.csv").write_text(train)
    (path / "validation.csv").write_text(CSV)
    return path


@follows("training/first_pass.py", "kind_of_labels")
def test_a_streamed_file_with_an_invalid_label(train, tmp_path):
    data = folder_of(tmp_path / "data", CSV + "a man,\n")
    given = ("--streaming", "--missing", "keep")
    assert train(*given, data=data).endswith("; remove such lines\n")
    folder_of(data, CSV)
    assert train(*given, data=data) == ""


@follows("training/first_pass.py", "does not begin with the same example")
@follows("training/streamed.py", "the stream is empty in epoch")
def test_a_stream_that_does_not_start_over(tune):
    named = named_stream()
    left = iter(list(named["validation"]))  # a stream that can be read once
    passes = [ROWS["text"]] * 2  # a stream that can be read twice, as a first pass and an epoch do

    def once() -> Any:
        yield from left

    def twice() -> Any:
        yield from DATA if passes and passes.pop() else ()

    def read_examples() -> Any:
        yield from DATA

    advice = "; make it from a function that starts over: IterableDataset.from_generator(read_examp"
    stream = IterableDataset.from_generator(once, features=named["validation"].features)
    given = {
        "dataset": {**named, "train": stream},
        "vocab": fe.Vocabulary.from_dataset(DATA, "text"),
    }
    message = message_of(DataError, lambda: tune(**given))
    assert "does not begin with the same example when it is read again" in message
    assert advice in message
    stream = IterableDataset.from_generator(twice)
    message = message_of(DataError, lambda: tune(dataset={"train": stream, "validation": DATA}))
    assert "the stream is empty in epoch 2, and was not before" in message
    assert advice in message
    stream = IterableDataset.from_generator(read_examples)
    assert tune(dataset={"train": stream, "validation": DATA})


@follows("training/streamed.py", "sorts texts by length")
def test_batches_by_tokens_of_a_stream(tune, train, tmp_path):
    data = {"train": DATA.to_iterable_dataset(), "validation": DATA}
    message = message_of(DataError, lambda: tune(dataset=data, batch_tokens=9))
    assert message.endswith("; pass batch_size=... instead")
    assert tune(dataset=data, batch_size=9)
    folder = folder_of(tmp_path / "data", CSV)
    err = train("--streaming", "--batch-tokens", 9, data=folder)
    assert err.endswith("; pass --batch-size ... instead\n")
    assert train("--streaming", "--batch-size", 9, "--overwrite", data=folder) == ""


@follows("training/streamed.py", "cannot be shared evenly")
def test_batches_of_a_stream_for_several_processes():
    def streamed(batch_size: int) -> Streamed:
        processes: Any = SimpleNamespace(index=0, count=3)
        batching = Batching(batch_size, None, 1, True, SingleLabel(["x", "y"]), 0, processes)
        encode: Any = EncodedTexts.of
        return Streamed(DATA.to_iterable_dataset(), encode, batching, 20)

    message = message_of(DataError, lambda: streamed(64))
    assert message.endswith("cannot be shared evenly by 3 processes; pass batch_size=66")
    assert streamed(66)


# Tasks


@follows("training/tasks/base.py", "needs a head that labels")
def test_a_head_for_another_task(tune, train):
    message = message_of(DataError, lambda: tune(head="bilstm"))
    assert message.endswith("; use head='bag' or head='cnn' or head='pooled_cnn'")
    assert tune(head="bag")
    assert tune(head="cnn(filters=3)")
    expected = "; use --head bag or --head cnn or --head pooled_cnn\n"
    assert train("--head", "bilstm").endswith(expected)
    assert train("--head", "bag") == ""
    err = train("--head", "bag", data=LINES, out="tags")
    assert err.endswith("; use --head bilstm or --head cnn_tagger\n")
    assert train("--head", "bilstm", data=LINES, out="tags") == ""
    assert train("--overwrite", data=LINES, out="tags") == ""


@follows("training/tasks/tagging.py", "the head returned logits")
def test_a_custom_head_for_another_task(tune):
    class Head(nn.Module):
        def __init__(self, embedding: nn.Embedding, num_labels: int) -> None:
            super().__init__()
            self.embedding, self.output = embedding, nn.Linear(3, num_labels)

        def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
            return self.output(self.embedding(ids).mean(1))

    dataset = Dataset.from_dict(TAGGED)
    message = message_of(DataError, lambda: tune(dataset=dataset, head=Head))
    assert message.endswith("must be (texts, words, labels); use head='bilstm'")
    assert tune(dataset=dataset, head="bilstm")


@follows("training/task_settings.py", "the task is to predict numbers")
def test_smoothing_of_numbers(tune, train):
    dataset = Dataset.from_dict({"text": ROWS["text"], "label": [0.5, 1.5] * 10})
    message = message_of(DataError, lambda: tune(dataset=dataset, label_smoothing=0.1))
    assert message.endswith("; leave label_smoothing out")
    assert tune(dataset=dataset, head="bag")
    data = CSV.replace(",x", ",0.5").replace(",y", ",1.5")
    err = train("--label-smoothing", 0.1, data=data)
    assert err.endswith("; leave --label-smoothing out\n")
    assert train("--head", "bag", data=data) == ""


PAIRS = {
    "a": ["a king", "the queen"] * 10,
    "b": ["the queen", "a king"] * 10,
    "label": ["x", "y"] * 10,
}
PAIRS_CSV = "a,b,label\n" + "a king,the queen,x\nthe queen,a king,y\n" * 10


@follows("data/columns.py", "a head of pairs takes the")
def test_a_head_of_pairs_and_one_column(tune, train):
    dataset = Dataset.from_dict(PAIRS)
    message = message_of(DataError, lambda: tune(dataset=dataset, text="a", head="pair"))
    assert message.endswith("; name two: text=...")
    assert tune(dataset=dataset, text=("a", "b"), head="pair")
    err = train("--head", "pair", "--text", "a", data=PAIRS_CSV)
    assert err.endswith("; name two: --text ...\n")
    assert train("--head", "pair", "--text", "a,b", data=PAIRS_CSV) == ""


@follows("training/pairs.py", "the run takes pairs of texts")
def test_a_prediction_of_one_text_where_there_are_two(tune, tmp_path, command):
    run = tune(dataset=Dataset.from_dict(PAIRS), text=("a", "b"), head="pair")
    message = message_of(DataError, lambda: run.predict(["a king"]))
    assert message.endswith("; give two texts for each: predict([(first, second), ...])")
    assert len(run.predict([("a king", "the queen")])) == 1
    run.save(tmp_path / "run")
    (tmp_path / "file.csv").write_text(PAIRS_CSV)
    err = command("predict", tmp_path / "run", "a king")
    assert err.endswith("; give a file with the columns of both: --data FILE\n")
    assert command("predict", tmp_path / "run", "--data", tmp_path / "file.csv") == ""


@follows("training/choose.py", "the head takes pairs")
def test_words_of_pairs(tune, train):
    settings = {"dataset": Dataset.from_dict(PAIRS), "text": ("a", "b"), "head": "pair"}
    message = message_of(DataError, lambda: tune(**settings, lexical=True))
    assert message.endswith("; leave lexical out")
    assert tune(**settings)
    err = train("--head", "pair", "--text", "a,b", "--lexical", data=PAIRS_CSV)
    assert err.endswith("; leave --lexical out\n")
    assert train("--head", "pair", "--text", "a,b", data=PAIRS_CSV) == ""


@follows("training/pairs.py", "so it must have packed")
def test_a_function_of_a_head_of_pairs(tune):
    settings = {"dataset": Dataset.from_dict(PAIRS), "text": ("a", "b")}
    message = message_of(
        DataError, lambda: tune(**settings, head=lambda table, n: fe.PairOfBags(table, n))
    )
    assert message.endswith("or pass the class itself: head=PairOfBags")
    assert tune(**settings, head=fe.PairOfBags)


@follows("training/tasks/regression.py", "have no probabilities")
def test_probabilities_of_numbers(tune):
    dataset = Dataset.from_dict({"text": ROWS["text"], "label": [0.5, 1.5] * 10})
    run, texts = tune(dataset=dataset, head="bag"), ["a king"]
    message = message_of(DataError, lambda: run.predict_proba(texts))
    assert message.endswith("; call predict(texts)")
    assert run.predict(texts)


@follows("training/tasks/registry.py", "looks like a list")
def test_labels_that_are_written_lists(tune, train):
    import ast

    labels = ["['x']", "['x', 'y']"] * 10
    dataset = Dataset.from_dict({**ROWS, "label": labels})
    message = message_of(DataError, lambda: tune(dataset=dataset))
    code = "dataset.map(lambda example: {'label': ast.literal_eval(example['label'])})"
    assert message.endswith(
        f"; make lists of them: {code}, or pass task='single_label' if they are names"
    )
    assert tune(dataset=eval(code, {"dataset": dataset, "ast": ast})).labels == ["x", "y"]
    assert tune(dataset=dataset, task="single_label").labels == sorted(set(labels))
    csv = "text,label\n" + "a king,['x']\nthe queen,\"['x', 'y']\"\n" * 10
    assert train(data=csv).endswith(
        "; write lists, as JSON Lines or Parquet can, or pass --task single_label if they are "
        "names\n"
    )
    assert train("--task", "single_label", data=csv) == ""
    lists = '{"text": "a king", "label": ["x"]}\n{"text": "the queen", "label": ["x", "y"]}\n' * 9
    assert train(data=lists, out="lists") == ""


@follows("training/tasks/registry.py", "have one label per word")
def test_labels_that_are_nearly_tags(tune, train):
    dataset = Dataset.from_dict(
        {"text": [*TAGGED["text"], ["a", "man"]], "label": [*TAGGED["label"], ["O"]]}
    )
    message = message_of(DataError, lambda: tune(dataset=dataset))
    assert message.endswith(
        "; pass task='tagging' after removing such examples with dataset.filter(...), or "
        "task='multi_label'"
    )
    kept = dataset.filter(lambda example: len(example["text"]) == len(example["label"]))
    assert tune(dataset=kept, task="tagging", head="bilstm")
    assert tune(dataset=dataset, task="multi_label")
    bad = LINES + '{"text": ["a", "man"], "label": ["O"]}\n'
    assert train(data=bad).endswith(
        "; pass --task tagging after removing such examples, or --task multi_label\n"
    )
    assert train("--task", "tagging", "--head", "bilstm", data=LINES) == ""
    assert train("--task", "multi_label", data=bad, out="labels") == ""


@follows("training/tasks/tagging.py", "one per tag")
def test_a_string_where_words_are_tagged(tune, train):
    strings = {"text": ["a king", "queen"] * 10, "label": TAGGED["label"]}
    dataset = Dataset.from_dict(strings)
    given = {"task": "tagging", "head": "bilstm"}
    message = message_of(DataError, lambda: tune(dataset=dataset, **given))
    assert message.endswith("; split it with dataset.map(...)")
    words = dataset.map(lambda example: {"words": example["text"].split()})
    assert tune(dataset=words, text="words", **given)
    options = ("--task", "tagging", "--head", "bilstm")
    bad = '{"text": "a king", "label": ["O", "B"]}\n' * 9
    assert train(*options, data=bad).endswith("; write lists of words\n")
    assert train(*options, data=LINES) == ""


@follows("training/tasks/tagging.py", "each word has one tag")
def test_words_with_too_few_tags(tune, train):
    dataset = Dataset.from_dict(
        {"text": [*TAGGED["text"], ["a", "man"]], "label": [*TAGGED["label"], ["O"]]}
    )
    given = {"task": "tagging", "head": "bilstm"}
    message = message_of(DataError, lambda: tune(dataset=dataset, **given))
    assert message.endswith(
        "; remove such examples with dataset.filter(...), or pass task='multi_label' if the labels "
        "are those of the text"
    )
    kept = dataset.filter(lambda example: len(example["text"]) == len(example["label"]))
    assert tune(dataset=kept, **given)
    assert tune(dataset=dataset, task="multi_label")
    options = ("--task", "tagging", "--head", "bilstm")
    bad = LINES + '{"text": ["a", "man"], "label": ["O"]}\n'
    assert train(*options, data=bad).endswith(
        "; remove such examples, or pass --task multi_label if the labels are those of the text\n"
    )
    assert train(*options, data=LINES) == ""
    assert train("--task", "multi_label", data=bad, out="labels") == ""
