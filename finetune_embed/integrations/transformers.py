"""Strategies in `transformers.Trainer`."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import has_length

from ..errors import StrategyError
from ..optim import RowAdamW
from ..strategies import Strategy, check_optimizer, is_timed

__all__ = ["StrategyCallback"]


class StrategyCallback(TrainerCallback):
    """Opens and freezes a table in `transformers.Trainer` as a strategy says.

    Pass the optimizer as well: the one that `Trainer` makes leaves out parameters that are frozen
    when it is made, so that a table which is to open later would never train:

        optimizer = RowAdamW(strategy.param_groups(model, embedding, lr=1e-3))
        trainer = Trainer(
            model,
            TrainingArguments(...),
            optimizers=(optimizer, None),
            callbacks=[StrategyCallback(strategy, embedding)],
        )

    `Trainer` takes the norm of all gradients, which torch does for dense ones only, so the table is
    to be one without `sparse=True`; `RowAdamW` goes by rows all the same. (`Trainer` clips that
    norm to 1.0 unless `TrainingArguments(max_grad_norm=0)` says otherwise.)

    Strategies that go by validation scores read the records of `trainer.evaluate`, one an epoch:
    `eval_strategy="epoch"`.

    Args:
        strategy: the strategy that the optimizer's groups were made by.
        embedding: the `nn.Embedding` in the model that is tuned.
    """

    def __init__(self, strategy: Strategy, embedding: nn.Embedding) -> None:
        self.strategy, self.embedding = strategy, embedding
        self._begun: int | None = None  # epochs, of data without a length

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Check that the optimizer trains the table, and that its gradient is dense.

        Raises:
            StrategyError: it does not, or is not; or epochs of data without a length are to be
                gone on with, which `Trainer` does not count; or there will be no scores to go by.
        """
        self._begun = None if has_length(given["train_dataloader"]) else 0
        if self.strategy.needs_scores and args.eval_strategy == "no":
            raise StrategyError(
                f"{self.strategy} goes by validation scores, and there will be none; let the "
                "trainer evaluate: TrainingArguments(eval_strategy='epoch')"
            )
        by_epoch = self.strategy.timing == "epoch" and self.strategy.tunes
        if self._begun is not None and state.global_step and by_epoch and is_timed(self.strategy):
            raise StrategyError(
                f"{self.strategy} counts epochs, and of data without a length transformers.Trainer "
                "does not say in which one a checkpoint was written; take a strategy that counts "
                "steps, such as UnfreezeAfter(steps=...)"
            )
        check_optimizer(_plain(given["optimizer"]), self.embedding, self.strategy)
        if self.embedding.sparse:
            raise StrategyError(
                "transformers.Trainer takes the norm of all gradients, which torch can't of sparse "
                "ones; make the table by to_embedding(table, vocab), without sparse=True: RowAdamW "
                "goes by rows all the same"
            )

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Open or freeze the table for an epoch, where the strategy is timed by epoch."""
        if self._begun is not None:
            self._begun += 1
        if self.strategy.timing == "epoch":
            self.strategy.on_epoch_start(
                self.embedding,
                self._epochs_of(state),
                model=given["model"],
                scores=_records_of(state),
            )

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Open or freeze the table for a step, where the strategy is timed by step."""
        if self.strategy.timing == "step":
            self.strategy.on_step_start(
                self.embedding,
                state.global_step,
                epoch=self._epochs_of(state),
                total_steps=state.max_steps,
                model=given["model"],
                scores=_records_of(state),
            )

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Make up for decay that rows are owed, before the model is measured or saved."""
        _flush(given["optimizer"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Make up for decay that rows are owed, where the model is measured or saved now."""
        if control.should_save or control.should_evaluate:
            _flush(given["optimizer"])

    def _epochs_of(self, state: TrainerState) -> int:
        """Return the epochs finished so far."""
        if self._begun is not None:  # `Trainer` says of each epoch how much of all steps is done
            return self._begun - 1
        return int((state.epoch or 0) + 1e-6)


def _flush(optimizer: Any) -> None:
    optimizer = _plain(optimizer)
    if isinstance(optimizer, RowAdamW):
        optimizer.flush()


def _plain(optimizer: Any) -> torch.optim.Optimizer:
    """Return an optimizer without Accelerate's wrapper."""
    inner: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inner


def _records_of(state: TrainerState) -> list[dict[str, float]]:
    """Return the validation records so far, oldest first."""
    return [record for record in state.log_history if any(k.startswith("eval_") for k in record)]
