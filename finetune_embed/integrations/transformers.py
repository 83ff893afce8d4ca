"""Strategies in `transformers.Trainer`."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import has_length

from ..errors import StrategyError
from ..optim import RowOptimizer
from ..strategies import Strategy, check_optimizer, parts_of

__all__ = ["StrategyCallback"]


class StrategyCallback(TrainerCallback):
    """Opens and freezes a table in `transformers.Trainer`, following a strategy.

    Pass the optimizer as well. `Trainer`'s own leaves out parameters that are frozen when it is
    made, so a table that opens later would never train:

        optimizer = RowAdamW(strategy.param_groups(model, embedding, lr=1e-3))
        trainer = Trainer(
            model,
            TrainingArguments(...),
            optimizers=(optimizer, None),
            callbacks=[StrategyCallback(strategy, embedding)],
        )

    `Trainer` computes the norm of all gradients, which torch does only for dense ones, so make the
    table without `sparse=True`; `RowAdamW` still updates by rows. (`Trainer` clips that norm to 1.0
    unless you pass `TrainingArguments(max_grad_norm=0)`.)

    Strategies that need validation scores get one record for each epoch, whatever the number of
    evaluations and of evaluation sets: the last value of each metric. With several sets, a metric
    is named with its set: `UnfreezeOnPlateau(metric="news_loss")`.

    Args:
        strategy: the strategy that made the optimizer's groups.
        embedding: the `nn.Embedding` in the model that is tuned.
    """

    def __init__(self, strategy: Strategy, embedding: nn.Embedding) -> None:
        self.strategy, self.embedding = strategy, embedding
        self._records: list[dict[str, float]] = []
        self._starts: list[int] | None = None  # the first step of each epoch of data without length

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Check that the optimizer trains the table, with dense gradients and known epochs.

        Raises:
            StrategyError: it does not; or the gradient is sparse; or the run resumes in data
                without a length, whose epochs `Trainer` does not record; or the strategy needs
                scores and there will be none.
        """
        self._starts = None if has_length(given["train_dataloader"]) else []
        if self.strategy.needs_scores:
            self._check_scores(args, state)
        by_epoch = any(
            part.timed and part.timing == "epoch" for part in parts_of(self.strategy) if part.tunes
        )
        if self._starts is not None and state.global_step and by_epoch:
            raise StrategyError(
                f"{self.strategy} counts epochs, and for data without a length "
                "transformers.Trainer does not record in which one it wrote a checkpoint",
                value=self.strategy,
                remedy="use a strategy that counts steps, such as UnfreezeAfter(steps=...)",
            )
        check_optimizer(_plain(given["optimizer"]), self.embedding, self.strategy)
        if self.embedding.sparse:
            raise StrategyError(
                "transformers.Trainer computes the norm of all gradients, which torch can't for "
                "sparse ones",
                remedy="make the table without sparse=True: to_embedding(table, vocab); RowAdamW "
                "still updates by rows",
            )

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Open or freeze the table for an epoch, if the strategy is timed by epoch."""
        if self._starts is not None:
            self._starts.append(state.global_step)
        self._records = self._records_of(state)
        if self.strategy.timing == "epoch":
            self.strategy.on_epoch_start(
                self.embedding,
                self._epochs_of(state),
                model=given["model"],
                scores=self._records,
            )

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Open or freeze the table for a step, if the strategy is timed by step."""
        if self.strategy.timing == "step":
            self.strategy.on_step_start(
                self.embedding,
                state.global_step,
                epoch=self._epochs_of(state),
                total_steps=state.max_steps,
                model=given["model"],
                scores=self._records,
            )

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Make up for missed decay before the model is measured or saved."""
        _flush(given["optimizer"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Make up for missed decay if the model is measured or saved now."""
        if control.should_save or control.should_evaluate:
            _flush(given["optimizer"])

    def _epochs_of(self, state: TrainerState) -> int:
        """Return the number of finished epochs."""
        if self._starts is not None:  # here `state.epoch` is the share of all steps that are done
            return len(self._starts) - 1
        return int((state.epoch or 0) + 1e-6)

    def _records_of(self, state: TrainerState) -> list[dict[str, float]]:
        """Return the record of each finished epoch: the last value of each metric, if any."""
        records: dict[int, dict[str, float]] = {}
        for record in state.log_history:
            if any(name.startswith("eval_") for name in record):
                if self._starts is None:
                    epoch = math.ceil(record["epoch"] - 1e-6) - 1
                else:
                    epoch = bisect_left(self._starts, record["step"]) - 1
                records.setdefault(epoch, {}).update(record)  # before the first step: epoch -1
        return [records.get(epoch, {}) for epoch in range(self._epochs_of(state))]

    def _check_scores(self, args: TrainingArguments, state: TrainerState) -> None:
        """Check that there will be scores, and that a checkpoint has those before it.

        Raises:
            StrategyError: there will be none; or `Trainer` saved by steps before it evaluated by
                epochs, an evaluation that it does not make up for.
        """
        by_epoch, delay = args.eval_strategy == "epoch", args.eval_delay or 0
        first = max(1 if by_epoch else state.eval_steps, delay)
        most = state.num_train_epochs if by_epoch else state.max_steps
        if args.eval_strategy == "no" or (self._starts is None and first > most):
            raise StrategyError(
                f"{self.strategy} needs validation scores, and there will be none",
                value=self.strategy,
                remedy="let the trainer evaluate: TrainingArguments(..., eval_strategy='epoch')",
            )
        at_end = by_epoch and self._starts is None and (state.epoch or 0) >= max(1, delay)
        if at_end and float(state.epoch or 0).is_integer() and not self._records_of(state)[-1]:
            raise StrategyError(
                f"{self.strategy} needs the score of epoch {state.epoch:g}, which the checkpoint "
                "lacks, since it was saved before the evaluation",
                value=self.strategy,
                remedy="resume from an earlier one, and save after the evaluation: "
                "TrainingArguments(..., eval_strategy='epoch', save_strategy='epoch')",
            )


def _flush(optimizer: Any) -> None:
    optimizer = _plain(optimizer)
    if isinstance(optimizer, RowOptimizer):
        optimizer.flush()


def _plain(optimizer: Any) -> torch.optim.Optimizer:
    """Return an optimizer without Accelerate's wrapper."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner
