"""The loop alone: what it calls, what it records, when it stops, what it returns."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import fields
from itertools import chain
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import finetune_embed as fe
from finetune_embed.data import EncodedTexts, batch_indices
from finetune_embed.strategies.row_rules import attach_rule
from finetune_embed.training.loop import Training as Parts
from finetune_embed.training.loop import step_seed, train
from finetune_embed.training.run.checkpoints import Checkpoints, Progress
from finetune_embed.training.runtime.precision import Precision
from finetune_embed.training.runtime.processes import Processes
from finetune_embed.training.runtime.progress import CountBar, ProgressBar
from finetune_embed.training.runtime.trackers import Trackers
from finetune_embed.training.schedule import build_scheduler
from finetune_embed.training.settings import Settings
from finetune_embed.training.steps import Batching, InMemory
from finetune_embed.training.tasks import SingleLabel

V, D, TEXTS, BATCH = 12, 4, 22, 4
STEPS = math.ceil(TEXTS / BATCH)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def data() -> EncodedTexts:
    rng = np.random.default_rng(0)
    lengths = torch.from_numpy(rng.integers(0, 5, TEXTS))
    ids = torch.from_numpy(rng.integers(1, V, int(lengths.sum())))
    return EncodedTexts(
        ids, lengths.cumsum(0) - lengths, lengths, torch.from_numpy(rng.integers(0, 2, TEXTS))
    )


class Training:
    """One call of `train` with everything it takes, and what it reported."""

    def __init__(
        self,
        strategy: fe.Strategy | None = None,
        *,
        epochs: int = 3,
        patience: int | None = None,
        scores: list[tuple[float, float]] | None = None,
        schedule: str = "constant",
        lr: float = 0.05,
        seed: int = 0,
        loss_fn: Any = functional.cross_entropy,
        head: str = "bag",
        progress: Progress | None = None,
    ) -> None:
        torch.manual_seed(seed)
        embedding = nn.Embedding(V, D, padding_idx=0)
        self.model: nn.Module = (
            fe.BagOfEmbeddings(embedding, 2, dropout=0.2) if head == "bag" else Blind(embedding)
        )
        self.strategy = strategy or fe.FullTune()
        self.optimizer = fe.RowAdamW(self.strategy.param_groups(self.model, embedding, lr=lr))
        self.embedding, self.start = embedding, embedding.weight.detach().clone()
        self.settings = Settings(epochs=epochs, patience=patience, seed=seed)
        self.progress = progress or Progress()
        self.scores = iter(scores or [(0.5, 1.0 - epoch / 100) for epoch in range(epochs)])
        self.loss_fn, self.schedule = loss_fn, schedule
        self.ends: list[tuple[int, dict[str, torch.Tensor]]] = []
        self.states: list[dict[str, torch.Tensor]] = []

    def evaluate(self) -> dict[str, float]:
        self.states.append({n: v.clone() for n, v in self.model.state_dict().items()})
        accuracy, loss = next(self.scores)
        return {"accuracy": accuracy, "loss": loss}

    def run(self) -> dict[str, torch.Tensor]:
        total = self.settings.epochs * STEPS
        task, processes = SingleLabel([0, 1], self.loss_fn), Processes("cpu")
        packed = getattr(self.model, "packed", False)
        batching = Batching(BATCH, None, 1, packed, task, self.settings.seed, processes)
        parts = Parts(
            self.model,
            self.embedding,
            InMemory(data(), batching),
            self.strategy,
            self.optimizer,
            build_scheduler(self.optimizer, self.schedule, total),
            task,
            self.evaluate,
            self.settings,
            self.start,
            torch.arange(1, V),
            processes,
            Precision("no", "cpu"),
            Trackers((), None, {}),
            ProgressBar(False, self.settings.epochs, STEPS),
        )
        best = {n: v.clone() for n, v in self.model.state_dict().items()}
        return train(parts, self.progress, best, Ends(self.ends))


class Ends(Checkpoints):
    """Notes the epochs that end."""

    def __init__(self, ends: list[tuple[int, dict[str, torch.Tensor]]]) -> None:
        super().__init__(lambda progress, best: ends.append((progress.epoch, best)))


class Blind(nn.Module):
    """A model that holds the table and does not use it."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        self.embedding = embedding
        self.output = nn.Linear(1, 2)

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.output(lengths[:, None].float())


def test_the_record_of_an_epoch():
    training = Training(
        fe.UnfreezeAfter(epochs=1) | fe.DiscriminativeLR(embedding=0.5),
        scores=[(0.5, 0.9), (0.75, 0.8), (0.625, 0.7)],
        schedule="linear",
    )
    losses: list[float] = []

    def loss_fn(logits, labels):
        loss = functional.cross_entropy(logits, labels)
        losses.append(loss.item() * len(labels))
        return loss

    training.loss_fn = loss_fn
    training.run()
    assert len(losses) == 3 * STEPS
    for epoch, record in enumerate(training.progress.history):
        assert record.pop("seconds") >= 0
        movement = record.pop("movement")
        assert movement["rows"] == V - 1
        assert (movement["displacement"] > 0) == (movement["cosine"] > 0) == (epoch > 0)
        assert record == {
            "epoch": epoch,
            "step": (epoch + 1) * STEPS,
            "train_loss": pytest.approx(sum(losses[epoch * STEPS :][:STEPS]) / TEXTS, rel=1e-12),
            "validation_accuracy": [0.5, 0.75, 0.625][epoch],
            "validation_loss": [0.9, 0.8, 0.7][epoch],
            # the largest rate of the epoch at which the table was open: that of its first step
            "embedding_lr": 0.0 if not epoch else pytest.approx(0.025 * (1 - epoch / 3)),
        }
    assert training.progress == Progress(3, 3 * STEPS, training.progress.history, 1, True, True)
    assert [epoch for epoch, _ in training.ends] == [1, 2, 3]


def test_the_batches_and_their_order_are_those_of_batch_indices():
    texts, seen = data(), []
    training = Training(seed=5)

    def loss_fn(logits, labels):
        seen.append(labels.tolist())
        return functional.cross_entropy(logits, labels)

    training.loss_fn = loss_fn
    training.run()
    expected = [
        texts.labels[rows].tolist()
        for epoch in range(3)
        for rows in batch_indices(TEXTS, BATCH, 5, epoch)
    ]
    assert seen == expected
    assert sorted(chain.from_iterable(seen[:STEPS])) == sorted(texts.labels.tolist())
    assert seen[:STEPS] != seen[STEPS : 2 * STEPS]


@pytest.mark.parametrize(
    ("scores", "best_epoch"),
    [
        ([(0.5, 1.0), (0.6, 1.0), (0.7, 1.0)], 2),
        ([(0.7, 1.0), (0.6, 0.1), (0.5, 0.1)], 0),
        ([(0.5, 1.0), (0.7, 9.0), (0.6, 0.1)], 1),
        ([(0.5, 1.0), (0.5, 0.9), (0.5, 0.95)], 1),  # a tie is decided by the loss
        ([(0.5, 1.0), (0.5, 1.0), (0.5, 1.0)], 0),  # and a tie of both by the order
    ],
)
def test_the_best_epoch_and_its_weights(scores, best_epoch):
    training = Training(scores=scores)
    best = training.run()
    assert training.progress.best_epoch == best_epoch
    for name, value in training.states[best_epoch].items():
        assert torch.equal(best[name], value)
    for other in {0, 1, 2} - {best_epoch}:
        assert not torch.equal(best["embedding.weight"], training.states[other]["embedding.weight"])


@pytest.mark.parametrize(
    ("patience", "accuracies", "epochs"),
    [
        (None, [0.9, 0.1, 0.1, 0.1, 0.1, 0.1], 6),
        (1, [0.1, 0.2, 0.2, 0.9, 0.9, 0.9], 3),
        (2, [0.5, 0.4, 0.4, 0.9, 0.9, 0.9], 3),
        (2, [0.5, 0.4, 0.6, 0.5, 0.5, 0.9], 5),
        (3, [0.5, 0.4, 0.4, 0.6, 0.5, 0.5], 6),
    ],
)
def test_patience(patience, accuracies, epochs):
    training = Training(
        epochs=6, patience=patience, scores=[(accuracy, 1.0) for accuracy in accuracies]
    )
    best = training.run()
    assert training.progress.epoch == epochs
    assert training.progress.step == epochs * STEPS
    assert training.progress.best_epoch == accuracies.index(max(accuracies[:epochs]))
    at_best = training.states[training.progress.best_epoch]
    assert torch.equal(best["embedding.weight"], at_best["embedding.weight"])


class NeverMoved(fe.Strategy):
    """The table is open, at a rate of 0."""

    def rate(self, name, depth):
        return float(name != "embedding")


class SecondHalf(fe.Strategy):
    """Opens by a share of all steps."""

    @property
    def timing(self):
        return "step"

    def gate(self, name, clock):
        shut = name == "embedding" and clock.step < clock.total_steps / 2
        return float(not shut)


FALLING = [0.9 - 0.05 * epoch for epoch in range(8)]


@pytest.mark.parametrize(
    ("strategy", "patience", "accuracies", "epochs"),
    [
        # patience counts from epoch 4, in which the table opens
        (fe.UnfreezeAfter(epochs=4), 1, FALLING, 6),
        (fe.UnfreezeAfter(epochs=4), 2, FALLING, 7),
        (fe.UnfreezeAfter(epochs=4), 2, [*FALLING[:5], 0.95, 0.1, 0.1], 8),
        (fe.UnfreezeAfter(epochs=20), 1, FALLING, 8),
        (fe.UnfreezeAfter(steps=2 * STEPS + 1), 1, FALLING, 4),  # in epoch 2
        (fe.UnfreezeAfter(steps=10**6), 1, FALLING, 8),
        (fe.UnfreezeAfter(epochs=2) | fe.DiscriminativeLR(embedding=0.1), 1, FALLING, 4),
        (fe.Freeze(), 2, FALLING, 3),
        (fe.FullTune(), 2, FALLING, 3),
        (NeverMoved(), 2, FALLING, 3),
        (SecondHalf(), 1, FALLING, 6),
    ],
    ids=str,
)
def test_patience_does_not_run_out_before_the_table_has_opened(
    strategy, patience, accuracies, epochs
):
    scores = [(accuracy, 1.0) for accuracy in accuracies]
    training = Training(strategy, epochs=8, patience=patience, scores=scores)
    training.run()
    assert training.progress.epoch == epochs
    # resumed after any epoch, from the history alone, it stops after the same epoch
    history = training.progress.history
    for done in range(1, epochs + 1):
        accuracy = accuracies[:done]
        opened = any(record["embedding_lr"] > 0 for record in history[:done])
        best_epoch = accuracy.index(max(accuracy))
        progress = Progress(done, done * STEPS, list(history[:done]), best_epoch, opened)
        again = Training(
            strategy, epochs=8, patience=patience, scores=scores[done:], progress=progress
        )
        again.run()
        assert again.progress.epoch == epochs


def test_a_run_that_is_over_does_nothing():
    training = Training(epochs=2)
    training.run()
    for patience, history in (
        (None, training.progress.history),
        (1, [{"validation_accuracy": 0.9, "validation_loss": 1.0, "embedding_lr": 0.05}] * 2),
    ):
        epochs = 2 if patience is None else 9
        progress = Progress(2, 2 * STEPS, list(history), 0, True)
        again = Training(epochs=epochs, patience=patience, progress=progress)
        before = {n: v.clone() for n, v in again.model.state_dict().items()}
        again.run()
        assert again.ends == []
        assert again.progress.epoch == 2
        assert all(torch.equal(v, before[n]) for n, v in again.model.state_dict().items())


def test_dropout_is_a_function_of_seed_and_step():
    ends = []
    for noise in (0, 1000):
        training = Training(seed=1)
        torch.manual_seed(noise)
        torch.rand(noise)
        ends.append(training.run())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    seeds = {
        step_seed(s, step, process) for s in range(9) for step in range(9) for process in (0, 1)
    }
    assert len(seeds) == 9 * 9 * 2


def test_the_model_is_in_training_mode_and_gradients_are_cleared():
    training = Training(fe.UnfreezeAfter(steps=3), epochs=1)
    seen = []

    def loss_fn(logits, labels):
        seen.append((training.model.training, training.model.output.weight.grad is None))
        return functional.cross_entropy(logits, labels)

    training.loss_fn = loss_fn
    training.model.eval()
    training.run()
    assert [mode for mode, _ in seen] == [True] * STEPS
    assert seen[0][1]


@pytest.mark.parametrize(
    ("strategy", "open_from"),
    [(fe.UnfreezeAfter(steps=8), 8), (fe.UnfreezeAfter(epochs=1), STEPS), (fe.Freeze(), 99)],
    ids=str,
)
def test_hooks_are_called_once_for_each_epoch_or_step_with_the_right_numbers(strategy, open_from):
    calls: list[tuple[Any, ...]] = []
    opened = []

    class Watch(type(strategy)):
        def gate(self, name, clock):
            if name == "embedding":
                calls.append((clock.epoch, clock.step, clock.total_steps, len(clock.scores)))
            return super().gate(name, clock)

    training = Training(Watch(**{f.name: getattr(strategy, f.name) for f in fields(strategy)}))

    def loss_fn(logits, labels):
        opened.append(training.model.embedding.weight.requires_grad)
        return functional.cross_entropy(logits, labels)

    training.loss_fn = loss_fn
    training.run()
    if strategy.timing == "step":
        assert calls == [(s // STEPS, s, 3 * STEPS, s // STEPS) for s in range(3 * STEPS)]
    else:
        assert calls == [(epoch, 0, None, epoch) for epoch in range(3)]
    assert opened == [step >= open_from for step in range(3 * STEPS)]


# --- law 4 in the loop ----------------------------------------------------------------------------


def test_a_table_the_model_does_not_use_is_an_error_after_the_first_open_epoch():
    for strategy, epochs in ((fe.FullTune(), 0), (fe.UnfreezeAfter(epochs=2), 2)):
        training = Training(strategy, head="blind")
        with pytest.raises(fe.StrategyError, match=r"at lr=0.05 and not one .* no gradient, so th"):
            training.run()
        assert training.progress.epoch == epochs
    Training(fe.Freeze(), head="blind").run()
    Training(fe.UnfreezeAfter(epochs=3), head="blind").run()
    Training(lr=0.0, head="blind").run()


def test_a_mask_that_leaves_no_row_is_an_error():
    training = Training()
    nobody = fe.RowRule(train=torch.zeros(V, dtype=torch.bool))
    attach_rule(training.model.embedding.weight, nobody)
    training.model.embedding.weight.row_rule_claimed = True
    with pytest.raises(fe.StrategyError, match="row mask is False for every row"):
        training.run()


def test_an_optimizer_without_the_table_is_an_error():
    training = Training()
    (table,) = (g for g in training.optimizer.param_groups if g["name"] == "embedding")
    table["params"] = [nn.Parameter(table["params"][0].detach().clone())]
    with pytest.raises(fe.StrategyError, match="no optimizer steps it"):
        training.run()


# --- a loss that is not finite --------------------------------------------------------------------


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_loss_that_is_not_finite_stops_the_run(value):
    calls = []

    def loss_fn(logits, labels):
        calls.append(1)
        return functional.cross_entropy(logits, labels) * (value if len(calls) == 9 else 1)

    with pytest.raises(fe.DivergenceError) as caught:
        Training(loss_fn=loss_fn).run()
    assert str(caught.value) == (
        f"the loss is {value} in epoch 2, step 9, with the table at a rate of 0.05; use a smaller "
        "lr"
    )


# --- the progress bar -----------------------------------------------------------------------------


def test_without_progress_nothing_is_written(capfd):
    Training().run()
    assert capfd.readouterr() == ("", "")


def test_a_bar_counts_steps_and_shows_epochs():
    stream = io.StringIO()
    with redirect_stderr(stream):
        bar = ProgressBar(True, epochs=4, steps=20, epoch=1, step=5)
        with bar:
            for _ in range(5):
                bar.advance()
            record = {"epoch": 1, "step": 10, "train_loss": 0.25, "validation_accuracy": 0.875}
            bar.epoch(record, "accuracy")
            (task,) = bar._bar.tasks
            assert (task.completed, task.total) == (10, 20)
            assert task.description == "epoch 2/4"
            bar.finish(15)  # early
            assert (task.completed, task.total) == (15, 15)
    assert "validation accuracy 87.5%, loss 0.2500" in stream.getvalue()


@pytest.mark.parametrize("width", [50, 80, 120])
def test_a_narrow_terminal_cuts_the_note_alone(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    stream = io.StringIO()
    with (
        redirect_stderr(stream),
        ProgressBar(True, 15, 129_600, 1, 1106, " (vectors alone)") as bar,
    ):
        record = {"epoch": 1, "step": 1106, "train_loss": 0.25, "validation_accuracy": 0.875}
        bar.epoch(record, "accuracy")
    (line,) = stream.getvalue().splitlines()
    assert len(line) <= width
    assert " 1106/129600 validation acc" in line
    assert line.endswith(" 0:00:00")
    whole = "validation accuracy 87.5% (vectors alone), loss 0.2500"
    assert (whole in line) == (width == 120)
    assert ("(vectors alone)" in line) == (width >= 80)


def test_a_count_bar_leaves_out_what_is_skipped():
    stream = io.StringIO()
    with redirect_stderr(stream), CountBar(True, 7) as bar:
        bar.begin("the first")
        bar.advance()
        bar.add(-4)
        (task,) = bar._bar.tasks
        assert (task.completed, task.total) == (1, 3)
    assert "1/3 the first" in stream.getvalue()
