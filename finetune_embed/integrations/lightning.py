"""Strategies in Lightning's `Trainer`."""

from __future__ import annotations

import math
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch import nn

from ..errors import StrategyError
from ..optim import RowAdamW
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
    need validation scores get what `validation_step` passes to `self.log`, once per epoch.

    Args:
        strategy: the strategy that made the optimizer's groups.
        embedding: the `nn.Embedding` in the module that is tuned.
    """

    def __init__(self, strategy: Strategy, embedding: nn.Embedding) -> None:
        self.strategy, self.embedding = strategy, embedding
        self._scores: dict[int, dict[str, float]] = {}  # the record of each epoch that has one

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Keep the table's start, since Lightning loads checkpoints before it makes optimizers."""
        if stage == "fit":
            keep_start(self.embedding)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Drop the start, if the fit ended before using it."""
        forget_start(self.embedding)

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
        if self.strategy.needs_scores and not trainer.enable_validation:
            raise StrategyError(
                f"{self.strategy} needs validation scores, and there will be none",
                value=self.strategy,
                remedy="add a validation_step to the module, and pass validation data: "
                "trainer.fit(module, loader, validation_loader)",
            )
        if trainer.gradient_clip_val and self.embedding.sparse:
            raise StrategyError(
                f"Trainer(gradient_clip_val={trainer.gradient_clip_val}) can't clip the sparse "
                "gradient of the table",
                value=trainer.gradient_clip_val,
                remedy="leave it out and let the optimizer clip: "
                f"RowAdamW(groups, max_grad_norm={trainer.gradient_clip_val})",
            )

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Open or freeze the table for an epoch, if the strategy is timed by epoch."""
        if self.strategy.timing == "epoch":
            self.strategy.on_epoch_start(
                self.embedding,
                trainer.current_epoch,
                model=pl_module,
                scores=list(self._scores.values()),
            )

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Open or freeze the table for a step, if the strategy is timed by step."""
        if self.strategy.timing == "step":
            self.strategy.on_step_start(
                self.embedding,
                trainer.global_step,
                epoch=trainer.current_epoch,
                total_steps=_total_steps(trainer),
                model=pl_module,
                scores=list(self._scores.values()),
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
        """Return the records for a checkpoint."""
        return {"scores": self._scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the records of a checkpoint."""
        self._scores = dict(state_dict["scores"])


def _total_steps(trainer: Trainer) -> int | None:
    """Return the steps of a fit; None if they are unknown: data without a length, or no end."""
    steps = trainer.estimated_stepping_batches
    return int(steps) if 0 <= steps < math.inf else None


def _flush(trainer: Trainer) -> None:
    for optimizer in trainer.optimizers:
        if isinstance(optimizer, RowAdamW):
            optimizer.flush()
