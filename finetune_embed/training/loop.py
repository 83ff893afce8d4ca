"""The training loop: one function, short enough to read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from ..data import EncodedTexts, batch_indices
from ..errors import FinetuneEmbedError
from ..optim import RowAdamW
from ..strategies import EMBEDDING, Clock, Strategy, check_moved
from .checkpoint import Progress, Tensors
from .progress import ProgressBar

__all__ = ["LoopSettings", "train"]

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class LoopSettings:
    """The numbers the loop runs by.

    Attributes:
        epochs: the most epochs.
        batch_size: texts in a batch.
        patience: stop after so many epochs without a better validation score; None for never.
            Epochs before the table first opens don't count, unless it never opens.
        seed: of the batch order and of dropout.
    """

    epochs: int
    batch_size: int
    patience: int | None
    seed: int


def train(
    model: nn.Module,
    embedding: nn.Module,
    data: EncodedTexts,
    *,
    strategy: Strategy,
    optimizer: RowAdamW,
    scheduler: LambdaLR,
    loss_fn: LossFunction,
    evaluate: Callable[[], dict[str, float]],
    settings: LoopSettings,
    progress: Progress,
    best: Tensors,
    on_epoch_end: Callable[[Progress, Tensors], None],
    bar: ProgressBar,
) -> Tensors:
    """Train a model until its epochs are over or it has stopped getting better.

    Every epoch is a pure function of its number and the state before it, so that a run that is
    resumed between two epochs ends in the same bits as one that was never interrupted.

    Args:
        model: called as `model(ids, lengths) -> logits`.
        embedding: the table inside it.
        data: the encoded training texts.
        strategy: what trains when; the optimizer's groups are made by it.
        optimizer: the optimizer.
        scheduler: stepped after every batch.
        loss_fn: of logits `(B, C)` and class numbers `(B,)`.
        evaluate: returns the validation scores of the model as it is.
        settings: epochs, batch size, patience, seed.
        progress: where the run is; brought forward as it goes on.
        best: the model state of the best epoch so far.
        on_epoch_end: called with both after every epoch.
        bar: shows how far the run is.

    Returns:
        The model state of the best epoch.

    Raises:
        StrategyError: the table was open for an epoch and did not move.
        FinetuneEmbedError: the loss is not finite.
    """
    weight = embedding.weight
    assert isinstance(weight, nn.Parameter)
    table_group = next(g for g in optimizer.param_groups if g["name"] == EMBEDDING)
    device = weight.device
    total_steps = settings.epochs * math.ceil(len(data) / settings.batch_size)
    while progress.epoch < settings.epochs and not _stopped(
        progress, settings, strategy, total_steps
    ):
        started, epoch = time.perf_counter(), progress.epoch
        torch.manual_seed(epoch_seed(settings.seed, epoch))
        before = None if progress.opened else weight.detach().clone()
        open_rate, losses = 0.0, 0.0
        model.train()
        if strategy.timing == "epoch":
            strategy.on_epoch_start(embedding, epoch, model=model, scores=progress.history)
        for rows in batch_indices(len(data), settings.batch_size, settings.seed, epoch):
            if strategy.timing == "step":
                strategy.on_step_start(
                    embedding,
                    progress.step,
                    epoch=epoch,
                    total_steps=total_steps,
                    model=model,
                    scores=progress.history,
                )
            if weight.requires_grad:
                open_rate = max(open_rate, table_group["lr"])
            ids, lengths = data.padded(rows)
            assert data.labels is not None
            logits = model(ids.to(device), lengths.to(device))
            loss = loss_fn(logits, data.labels[rows].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            scheduler.step()
            progress.step += 1
            losses += _finite(loss, progress, table_group["lr"]) * len(rows)
            bar.advance()
        optimizer.flush()
        if before is not None and open_rate > 0:
            check_moved(embedding, before, open_rate)
            progress.opened = True
        scores = evaluate()
        record: dict[str, Any] = {
            "epoch": epoch,
            "step": progress.step,
            "train_loss": losses / len(data),
            **{f"validation_{name}": value for name, value in scores.items()},
            "embedding_lr": open_rate,
            "seconds": round(time.perf_counter() - started, 3),
        }
        progress.history.append(record)
        progress.epoch += 1
        if _better(record, progress):
            progress.best_epoch = epoch
            best = {name: value.detach().clone() for name, value in model.state_dict().items()}
        bar.epoch(record)
        on_epoch_end(progress, best)
    bar.finish()
    return best


def epoch_seed(seed: int, epoch: int) -> int:
    """Return the seed of torch's generator in an epoch: a pure function of both numbers."""
    return int(np.random.SeedSequence((seed, epoch)).generate_state(1)[0])


def _better(record: dict[str, Any], progress: Progress) -> bool:
    """Tell whether an epoch is the best so far: by accuracy, on a tie by loss."""
    if progress.best_epoch < 0:
        return True
    former = progress.history[progress.best_epoch]
    return _rank(record) > _rank(former)


def _rank(record: dict[str, Any]) -> tuple[float, float]:
    return record["validation_accuracy"], -record["validation_loss"]


def _stopped(
    progress: Progress, settings: LoopSettings, strategy: Strategy, total_steps: int
) -> bool:
    """Tell whether patience is over: a pure function of the history, so that resuming is exact."""
    history = progress.history
    if settings.patience is None or not history:
        return False
    opened = next((i for i, record in enumerate(history) if record["embedding_lr"] > 0), None)
    if opened is None:
        last = Clock(progress.epoch - 1, progress.step - 1, total_steps, history[:-1])
        end = Clock(10**9, 10**12, total_steps, history)
        if strategy.gate(EMBEDDING, last) <= 0 < strategy.gate(EMBEDDING, end):
            return False  # the table is still to open
    return progress.epoch - 1 - max(progress.best_epoch, opened or 0) >= settings.patience


def _finite(loss: torch.Tensor, progress: Progress, lr: float) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise FinetuneEmbedError(
            f"the loss is {value} in epoch {progress.epoch}, step {progress.step}, with the table "
            f"at lr={lr:g}; take a smaller lr"
        )
    return value
