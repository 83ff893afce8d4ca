"""Around the loop: signals, trackers, precision, clipping, anchors that no checkpoint holds."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import finetune_embed as fe
from finetune_embed.training import loop
from finetune_embed.training.run.checkpoints import latest_checkpoint
from finetune_embed.training.runtime.interrupts import Interrupts
from finetune_embed.training.runtime.precision import Precision, chosen_precision
from finetune_embed.training.runtime.progress import ProgressBar


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def split(size: int, seed: int) -> datasets.Dataset:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size)
    texts = [" ".join(rng.choice([f"{'ab'[y]}{i}" for i in range(5)] + ["c"], 4)) for y in labels]
    return datasets.Dataset.from_dict({"text": texts, "label": labels.tolist()})


DATA = {"train": split(40, 0), "validation": split(20, 1)}


def table(seed: int = 0) -> fe.EmbeddingTable:
    words = [f"{kind}{i}" for kind in "ab" for i in range(5)] + ["c"]
    vectors = np.random.default_rng(seed).normal(size=(11, 6)).astype(np.float32)
    return fe.EmbeddingTable(words, vectors)


def tune(**options: Any) -> fe.Run:
    return fe.finetune(
        options.pop("vectors", table()), DATA, **{"epochs": 3, "batch_size": 8, **options}
    )


# --- signals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_ends_a_run_after_the_current_step(tmp_path, monkeypatch, number, error):
    steps = []

    def advance(bar: ProgressBar) -> None:
        steps.append(1)
        if len(steps) == 7:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(ProgressBar, "advance", advance)
        with pytest.raises(error):
            tune(output_dir=tmp_path)
    assert latest_checkpoint(tmp_path) == tmp_path / "checkpoint-1-7"
    assert signal.getsignal(number) is before
    run, expected = tune(output_dir=tmp_path, resume=True), tune()
    assert run.table.vectors.tobytes() == expected.table.vectors.tobytes()
    assert [r["train_loss"] for r in run.history] == [r["train_loss"] for r in expected.history]


def test_a_second_signal_ends_it_at_once():
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.pending == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_handlers_of_the_program_and_other_threads_are_left_alone():
    caught = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: caught.append(number))
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGTERM)
            assert interrupts.pending is None
        assert caught == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)

    def elsewhere() -> None:
        with Interrupts():
            caught.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert caught[-1] is signal.default_int_handler


# --- trackers -------------------------------------------------------------------------------------


def test_tensorboard_gets_the_loss_of_each_step_and_the_scores_of_each_epoch(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = tune(output_dir=tmp_path, trackers=["tensorboard"])
    (folder,) = (tmp_path / "trackers").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    losses = events.Scalars("loss")
    assert [event.step for event in losses] == list(range(1, 16))
    for record in run.history:
        own = [e.value for e in losses if record["step"] - 5 < e.step <= record["step"]]
        assert np.mean(own) == pytest.approx(record["train_loss"], rel=1e-6)
    scores = events.Scalars("validation_accuracy")
    assert [(e.step, round(e.value, 4)) for e in scores] == [
        (record["step"], record["validation_accuracy"]) for record in run.history
    ]


def test_a_resumed_run_continues_its_reports(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressBar, "advance", _interrupted_at(7))
        with pytest.raises(KeyboardInterrupt):
            tune(output_dir=tmp_path, trackers="tensorboard", checkpoint_steps=1)
    tune(output_dir=tmp_path, trackers="tensorboard", resume=True)
    (folder,) = (tmp_path / "trackers").iterdir()
    # Files written in the same second are not read in the order in which they were written.
    files = [EventAccumulator(str(file)).Reload() for file in folder.glob("events.*")]
    assert len(files) == 2
    for name, steps in {"loss": range(1, 16), "validation_accuracy": (5, 10, 15)}.items():
        assert sorted(e.step for file in files for e in file.Scalars(name)) == list(steps)


def _interrupted_at(number: int) -> Any:
    steps = []

    def advance(bar: ProgressBar) -> None:
        steps.append(1)
        if len(steps) == number:
            raise KeyboardInterrupt

    return advance


def test_trackers_that_cannot_be_used(tmp_path):
    with pytest.raises(
        fe.DataError,
        match=r"^the tracker 'tensorbored' is not known; pass trackers=\.\.\. of these: .*tensorbo",
    ):
        tune(trackers=["tensorbored"])
    with pytest.raises(fe.DataError, match=r"'tensorboard' writes files; pass output_dir=\.\.\.$"):
        tune(trackers=["tensorboard"])
    with pytest.raises(
        fe.DataError, match=r"^the tracker 'wandb' is not installed; pass trackers=\.\.\. of these:"
    ):
        tune(trackers=["wandb"], output_dir=tmp_path)


# --- precision ------------------------------------------------------------------------------------


@pytest.mark.parametrize("head", ["cnn(filters=4)", "bag(hidden=4)"])
def test_bfloat16_is_close_to_float32_and_leaves_the_table_in_it(head):
    exact, rounded = tune(head=head), tune(head=head, mixed_precision="bf16")
    assert rounded.table.vectors.dtype == np.float32
    losses = [[record["train_loss"] for record in run.history] for run in (exact, rounded)]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.05)


def scaled(monkeypatch: pytest.MonkeyPatch) -> Precision:
    """Return the precision `fp16` of a GPU: the scaler is the same on the CPU."""
    precision = Precision("no", "cpu")
    monkeypatch.setattr(
        precision, "_scaler", torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=2)
    )
    return precision


def test_a_scaled_loss_makes_the_same_step_and_an_overflow_makes_none(monkeypatch):
    def make() -> tuple[torch.nn.EmbeddingBag, fe.RowAdamW]:
        torch.manual_seed(0)
        bag = torch.nn.EmbeddingBag(6, 4, sparse=True)
        return bag, fe.RowAdamW([{"params": [bag.weight], "row_wise": True}], lr=0.1)

    ids = torch.tensor([[1, 2], [3, 3]])
    (plain, plain_optimizer), (bag, optimizer) = make(), make()
    precision = scaled(monkeypatch)
    for _ in range(2):
        plain(ids).square().sum().backward()
        plain_optimizer.step()
        precision.backward(bag(ids).square().sum())
        precision.step(optimizer)
        assert torch.equal(bag.weight, plain.weight)
        plain_optimizer.zero_grad()
        optimizer.zero_grad()
    assert precision.state()["scale"] == 128.0  # it has grown after two steps
    before = bag.weight.detach().clone()
    precision.backward(bag(ids).square().sum() * float("inf"))
    precision.step(optimizer)
    assert torch.equal(bag.weight, before)
    state = precision.state()
    assert state["scale"] == 64.0
    resumed = scaled(monkeypatch)
    resumed.load(json.loads(json.dumps(state)))  # as a checkpoint holds it
    assert resumed.state() == state


def test_precisions_that_a_device_does_not_support(monkeypatch):
    with pytest.raises(
        fe.StrategyError,
        match=r"^mixed_precision='fp16' needs a GPU; on the CPU, use mixed_precision='bf16'$",
    ):
        tune(mixed_precision="fp16", device="cpu")
    with pytest.raises(
        fe.StrategyError,
        match=r"^mixed_precision='fp16' scales .* of 2 processes .*; use mixed_precision='bf16'$",
    ):
        Precision("fp16", "cuda", 2)
    with pytest.raises(
        fe.StrategyError, match=r"^mixed_precision='fp8' must be one of no, bf16, fp16, or None$"
    ):
        tune(mixed_precision="fp8")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    assert (chosen_precision(None), chosen_precision("no")) == ("bf16", "no")


# --- accumulated gradients, and the length of a run -----------------------------------------------


def test_accumulated_batches_are_one_large_one():
    one = tune(batch_size=16)
    two = tune(batch_size=8, gradient_accumulation_steps=2)
    assert [r["step"] for r in one.history] == [r["step"] for r in two.history] == [3, 6, 9]
    np.testing.assert_allclose(one.table.vectors, two.table.vectors, atol=1e-6)
    np.testing.assert_allclose(
        [r["train_loss"] for r in one.history], [r["train_loss"] for r in two.history], rtol=1e-6
    )


def test_a_run_that_max_steps_ends_in_mid_epoch_is_evaluated():
    run = tune(max_steps=7)
    assert [record["step"] for record in run.history] == [5, 7]
    assert run.metrics["epochs"] == 2
    longer = tune(max_steps=1000)
    assert [record["step"] for record in longer.history] == [5, 10, 15]


@pytest.mark.parametrize("steps", [5, 7])
def test_a_run_of_max_steps_resumes(tmp_path, steps):
    expected = tune(max_steps=steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("finetune_embed.training.tuning.Tuning._result", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune(max_steps=steps, output_dir=tmp_path, checkpoint_steps=1)
    run = tune(max_steps=steps, output_dir=tmp_path, resume=True)
    assert run.table.vectors.tobytes() == expected.table.vectors.tobytes()
    assert [r["step"] for r in run.history] == [r["step"] for r in expected.history]


def _interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


# --- clipping -------------------------------------------------------------------------------------


def test_clipping_changes_a_run_only_where_gradients_are_longer():
    """Adam forgets the scale of a gradient but not a change of it: clipped runs differ."""
    plain, clipped = tune(), tune(max_grad_norm=1e-3)
    assert plain.table.vectors.tobytes() != clipped.table.vectors.tobytes()
    assert tune(max_grad_norm=1e6).table.vectors.tobytes() == plain.table.vectors.tobytes()


@pytest.mark.parametrize("max_grad_norm", [None, 1e-3])
def test_the_gradient_of_a_step_is_clipped(monkeypatch, max_grad_norm):
    """The first moment after the first step is a tenth of the gradient."""
    moments: list[list[torch.Tensor]] = []
    real = fe.RowAdamW.step

    def noting(optimizer: fe.RowAdamW) -> None:
        real(optimizer)
        states = [optimizer.state[p] for g in optimizer.param_groups for p in g["params"]]
        moments.append([10 * state["exp_avg"] for state in states])

    monkeypatch.setattr(fe.RowAdamW, "step", noting)
    tune(max_steps=1, max_grad_norm=max_grad_norm)
    (first,) = moments
    norm = torch.cat([moment.flatten() for moment in first]).norm().item()
    assert norm > 0.1 if max_grad_norm is None else norm == pytest.approx(1e-3, rel=1e-3)


# --- rates and word dropout -----------------------------------------------------------------------


def test_the_rate_falls_with_the_steps_not_with_the_batches(monkeypatch):
    """Five batches, two per step, are three steps per epoch."""
    rates: list[float] = []
    real = fe.RowAdamW.step

    def noting(optimizer: fe.RowAdamW) -> None:
        rates.append(optimizer.param_groups[0]["lr"])
        real(optimizer)

    monkeypatch.setattr(fe.RowAdamW, "step", noting)
    tune(schedule="linear", lr=0.09, gradient_accumulation_steps=2)
    assert rates == pytest.approx([0.01 * left for left in range(9, 0, -1)])


@pytest.mark.parametrize("head", ["bag", "cnn(filters=3)"])
def test_word_dropout_in_training_only(monkeypatch, head):
    seen, left = 0, 0
    real = loop.drop_words

    def noting(ids: torch.Tensor, lengths: torch.Tensor, p: float) -> Any:
        nonlocal seen, left
        assert p == 0.4
        kept_ids, kept = real(ids, lengths, p)
        seen += int(lengths.sum())
        left += int(kept.sum() if head == "bag" else (kept_ids > 1).sum())
        return kept_ids, kept

    monkeypatch.setattr(loop, "drop_words", noting)
    run = tune(word_dropout=0.4, head=head, epochs=10)
    assert seen == 10 * 40 * 4
    # one of four words always stays
    assert left / seen == pytest.approx(0.6 + 0.4**4 / 4, abs=0.03)
    validation = DATA["validation"]
    right = np.array(run.predict(validation["text"])) == np.array(validation["label"])
    assert run.metrics["validation"]["accuracy"] == pytest.approx(right.mean())


# --- anchors --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pulled(fe.Strategy):
    """Decay toward the start of the table (L2-SP)."""

    provides = frozenset({"anchor", "decay"})
    strength: float = 2.0

    def rows(self, weight: torch.nn.Parameter, vocab: fe.Vocabulary | None) -> fe.RowRule:
        return fe.RowRule(anchor=weight.detach().clone(), decay=self.strength)


def test_an_anchor_is_computed_from_the_base_file_and_never_stored(tmp_path):
    fe.save_safetensors(table(), tmp_path / "base.safetensors")
    options = {
        "vectors": tmp_path / "base.safetensors",
        "strategy": Pulled(),
        "lr": 0.05,
        "output_dir": tmp_path / "run",
        "checkpoint_steps": 1,
    }
    expected = tune(**{**options, "output_dir": tmp_path / "expected"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ProgressBar, "advance", _interrupted_at(8))
        with pytest.raises(KeyboardInterrupt):
            tune(**options)
    checkpoint = tmp_path / "run" / "checkpoint-1-7"
    assert latest_checkpoint(tmp_path / "run") == checkpoint
    held = {n for f in checkpoint.glob("*.safetensors") for n in load_file(f)}
    assert not any("anchor" in name for name in held)
    start = table().vectors
    for file in checkpoint.glob("*.safetensors"):
        for tensor in load_file(file).values():
            assert tensor.shape[-1:] != (6,) or not np.isin(start[:, 0], tensor[:, 0].numpy()).any()
    # another base file under the same name is refused
    fe.save_safetensors(table(seed=1), tmp_path / "base.safetensors")
    with pytest.raises(
        fe.DataError, match=r"it was written with (start|source)_sha256=.*, this run has \1_sha256="
    ):
        tune(**options, resume=True)
    (tmp_path / "moved").mkdir()
    fe.save_safetensors(table(), tmp_path / "moved" / "base.safetensors")
    run = tune(**{**options, "vectors": tmp_path / "moved" / "base.safetensors"}, resume=True)
    assert run.table.vectors.tobytes() == expected.table.vectors.tobytes()
    nearer = np.linalg.norm(run.table.vectors - start, axis=1)
    free = np.linalg.norm(tune(lr=0.05).table.vectors - start, axis=1)
    assert (nearer < free).all()


def test_other_files_in_the_folder_of_a_run_stay(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    tune(output_dir=tmp_path, checkpoint_minutes=1e-9)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not list(tmp_path.glob("*checkpoint*"))
