"""Strategies in Lightning's `Trainer`."""

from __future__ import annotations

import math
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn
from torch.utils.hooks import RemovableHandle

from ..errors import StrategyError
from ..optim import RowOptimizer
from ..strategies import Strategy, check_optimizer
from ..strategies.weights import forget_start, keep_start

__all__ = ["StrategyCallback"]


class StrategyCallback(Callback):
    """Opens and freezes a table in Lightning's `Trainer`, following a strategy.

    The optimizer comes from the module as usual, with all its groups:

        def configure_optimizers(self):
            groups = self.strategy.param_groups(self, self.embedding, lr=1e-3)
            return RowAdamW(groups, max_grad_norm=1.0)

    Leave `gradient_clip_val` out of `Trainer`, which can't clip sparse gradients. Strategies that
    need validation scores get what `validation_step` passes to `self.log`, one record for each
    epoch: the last.

    With manual optimization, steps are those of the optimizer that holds the table, and a change
    takes effect at the start of the next batch. A fraction of the run is then a share of its
    batches.

    Args:
        strategy: the strategy that made the optimizer's groups.
        embedding: the `nn.Embedding` in the module that is tuned.
    """

    def __init__(self, strategy: Strategy, embedding: nn.Embedding) -> None:
        self.strategy, self.embedding = strategy, embedding
        self._scores: dict[int, dict[str, float]] = {}  # the record of each epoch that has one
        self._steps = self._batches = 0  # finished steps of the table's optimizer, begun batches
        self._counting: RemovableHandle | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the table's start, since Lightning loads checkpoints before it makes optimizers."""
        if stage == "fit":
            keep_start(self.embedding)
            if trainer.global_step == 0:  # not a fit that goes on
                self._steps, self._batches, self._scores = 0, 0, {}

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Drop the start, if the fit ended before using it, and stop counting steps."""
        forget_start(self.embedding)
        if self._counting is not None:
            self._counting.remove()
            self._counting = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check that an optimizer trains the table, that only it clips, and that scores will exist.

        Raises:
            StrategyError: one of these does not hold.
        """
        forget_start(self.embedding)
        weights = {id(p) for p in self.embedding.parameters()}
        with_table = [
            optimizer
            for optimizer in trainer.optimizers
            if any(id(p) in weights for group in optimizer.param_groups for p in group["params"])
        ]
        for optimizer in with_table or trainer.optimizers:
            check_optimizer(optimizer, self.embedding, self.strategy)
        if len(with_table) > 1:
            raise StrategyError(
                f"the embedding {tuple(self.embedding.weight.shape)} is in {len(with_table)} "
                "optimizers, so its steps are not defined",
                value=len(with_table),
                remedy="give the others the groups without it: [g for g in groups if g['name'] != "
                "'embedding']",
            )
        self._counting = with_table[0].register_step_post_hook(self._count)
        every, most = trainer.check_val_every_n_epoch or 1, trainer.max_epochs
        never = most is not None and 0 <= most < every
        if self.strategy.needs_scores and (never or not trainer.enable_validation):
            raise StrategyError(
                f"{self.strategy} needs validation scores, and there will be none",
                value=self.strategy,
                remedy="add a validation_step to the module, and pass validation data: "
                "trainer.fit(module, loader, validation_loader), with check_val_every_n_epoch=1",
            )
        if trainer.gradient_clip_val and self.embedding.sparse:
            raise StrategyError(
                f"Trainer(gradient_clip_val={trainer.gradient_clip_val}) can't clip the sparse "
                "gradient of the table",
                value=trainer.gradient_clip_val,
                remedy="leave it out and let the optimizer clip: "
                f"RowAdamW(groups, max_grad_norm={trainer.gradient_clip_val})",
            )

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open or freeze the table if the fit resumes in mid-epoch, which is no start of one.

        Raises:
            StrategyError: the checkpoint was saved before the validation at the end of its epoch,
                which Lightning does not make up for, and the strategy needs its score.
        """
        done, every = trainer.current_epoch, trainer.check_val_every_n_epoch
        due = done > 0 and every is not None and done % every == 0
        if self.strategy.needs_scores and due and done - 1 not in self._scores:
            raise StrategyError(
                f"{self.strategy} needs the score of epoch {done}, which the checkpoint lacks, "
                "since it was saved before the validation",
                value=self.strategy,
                remedy="resume from an earlier one, and save after the validation: "
                "ModelCheckpoint(every_n_epochs=1)",
            )
        self.on_train_epoch_start(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open or freeze the table for an epoch, if the strategy is timed by epoch."""
        if self.strategy.timing == "epoch":
            self.strategy.on_epoch_start(
                self.embedding,
                trainer.current_epoch,
                model=pl_module,
                scores=self._records(trainer),
            )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Open or freeze the table for a step, if the strategy is timed by step."""
        self._batches += 1
        if self.strategy.timing == "step":
            manual = not pl_module.automatic_optimization
            self.strategy.on_step_start(
                self.embedding,
                self._steps if manual else trainer.global_step,
                epoch=trainer.current_epoch,
                total_steps=self._manual_total(trainer) if manual else _total_steps(trainer),
                model=pl_module,
                scores=self._records(trainer),
            )

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make up for missed decay before the model is measured."""
        _flush(trainer)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the record of an epoch, or the last one if there are several."""
        if trainer.state.fn != "fit" or trainer.sanity_checking:
            return
        record = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._scores[trainer.current_epoch] = record

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make up for missed decay before the model is saved."""
        _flush(trainer)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Make up for missed decay, since a checkpoint may be written in mid-epoch.

        Lightning calls no callback for a checkpoint with `save_weights_only=True`.
        """
        _flush(trainer)  # in place, in the checkpoint's weights too; its states are copies
        take = trainer.strategy.optimizer_state
        checkpoint["optimizer_states"] = [take(optimizer) for optimizer in trainer.optimizers]

    def state_dict(self) -> dict[str, Any]:
        """Return the records and the count of steps for a checkpoint."""
        return {"scores": self._scores, "steps": {"done": self._steps, "batches": self._batches}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the records and the count of steps of a checkpoint."""
        self._scores = dict(state_dict["scores"])
        steps = state_dict.get("steps", {})
        self._steps, self._batches = steps.get("done", 0), steps.get("batches", 0)

    def _count(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        """Count a step of the table's optimizer."""
        self._steps += 1

    def _manual_total(self, trainer: Trainer) -> float | None:
        """Return the finished steps divided by the share of the fit that is done.

        That share never shrinks; None if the fit has no known end.
        """
        shares, most, epochs = [], trainer.max_steps, trainer.max_epochs
        if most is not None and most > 0:  # counts the steps of all optimizers
            shares.append(trainer.global_step / most)
        if epochs is not None and epochs > 0 and trainer.num_training_batches < math.inf:
            batches = int(trainer.num_training_batches) * epochs
            shares.append((self._batches - 1) / batches)
        if not shares:
            return None
        share = max(shares)
        return self._steps / share if self._steps and share else 1.0

    def _records(self, trainer: Trainer) -> list[dict[str, float]]:
        """Return the record of each finished epoch, empty for one without validation."""
        return [self._scores.get(epoch, {}) for epoch in range(trainer.current_epoch)]


def _total_steps(trainer: Trainer) -> int | None:
    """Return the steps of a fit; None if they are unknown: data without a length, or no end."""
    steps = trainer.estimated_stepping_batches
    return int(steps) if 0 <= steps < math.inf else None


def _flush(trainer: Trainer) -> None:
    for optimizer in trainer.optimizers:
        if isinstance(optimizer, RowOptimizer):
            optimizer.flush()
