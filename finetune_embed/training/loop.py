"""The training loop: one function, short enough to read."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from ..data import drop_words
from ..errors import DivergenceError, Option, StrategyError
from ..optim import RowOptimizer
from ..optim.row_operations import log_decay
from ..strategies import EMBEDDING, Clock, RowRule, Strategy, check_moved, model_layout
from ..strategies.row_rules import rule_of
from .build_model import weight_of
from .movement import movement_since
from .run.checkpoints import Checkpoints, Progress, Tensors
from .runtime.precision import Precision
from .runtime.processes import Processes
from .runtime.progress import ProgressBar
from .runtime.trackers import Trackers
from .schedule import total_steps
from .settings import Complete
from .steps import Batch, Source, Step
from .tasks import Task

__all__ = ["Training", "train"]


LARGE = 1e18  # about the square root of the largest float32


@dataclass
class Training:
    """Everything that the loop works on.

    Attributes:
        model: called as `model(ids, lengths) -> logits`.
        embedding: the table inside it.
        source: yields the steps.
        strategy: decides what trains when; it made the optimizer's groups.
        optimizer: the optimizer.
        scheduler: stepped after every step.
        task: the loss, and the score that the best epoch is chosen by.
        evaluate: returns the current validation scores of the model.
        settings: the settings of the run.
        start: the weight `(V, D)` of the table before the run.
        sample: the rows of the table whose movement is recorded.
        processes: the processes that share the work.
        precision: the precision of the forward pass.
        trackers: receive the loss of each step and the scores of each epoch.
        bar: the progress bar.
    """

    model: nn.Module
    embedding: nn.Module
    source: Source
    strategy: Strategy
    optimizer: RowOptimizer
    scheduler: LambdaLR
    task: Task
    evaluate: Callable[[], dict[str, float]]
    settings: Complete
    start: torch.Tensor
    sample: torch.Tensor
    processes: Processes
    precision: Precision
    trackers: Trackers
    bar: ProgressBar = field(default_factory=lambda: ProgressBar(False, 0, 0))

    @property
    def weight(self) -> nn.Parameter:
        """The weight of the table."""
        return weight_of(self.embedding)


def train(run: Training, progress: Progress, best: Tensors, checkpoints: Checkpoints) -> Tensors:
    """Train a model for all epochs, or until it stops getting better.

    Every step is a pure function of its number and the state before it: a run that is resumed
    between two steps ends with the same bits as one that was never interrupted.

    Args:
        run: the model and everything that trains it.
        progress: the progress of the run, updated in place.
        best: the model state of the best epoch so far.
        checkpoints: called after every step and every epoch.

    Returns:
        The model state of the best epoch.

    Raises:
        StrategyError: the table was open for an epoch and did not move.
        DivergenceError: the loss is not finite.
    """
    total = total_steps(run.source.steps_of_run(run.settings.epochs), run.settings.max_steps)
    table_group = next(g for g in run.optimizer.param_groups if g["name"] == EMBEDDING)
    while not _over(run, progress, total):
        started, epoch = time.perf_counter() - progress.seconds, progress.epoch
        run.model.train()
        if run.strategy.timing == "epoch":
            run.strategy.on_epoch_start(
                run.embedding, epoch, model=run.model, scores=progress.history
            )
        for step in run.source.steps(epoch, progress.done):
            if progress.step == run.settings.max_steps:
                break
            if run.strategy.timing == "step":
                run.strategy.on_step_start(
                    run.embedding,
                    progress.step,
                    epoch=epoch,
                    total_steps=total,
                    model=run.model,
                    scores=progress.history,
                )
            rate = table_group["lr"]
            if run.weight.requires_grad:
                _check_decay(run, rate)
                progress.open_rate = max(progress.open_rate, rate)
            loss = take_step(run, step, progress, rate)
            progress.step += 1
            progress.done += 1
            progress.loss += loss * step.units
            progress.units += step.units
            progress.seconds = time.perf_counter() - started
            run.bar.advance()
            if run.trackers:
                run.trackers.log({"loss": loss, "embedding_lr": rate}, progress.step)
            checkpoints.after_step(progress, best)
        run.optimizer.flush()
        if not progress.opened and progress.open_rate > 0:
            progress.opened = _has_trained(run, progress)
        run.processes.share(run.model.buffers())
        scores = run.processes.from_main(run.evaluate)
        if not math.isfinite(scores["loss"]) and not _is_sound(run.model):
            raise DivergenceError(
                f"the validation loss is {scores['loss']} after epoch {epoch + 1}, step "
                f"{progress.step}, with the table at a rate of {progress.open_rate:g}, and weights "
                "have overflowed",
                remedy=("use a smaller ", Option("lr")),
            )
        record: dict[str, Any] = {
            "epoch": epoch,
            "step": progress.step,
            "train_loss": progress.loss / (progress.units or 1),
            **{f"validation_{name}": value for name, value in scores.items()},
            "embedding_lr": progress.open_rate,
            "movement": movement_since(run.start, run.weight, run.sample),
            "seconds": round(time.perf_counter() - started, 3),
        }
        progress.end_epoch(record)
        if _better(record, progress, run.task):
            progress.best_epoch = epoch
            best = {name: value.detach().clone() for name, value in run.model.state_dict().items()}
        run.bar.epoch(record, run.task.metric)
        run.trackers.log(record, progress.step)
        checkpoints.after_epoch(progress, best)
    run.bar.finish(progress.step)
    return best


def take_step(run: Training, step: Step, progress: Progress, rate: float) -> float:
    """Accumulate the gradients of a step's batches, average them over the processes, and step.

    Returns:
        The mean loss of the step's units, over all processes.

    Raises:
        DivergenceError: the loss is not finite. It is raised in every process, before anything
            moves.
        StrategyError: the head has written to the table, or nothing of the model is open.
    """
    seed_generators(
        step_seed(run.settings.seed, progress.step, run.processes.index), run.weight.device
    )
    run.optimizer.zero_grad(set_to_none=True)
    loss = 0.0
    for batch in step.batches:
        part = _loss_of(run, batch) * batch.weight
        if not part.requires_grad:
            raise StrategyError(
                f"nothing trains in epoch {progress.epoch + 1}: the loss depends on no parameter "
                "that is open",
                where=str(run.strategy),
                value=progress.epoch,
                remedy="let the strategy open a part of the model, or give the head parameters "
                "that require gradients",
            )
        run.precision.backward(part)
        loss += part.item()
    loss = run.processes.sum(loss)[0] / run.processes.count
    if not math.isfinite(loss):
        raise DivergenceError(
            f"the loss is {loss} in epoch {progress.epoch + 1}, step {progress.step + 1}, with the "
            f"table at a rate of {rate:g}",
            remedy=("use a smaller ", Option("lr")),
        )
    run.processes.mean_gradients(
        parameter
        for group in run.optimizer.param_groups
        if not group["row_wise"]  # those the optimizer exchanges
        for parameter in group["params"]
    )
    progress.reached = progress.reached or run.weight.grad is not None
    run.precision.step(run.optimizer)
    run.scheduler.step()
    return loss


def _check_decay(run: Training, rate: float) -> None:
    """Check that the decay of a strategy does not overshoot its anchor at a learning rate.

    Raises:
        DivergenceError: the rate is too large for it.
    """
    try:
        log_decay(rate, 0.0, rule_of(run.weight) or RowRule())
    except StrategyError as error:
        raise DivergenceError(
            error.what, where=str(run.strategy), value=error.value, remedy=error.remedy
        ) from error


def _is_sound(model: nn.Module) -> bool:
    """Return whether all weights, and their squares, are finite."""
    return all(bool((value.detach().abs() < LARGE).all()) for value in model.parameters())


def _has_trained(run: Training, progress: Progress) -> bool:
    """Return, after an epoch with an open table, whether a row of it has trained.

    Raises:
        StrategyError: the loss does not depend on the table, or no row moved.
    """
    rule = rule_of(run.weight) or RowRule()
    stepped = len(run.optimizer.state.get(run.weight, {}).get("rows", ()))
    reached = run.processes.sum(float(progress.reached)) != [0.0]
    some_train = rule.train is not None and bool(rule.train.any())
    if reached and some_train and not stepped:
        return False  # none of them has been in a batch yet
    if not (stepped and rule.shrink):  # shrinking may undo every move
        check_moved(run.embedding, run.start, progress.open_rate)
    return True


def _loss_of(run: Training, batch: Batch) -> torch.Tensor:
    """Return the mean loss of a batch's units."""
    ids, lengths, device = batch.ids, batch.lengths, run.weight.device
    if run.settings.word_dropout:
        ids, lengths = drop_words(ids, lengths, run.settings.word_dropout)
    ids, lengths = ids.to(device), lengths.to(device)
    version = run.weight._version
    with run.precision.autocast():
        logits = run.model(ids, lengths)
    if run.weight._version != version:
        raise StrategyError(
            f"{type(run.model).__name__} writes to the table in its forward pass, as max_norm "
            "does, so rows change that the strategy has frozen",
            value=run.settings.head,
            remedy="leave the table to the optimizer; strategy='MaxNorm(max_norm=3.0)' limits rows "
            "as they train",
        )
    logits = run.task.units(logits.float(), batch.words)
    return run.task.training_loss(logits, batch.targets.to(device))


def seed_generators(seed: int, device: torch.device) -> None:
    """Seed torch's generator of the CPU and of the training device.

    `torch.manual_seed` would also record a stack trace for GPUs that nobody uses, which takes as
    long as a small step.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def step_seed(seed: int, step: int, process: int = 0) -> int:
    """Return the seed of torch's generator in a step: a pure function of the numbers."""
    digest = hashlib.blake2b(f"{seed} {step} {process}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _better(record: dict[str, Any], progress: Progress, task: Task) -> bool:
    """Return whether an epoch is the best so far, by its score and, on a tie, by its loss."""
    if progress.best_epoch < 0:
        return True
    former = progress.history[progress.best_epoch]
    return task.rank(record, "validation_") > task.rank(former, "validation_")


def _over(run: Training, progress: Progress, total: int | None) -> bool:
    """Return whether a run is over; a pure function of the history, so that resuming is exact."""
    settings, history = run.settings, progress.history
    if progress.epoch >= settings.epochs or progress.step == settings.max_steps:
        return progress.done == 0  # otherwise the last epoch has not been evaluated
    if settings.patience is None or not history or progress.done:
        return False
    opened = next((i for i, record in enumerate(history) if record["embedding_lr"] > 0), None)
    if opened is None and run.strategy.tunes:
        depth = model_layout(run.model, run.weight)[0].depth
        last = Clock(progress.epoch - 1, progress.step - 1, total, history[:-1], depth, depth)
        if run.strategy.gate(EMBEDDING, last) <= 0:
            return False  # the table has not opened yet
    return progress.epoch - 1 - max(progress.best_epoch, opened or 0) >= settings.patience
