"""The strategy protocol: what a strategy overrides, and what a training loop calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from ..errors import StrategyError
from .arguments import CheckedArguments, text_of
from .clock import Clock, Record, Timing
from .gates import apply_gates, forget_gates
from .layout import EMBEDDING, model_layout
from .row_rules import RowRule, attach_rule
from .watch import Watch, mark_module, put_watch
from .weights import check_not_renormed, hold_rows, start_of, table_weight
from .words import Words

__all__ = ["StrategyProtocol"]


@dataclass(frozen=True)
class StrategyProtocol(metaclass=CheckedArguments):
    """A frozen dataclass of hyper-parameters without run-time state.

    Without overrides, everything trains. A subclass overrides `rate`, `gate` or `rows`. The methods
    that a training loop calls, `param_groups`, `on_epoch_start` and `on_step_start`, are written
    once, here.
    """

    #: Whether the gate counts from when the other strategies of a composition open the table.
    from_opening: ClassVar[bool] = False

    def rate(self, name: str, depth: int) -> float:
        """Return the factor on the learning rate of a part of the model.

        Args:
            name: `embedding`, or the name of another part of the model.
            depth: 0 for the part nearest the output, growing toward the embedding.
        """
        return 1.0

    def gate(self, name: str, clock: Clock) -> float:
        """Return how open a part is now: 0 is frozen, 1 is open, between is a share of its rate.

        Parts other than the table have a gate only if the hook is given the model.
        """
        return 1.0

    def rows(self, weight: nn.Parameter, vocab: Any) -> RowRule:
        """Return which rows of the table train, and how far.

        Args:
            weight: the table `(V, D)`.
            vocab: what `param_groups` was given, `Words` or None. The type is open so that an
                override may say `Vocabulary | None`.
        """
        return RowRule()

    @property
    def timing(self) -> Timing:
        """Whether the gate changes by `epoch` or by `step`."""
        return "epoch"

    @property
    def timed(self) -> bool:
        """Whether there is a gate, so that what trains depends on the hooks."""
        return type(self).gate is not StrategyProtocol.gate

    @property
    def tunes(self) -> bool:
        """Whether the table opens, now or later in a run that is long enough."""
        return True

    @property
    def needs_scores(self) -> bool:
        """Whether the gate depends on validation scores."""
        return False

    def check_parts(self, names: Sequence[str]) -> None:
        """Check that the strategy fits a model with parts of these names.

        Raises:
            StrategyError: it does not.
        """

    def param_groups(
        self,
        model: nn.Module,
        embedding: nn.Module,
        *,
        lr: float,
        weight_decay: float = 0.0,
        vocab: Words | None = None,
    ) -> list[dict[str, Any]]:
        """Return parameter groups for any torch optimizer; every parameter is in exactly one.

        Frozen parameters are included, so no group has to be added later. Each group has a `name`
        and its own `lr`. The table's group has no weight decay, which torch's optimizers would
        apply to rows that are in no batch; a `RowRule` can decay them. The strategy takes the place
        of any earlier one on the table; `FullTune` ends it.

        Args:
            model: the model.
            embedding: the `nn.Embedding` in the model that is tuned, matched by identity.
            lr: the learning rate, multiplied by `rate` for each group.
            weight_decay: for all parts except the table.
            vocab: the vocabulary, for strategies that choose rows by word or by count.

        The first step of an optimizer is an error if the strategy has a gate and none of the two
        hooks below has run on the table.

        Raises:
            StrategyError: the embedding is not part of the model, it has a `max_norm`, the strategy
                does not fit the model, or it needs the vocabulary.
        """
        weight = table_weight(embedding)
        layout = model_layout(model, weight)
        self.check_parts([part.name for part in layout])
        for module in (embedding, model):
            check_not_renormed(module, [weight])
        hold_rows(embedding, weight)
        attach_rule(weight, self.rows(start_of(weight), vocab))
        forget_gates(parameter for part in layout for parameter in part.params)
        put_watch(weight, self._watch())
        mark_module(embedding)
        mark_module(model)
        return [
            {
                "params": part.params,
                "name": part.name,
                "lr": lr * self.rate(part.name, part.depth),
                "weight_decay": 0.0 if part.name == EMBEDDING else weight_decay,
                "row_wise": part.name == EMBEDDING,
            }
            for part in layout
        ]

    def on_epoch_start(
        self,
        embedding: nn.Module,
        epoch: int,
        *,
        model: nn.Module | None = None,
        scores: Sequence[Record] | None = None,
    ) -> None:
        """Open or freeze the table for an epoch. Call it first in each epoch; repeats are harmless.

        Args:
            embedding: the `nn.Embedding` that is tuned.
            epoch: finished epochs.
            model: the model, for strategies that also freeze other parts. Parameters that you
                froze yourself stay frozen.
            scores: the validation record of each finished epoch, oldest first; empty for an epoch
                without validation.

        Raises:
            StrategyError: the strategy is timed by step, the weight is not the one that
                `param_groups` saw, every part of the model would be frozen, or the strategy needs
                what was not given.
        """
        if self.timing == "step":
            raise StrategyError(
                f"{self} is timed by step",
                value=self,
                remedy="in the batch loop, before the forward pass, call "
                "strategy.on_step_start(embedding, step, epoch=epoch)",
            )
        clock = Clock(epoch=epoch, scores=scores)
        apply_gates(embedding, model, clock, self.gate, self, self._watch)

    def on_step_start(
        self,
        embedding: nn.Module,
        step: int,
        *,
        epoch: int = 0,
        total_steps: float | None = None,
        model: nn.Module | None = None,
        scores: Sequence[Record] | None = None,
    ) -> None:
        """Open or freeze the table for a step. Call it before the forward pass of each step.

        Args:
            embedding: the `nn.Embedding` that is tuned.
            step: finished optimizer steps.
            epoch: finished epochs.
            total_steps: steps of the run, if known.
            model: as in `on_epoch_start`.
            scores: as in `on_epoch_start`.

        Raises:
            StrategyError: the strategy is timed by epoch; and as for `on_epoch_start`.
        """
        if self.timing == "epoch":
            raise StrategyError(
                f"{self} is timed by epoch",
                value=self,
                remedy="at the start of each epoch call strategy.on_epoch_start(embedding, epoch)",
            )
        clock = Clock(epoch, step, total_steps, scores)
        apply_gates(embedding, model, clock, self.gate, self, self._watch)

    def _watch(self) -> Watch:
        return Watch(str(self), self.timing, self.timed)

    def __str__(self) -> str:
        """Return the text form, which `Strategy.parse`, the command line and YAML accept."""
        return text_of(self)
