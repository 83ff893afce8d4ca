"""Strategies together: `a | b`, and the one spelling that they are read from."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..errors import StrategyError
from ..parsing import parse_call
from .base import Clock, Strategy, Timing
from .freezing import Freeze, FullTune, HeadFirst, UnfreezeAfter, UnfreezeOnPlateau
from .gradual_unfreezing import ChainThaw, GradualUnfreeze
from .learning_rates import DiscriminativeLR, RampUp
from .regularizers import L2SP, DeltaShrink, MaxNorm, TrustRegion
from .row_rules import RowRule
from .row_selection import FrequencyLR, LockRows, TrainRows

if TYPE_CHECKING:
    from ..vocabulary import Vocabulary

__all__ = ["STRATEGIES", "Composition", "compose", "parse"]

#: Every strategy that can be spelled, by its name.
STRATEGIES: dict[str, Callable[..., Strategy]] = {
    strategy.__name__: strategy
    for strategy in (
        ChainThaw,
        DeltaShrink,
        DiscriminativeLR,
        Freeze,
        FrequencyLR,
        FullTune,
        GradualUnfreeze,
        HeadFirst,
        L2SP,
        LockRows,
        MaxNorm,
        RampUp,
        TrainRows,
        TrustRegion,
        UnfreezeAfter,
        UnfreezeOnPlateau,
    )
}


@dataclass(frozen=True)
class Composition(Strategy):
    """Several strategies as one. Made by `|`, which checks and sorts the parts.

    Rates and gates multiply, masks AND, scales multiply, radius and max_norm take the minimum.
    Anchor, decay and shrink have one provider at most, and decay is not to be combined with the
    optimizer's own `weight_decay` on the table, which `param_groups` keeps at 0.

    Attributes:
        parts: the strategies, sorted by name, none of them a composition.
    """

    parts: tuple[Strategy, ...] = ()

    def rate(self, name: str, depth: int) -> float:
        return math.prod(part.rate(name, depth) for part in self.parts)

    def gate(self, name: str, clock: Clock) -> float:
        gate = math.prod(part.gate(name, clock) for part in self.parts if not part.from_opening)
        ramps = [part for part in self.parts if part.from_opening]
        if not ramps or gate <= 0:
            return gate
        clock = self._since_opening(name, clock, ramps[0].timing)
        return gate * math.prod(part.gate(name, clock) for part in ramps)

    def _since_opening(self, name: str, clock: Clock, timing: Timing) -> Clock:
        """Return a clock that counts epochs or steps from when what is open now was opened."""
        others = [part for part in self.parts if not part.from_opening]

        def is_open(at: Clock) -> bool:
            return all(part.gate(name, at) > 0 for part in others)

        if timing == "epoch":
            first = clock.epoch
            while first and is_open(_at_epoch(clock, first - 1)):
                first -= 1
            return replace(clock, epoch=clock.epoch - first)
        shut, first = -1, clock.step
        while first - shut > 1:  # a gate by steps opens once
            middle = (shut + first) // 2
            if is_open(replace(clock, step=middle)):
                first = middle
            else:
                shut = middle
        return replace(clock, step=clock.step - first)

    def rows(self, weight: nn.Parameter, vocab: Vocabulary | None) -> RowRule:
        rules = [part.rows(weight, vocab) for part in self.parts]
        return RowRule(
            train=_merge([rule.train for rule in rules], torch.logical_and),
            opens=_merge([rule.opens for rule in rules], torch.maximum),
            scale=_merge([rule.scale for rule in rules], torch.mul),
            anchor=next((rule.anchor for rule in rules if rule.anchor is not None), None),
            decay=max(rule.decay for rule in rules),
            shrink=max(rule.shrink for rule in rules),
            radius=_least([rule.radius for rule in rules]),
            max_norm=min(rule.max_norm for rule in rules),
        )

    @property
    def about_table(self) -> bool:
        return any(part.about_table for part in self.parts)

    @property
    def timed(self) -> bool:
        return any(part.timed for part in self.parts)

    @property
    def goes_by_scores(self) -> bool:
        return any(part.goes_by_scores for part in self.parts)

    @property
    def tunes(self) -> bool:
        return all(part.tunes for part in self.parts)

    def check_parts(self, names: Sequence[str]) -> None:
        for part in self.parts:
            part.check_parts(names)

    @property
    def timing(self) -> Timing:
        return "step" if any(part.timing == "step" for part in self.parts) else "epoch"

    def __str__(self) -> str:
        return " | ".join(map(str, self.parts))


def compose(*strategies: Strategy) -> Strategy:
    """Return strategies as one; commutative, with `FullTune()` as the identity.

    Raises:
        StrategyError: a class is given twice, `Freeze` meets a strategy about the table, or two
            strategies provide the same row operation.
    """
    parts: list[Strategy] = []
    for strategy in strategies:
        parts += strategy.parts if isinstance(strategy, Composition) else [strategy]
    parts = sorted((part for part in parts if part != FullTune()), key=lambda part: str(part))
    for i, part in enumerate(parts):
        for other in parts[i + 1 :]:
            _check_pair(part, other)
    if not parts:
        return FullTune()
    return parts[0] if len(parts) == 1 else Composition(tuple(parts))


def _check_pair(a: Strategy, b: Strategy) -> None:
    if type(a) is type(b):
        raise StrategyError(f"{a} | {b}: {type(a).__name__} is given twice; keep one of them")
    for freeze, other in ((a, b), (b, a)):
        if isinstance(freeze, Freeze) and other.about_table:
            raise StrategyError(
                f"{a} | {b}: Freeze keeps the table as it is, so {other} would do nothing to it; "
                "keep one of them"
            )
    for ramp, other in ((a, b), (b, a)):
        if ramp.from_opening and other.opens_late and ramp.timing != other.timing:
            raise StrategyError(
                f"{a} | {b}: {ramp} counts {ramp.timing}s from when {other} opens the table, which "
                f"counts {other.timing}s; let both count the same"
            )
    if both := a.provides & b.provides:
        raise StrategyError(
            f"{a} | {b}: both set the rows' {' and '.join(sorted(both))}; keep one of them"
        )


def parse(text: str) -> Strategy:
    """Return the strategy that a spelling means; see `Strategy.parse`."""
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise StrategyError(
            f"{text!r} is no strategy; write one or more of {', '.join(STRATEGIES)}, such as "
            "'UnfreezeAfter(epochs=2) | DiscriminativeLR(embedding=0.1)'"
        ) from error
    return compose(*(_parse_part(node) for node in _operands(tree)))


def _operands(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _operands(node.left) + _operands(node.right)
    return [node]


def _parse_part(node: ast.expr) -> Strategy:
    return parse_call(ast.unparse(node), STRATEGIES, "strategy", StrategyError)


def _at_epoch(clock: Clock, epoch: int) -> Clock:
    """Return the clock as it was at the start of an epoch."""
    scores = None if clock.scores is None else clock.scores[:epoch]
    return replace(clock, epoch=epoch, scores=scores)


def _least(radii: list[float | torch.Tensor]) -> float | torch.Tensor:
    """Return the smaller of radii, row by row where one has a number for each."""
    least: float | torch.Tensor = math.inf
    for radius in radii:
        if isinstance(least, torch.Tensor) or isinstance(radius, torch.Tensor):
            least = torch.minimum(torch.as_tensor(least), torch.as_tensor(radius))
        else:
            least = min(least, radius)
    return least


def _merge(values: list[Any], combine: Callable[[Any, Any], Any]) -> Any:
    """Combine the values that are given, None if there is none."""
    merged = None
    for value in values:
        if value is not None:
            merged = value if merged is None else combine(merged, value)
    return merged
