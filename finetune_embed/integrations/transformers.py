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

    Strategies that need validation scores get the records of `trainer.evaluate`, one per epoch with
    `eval_strategy="epoch"`.

    Args:
        strategy: the strategy that made the optimizer's groups.
        embedding: the `nn.Embedding` in the model that is tuned.
    """

    def __init__(self, strategy: Strategy, embedding: nn.Embedding) -> None:
        self.strategy, self.embedding = strategy, embedding
        self._begun: int | None = None  # begun epochs, if the data has no length

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Check that the optimizer trains the table, with dense gradients and known epochs.

        Raises:
            StrategyError: it does not; or the gradient is sparse; or the run resumes in data
                without a length, whose epochs `Trainer` does not record; or the strategy needs
                scores and there will be none.
        """
        self._begun = None if has_length(given["train_dataloader"]) else 0
        if self.strategy.needs_scores and args.eval_strategy == "no":
            raise StrategyError(
                f"{self.strategy} needs validation scores, and there will be none",
                value=self.strategy,
                remedy="let the trainer evaluate: TrainingArguments(..., eval_strategy='epoch')",
            )
        by_epoch = self.strategy.timing == "epoch" and self.strategy.tunes
        if self._begun is not None and state.global_step and by_epoch and is_timed(self.strategy):
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
        """Open or freeze the table for a step, if the strategy is timed by step."""
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
        if self._begun is not None:  # here `state.epoch` is the share of all steps that are done
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
