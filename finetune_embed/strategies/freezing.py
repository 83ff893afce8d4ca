"""Strategies of when the table trains: never, or after a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import Option, StrategyError
from .arguments import check_count, check_number, check_share, check_text
from .base import Strategy, named
from .clock import Clock, Record, Timing
from .layout import EMBEDDING
from .validation_records import epoch_of_plateau

__all__ = ["Freeze", "HeadFirst", "UnfreezeAfter", "UnfreezeOnPlateau"]


@named
@dataclass(frozen=True)
class Freeze(Strategy):
    """Keep the table unchanged, bit for bit; only the rest of the model trains.

    Kim (2014) calls it *static*. The baseline that every other strategy has to beat.

    Example:
        >>> strategy = fe.Freeze()
        >>> [strategy.gate("embedding", fe.Clock(epoch=epoch)) for epoch in range(4)]
        [0.0, 0.0, 0.0, 0.0]
    """

    @property
    def tunes(self) -> bool:
        return False

    def gate(self, name: str, clock: Clock) -> float:
        return 0.0 if name == EMBEDDING else 1.0


@named
@dataclass(frozen=True)
class UnfreezeAfter(Strategy):
    """Freeze the table until the rest of the model has trained for a while, then tune it.

    A new head sends large, random gradients into the table; a table that opens later is spared
    them (Howard and Ruder 2018, ULMFiT, section 3.3; Lightning's `BackboneFinetuning` does the
    same). Of no use if the table opens only when the head has finished training.

    Attributes:
        epochs: the number of epochs before the table opens; or
        steps: the number of optimizer steps before it opens; or
        fraction: the share of all steps before it opens, at least 0 and below 1. Give one of the
            three.

    Example:
        >>> strategy = fe.UnfreezeAfter(epochs=2)
        >>> [strategy.gate("embedding", fe.Clock(epoch=epoch)) for epoch in range(4)]
        [0.0, 0.0, 1.0, 1.0]
    """

    epochs: int | None = None
    steps: int | None = None
    fraction: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) != 1:
            raise StrategyError(
                "UnfreezeAfter takes either epochs, steps or fraction",
                value=given,
                remedy="write UnfreezeAfter(epochs=2), UnfreezeAfter(steps=500) or "
                "UnfreezeAfter(fraction=0.3)",
            )
        if self.fraction is None:
            check_count(self, *given.values())
        else:
            legal = "at least 0 and below 1"
            check_share(self, "fraction", self.fraction, legal, lambda share: 0 <= share < 1)

    @property
    def timing(self) -> Timing:
        return "step" if self.epochs is None else "epoch"

    def gate(self, name: str, clock: Clock) -> float:
        if name != EMBEDDING:
            return 1.0
        if self.epochs is not None:
            return float(clock.epoch >= self.epochs)
        if self.steps is not None:
            return float(clock.step >= self.steps)
        if clock.total_steps is None:
            raise StrategyError(
                f"{self} needs the number of all steps",
                value=self,
                remedy=(
                    "pass it to strategy.on_step_start(embedding, step, total_steps=...), or, for "
                    "a stream of unknown length, to finetune(..., ",
                    Option("max_steps", ...),
                    ")",
                ),
            )
        return float(clock.step >= (self.fraction or 0) * clock.total_steps)


@named
@dataclass(frozen=True)
class UnfreezeOnPlateau(Strategy):
    """Freeze the table until the validation score stops improving, then tune it.

    Like `UnfreezeAfter`, but you need not know in advance how long the head takes; compare
    `torch.optim.lr_scheduler.ReduceLROnPlateau`, which does it to a rate. It needs validation
    records: `finetune` keeps them, your own loop passes them as `scores`.

    Attributes:
        patience: the number of epochs in a row without improvement before the table opens.
        metric: `loss`, or a score that should grow, such as `accuracy`.
        min_delta: an improvement must be larger than this.

    Example:
        >>> strategy = fe.UnfreezeOnPlateau(patience=1)
        >>> better, worse = {"validation_loss": 0.5}, {"validation_loss": 0.6}
        >>> strategy.gate("embedding", fe.Clock(epoch=1, scores=[better]))
        0.0
        >>> strategy.gate("embedding", fe.Clock(epoch=2, scores=[better, worse]))
        1.0
    """

    patience: int = 1
    metric: str = "loss"
    min_delta: float = 0.0

    def __post_init__(self) -> None:
        check_count(self, self.patience, least=1)
        check_number(self, "min_delta", self.min_delta, zero=True)
        check_text(self, "metric", self.metric)

    @property
    def needs_scores(self) -> bool:
        return True

    def gate(self, name: str, clock: Clock) -> float:
        scores = needed_scores(self, clock)
        opened = epoch_of_plateau(scores, self.patience, self.metric, self.min_delta)
        return 1.0 if name != EMBEDDING else float(opened is not None and clock.epoch >= opened)


@named
@dataclass(frozen=True)
class HeadFirst(Strategy):
    """Train the head alone until it is good, then everything at a small rate.

    *LP-FT* of Kumar et al. (2022, ICLR, "Fine-tuning can distort pretrained features"): a head
    that already fits the vectors sends smaller gradients into the table, which distorts it less.
    The paper trains the linear probe to convergence and then starts a second run; here it is one
    run: the moments of the head carry over, and the rate of all parts is multiplied.

    Attributes:
        epochs: the number of epochs the head trains alone; or
        patience: the number of epochs in a row without a better validation score. Give one.
        rate_after: the factor on all rates afterwards.
        metric: as for `UnfreezeOnPlateau`.

    Example:
        >>> strategy = fe.HeadFirst(epochs=2, rate_after=0.1)
        >>> [strategy.gate("embedding", fe.Clock(epoch=epoch)) for epoch in range(4)]
        [0.0, 0.0, 0.1, 0.1]
        >>> [strategy.gate("output", fe.Clock(epoch=epoch)) for epoch in range(4)]
        [1.0, 1.0, 0.1, 0.1]
    """

    epochs: int | None = None
    patience: int | None = None
    rate_after: float = 0.1
    metric: str = "loss"

    def __post_init__(self) -> None:
        if (self.epochs is None) == (self.patience is None):
            raise StrategyError(
                "HeadFirst takes either epochs or patience",
                value=(self.epochs, self.patience),
                remedy="write HeadFirst(epochs=3) or HeadFirst(patience=2)",
            )
        if self.epochs is not None:
            check_count(self, self.epochs)
        if self.patience is not None:
            check_count(self, self.patience, least=1)
        legal = "above 0 and at most 1"
        check_share(self, "rate_after", self.rate_after, legal, lambda rate: 0 < rate <= 1)
        check_text(self, "metric", self.metric)

    @property
    def needs_scores(self) -> bool:
        return self.patience is not None

    def gate(self, name: str, clock: Clock) -> float:
        opens = self.epochs
        if self.patience is not None:
            opens = epoch_of_plateau(needed_scores(self, clock), self.patience, self.metric)
        if opens is not None and clock.epoch >= opens:
            return self.rate_after
        return 0.0 if name == EMBEDDING else 1.0


def needed_scores(strategy: Strategy, clock: Clock) -> Sequence[Record]:
    """Return the validation records.

    Raises:
        StrategyError: the hook was not given any, not even an empty list, or more than one for an
            epoch.
    """
    if clock.scores is None:
        raise StrategyError(
            f"{strategy} needs validation scores",
            value=strategy,
            remedy="give the records so far, one for each epoch: "
            "strategy.on_epoch_start(embedding, epoch, scores=history)",
        )
    if len(clock.scores) > clock.epoch:
        raise StrategyError(
            f"{strategy} takes one validation record for each finished epoch, and there are "
            f"{len(clock.scores)} after {clock.epoch}",
            value=len(clock.scores),
            remedy="keep the last record of each epoch, {} for one without validation: "
            "strategy.on_epoch_start(embedding, len(history), scores=history)",
        )
    return clock.scores
