"""The strategy protocol: which part of a model trains, when, how fast, and which rows how far.

A strategy is a frozen dataclass of hyper-parameters without run-time state. A subclass overrides
only what it is about, `rate`, `gate` or `rows`; the three verbs that a training loop calls,
`param_groups`, `on_epoch_start` and `on_step_start`, are written once, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from torch import nn

from ..errors import StrategyError
from .layout import EMBEDDING, model_layout
from .row_rules import RowRule, attach_gate, attach_rule, hold_rows, open_or_close

if TYPE_CHECKING:
    from ..vocabulary import Vocabulary

__all__ = ["Clock", "Strategy"]

Timing = Literal["epoch", "step"]


@dataclass(frozen=True)
class Clock:
    """The moment of a run that a gate is asked about.

    Attributes:
        epoch: epochs finished so far.
        step: optimizer steps finished so far; 0 where only epochs are counted.
        total_steps: steps of the whole run, if known.
        scores: the validation records so far, oldest first; None where nobody keeps any.
        depth: of the part that is asked about, as for `rate`; None where a hook has no model.
        deepest: the depth of the table; None likewise.
    """

    epoch: int = 0
    step: int = 0
    total_steps: int | None = None
    scores: Sequence[Mapping[str, float]] | None = None
    depth: int | None = None
    deepest: int | None = None


@dataclass(frozen=True)
class Strategy:
    """The base of all strategies, and the one that leaves everything open.

    Override `rate`, `gate` or `rows`; set `about_table` to False where an instance has nothing to
    say about the table. Strategies compose: `a | b` multiplies rates and gates.
    """

    #: Row operations of which a composition can have one provider at most.
    provides: ClassVar[frozenset[str]] = frozenset()
    #: Whether the gate counts from when the strategies beside it have opened the table.
    from_opening: ClassVar[bool] = False

    def rate(self, name: str, depth: int) -> float:
        """Return the factor on the learning rate of a part of the model.

        Args:
            name: `embedding`, or the name of a part of the rest of the model.
            depth: 0 for the part nearest the output, growing toward the embedding.
        """
        return 1.0

    def gate(self, name: str, clock: Clock) -> float:
        """Return how open a part is now: 0 is frozen, 1 is open, between is a share of its rate.

        Other parts than the table are only asked about where a hook is given the model.
        """
        return 1.0

    def rows(self, weight: nn.Parameter, vocab: Vocabulary | None) -> RowRule:
        """Return which rows of the table train, and how far."""
        return RowRule()

    @property
    def timing(self) -> Timing:
        """Whether the gate changes by `epoch` or by `step`."""
        return "epoch"

    @property
    def about_table(self) -> bool:
        """Whether the strategy has anything to say about the table."""
        return True

    @property
    def tunes(self) -> bool:
        """Whether the table opens, now or later in a run that is long enough."""
        return True

    @property
    def timed(self) -> bool:
        """Whether what trains changes in the course of a run."""
        return type(self).gate is not Strategy.gate

    @property
    def opens_late(self) -> bool:
        """Whether the gate may keep the table shut for a while, to open it later."""
        return self.timed and not self.from_opening

    @property
    def goes_by_scores(self) -> bool:
        """Whether the gate goes by validation scores."""
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
        vocab: Vocabulary | None = None,
    ) -> list[dict[str, Any]]:
        """Return parameter groups for any torch optimizer; every parameter is in exactly one.

        Frozen parameters are included, so that no group has to be added later. Each group has a
        `name` and its own real `lr`. The table's group has no weight decay: torch's optimizers
        would apply it to rows that are in no batch. Decay of the table is that of a `RowRule`.
        Rows of special tokens that don't train are held, also in a copy of the model they were
        made for.

        Args:
            model: the model.
            embedding: the `nn.Embedding` inside it that is tuned, matched by identity.
            lr: the learning rate in units of the optimizer, times `rate` for each group.
            weight_decay: for all but the table.
            vocab: the vocabulary, for strategies that choose rows by word or by count.

        Raises:
            StrategyError: the embedding is not part of the model, the strategy does not fit the
                model, or it needs the vocabulary.
        """
        weight = table_weight(embedding)
        layout = model_layout(model, weight)
        self.check_parts([part.name for part in layout])
        hold_rows(embedding, weight)
        attach_rule(weight, self.rows(start_of(weight), vocab))
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
        scores: Sequence[Mapping[str, float]] | None = None,
    ) -> None:
        """Open or freeze the table for an epoch; call it first in each. May be called again.

        Args:
            embedding: the `nn.Embedding` that is tuned.
            epoch: epochs finished so far.
            model: the model, for strategies that freeze other parts too; without, only the table
                is opened and frozen. Parameters that were frozen by others stay as they are.
            scores: the validation records so far, oldest first.

        Raises:
            StrategyError: the strategy is timed by step.
        """
        if self.timing == "step":
            raise StrategyError(
                f"{self} is timed by step; in the batch loop, before the forward pass, call "
                "strategy.on_step_start(embedding, step, epoch=epoch)"
            )
        self._apply(embedding, model, Clock(epoch=epoch, scores=scores))

    def on_step_start(
        self,
        embedding: nn.Module,
        step: int,
        *,
        epoch: int = 0,
        total_steps: int | None = None,
        model: nn.Module | None = None,
        scores: Sequence[Mapping[str, float]] | None = None,
    ) -> None:
        """Open or freeze the table for a step; call it before the forward pass of each.

        Args:
            embedding: the `nn.Embedding` that is tuned.
            step: optimizer steps finished so far.
            epoch: epochs finished so far.
            total_steps: steps of the whole run, if known.
            model: as in `on_epoch_start`.
            scores: the validation records so far, oldest first.

        Raises:
            StrategyError: the strategy is timed by epoch.
        """
        if self.timing == "epoch":
            raise StrategyError(
                f"{self} is timed by epoch; at the start of each epoch call "
                "strategy.on_epoch_start(embedding, epoch)"
            )
        self._apply(embedding, model, Clock(epoch, step, total_steps, scores))

    def _apply(self, embedding: nn.Module, model: nn.Module | None, clock: Clock) -> None:
        weight = table_weight(embedding)
        parts = model_layout(model, weight) if model is not None else []
        deepest = parts[0].depth if parts else None
        gate = self.gate(EMBEDDING, replace(clock, depth=deepest, deepest=deepest))
        weight.requires_grad_(gate > 0)
        if gate <= 0:
            weight.grad = None  # a leftover gradient would still move the table
        attach_gate(weight, gate, self, clock.epoch)
        for part in parts[1:]:
            gate = self.gate(part.name, replace(clock, depth=part.depth, deepest=deepest))
            open_or_close(part.params, gate > 0)
            for parameter in part.params:
                attach_gate(parameter, gate, self, clock.epoch)

    def __or__(self, other: Strategy) -> Strategy:
        """Compose two strategies; the order does not matter."""
        from .composition import compose

        return compose(self, other) if isinstance(other, Strategy) else NotImplemented

    def __str__(self) -> str:
        """Return the spelling that `Strategy.parse`, the command line and YAML take."""
        told = [
            f"{field.name}={_plain(getattr(self, field.name))!r}"
            for field in fields(self)
            if getattr(self, field.name) != _default_of(field)
        ]
        return f"{type(self).__name__}({', '.join(told)})" if told else type(self).__name__

    @staticmethod
    def parse(text: str) -> Strategy:
        """Return the strategy that a spelling such as `UnfreezeAfter(epochs=2)` means.

        Raises:
            StrategyError: a name or an argument is unknown, or the parts contradict each other.
        """
        from .composition import parse

        return parse(text)


def keep_start(embedding: nn.Module) -> None:
    """Keep a copy of a table, for `param_groups` to take as its start when it is called later."""
    weight = table_weight(embedding)
    start = nn.Parameter(weight.detach().clone(), requires_grad=False)
    vars(start).update(vars(weight))
    vars(weight)["row_start"] = start


def forget_start(embedding: nn.Module) -> None:
    """Drop what `keep_start` has kept."""
    vars(table_weight(embedding)).pop("row_start", None)


def start_of(weight: nn.Parameter) -> nn.Parameter:
    """Return the weight as it was when its start was kept; itself, if it was not."""
    start: nn.Parameter = getattr(weight, "row_start", weight)
    return start


def _plain(value: Any) -> Any:
    """Return Python's number in the place of numpy's, and anything else as it is."""
    return value.item() if type(value).__module__ == "numpy" and not value.shape else value


def _default_of(field: Field[Any]) -> Any:
    """Return the default of a field, `MISSING` if it has none."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def table_weight(embedding: nn.Module) -> nn.Parameter:
    """Return the weight `(V, D)` of an embedding module.

    Raises:
        StrategyError: the module has no two-dimensional parameter `weight`.
    """
    weight = getattr(embedding, "weight", None)
    if not isinstance(weight, nn.Parameter) or weight.ndim != 2:
        raise StrategyError(
            f"{type(embedding).__name__} has no weight of shape (V, D); pass the nn.Embedding "
            "itself, such as model.embedding"
        )
    return weight
