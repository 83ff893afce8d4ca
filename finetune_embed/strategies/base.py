"""The base of all strategies, and strategies as one: `a | b`, and the text form they have."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

import torch
from torch import nn

from ..errors import StrategyError
from ..parsing import parse_call
from .arguments import CheckedArguments
from .clock import Clock, Timing, since_opening
from .layout import EMBEDDING
from .protocol import StrategyProtocol
from .row_rules import RowRule, merge_rules
from .words import Words

__all__ = [
    "STRATEGIES",
    "Anchored",
    "Composition",
    "FullTune",
    "Strategy",
    "compose",
    "named",
    "parse",
    "parts_of",
]


@dataclass(frozen=True)
class Strategy(StrategyProtocol):
    """The base of all strategies; it leaves everything open.

    Override `rate`, `gate` or `rows`, in a frozen dataclass without run-time state. Strategies
    compose: `a | b` multiplies rates and gates.

    Example:
        >>> strategy = fe.UnfreezeAfter(epochs=2) | fe.DiscriminativeLR(embedding=0.1)
        >>> str(strategy)
        'DiscriminativeLR(embedding=0.1) | UnfreezeAfter(epochs=2)'
        >>> fe.Strategy.parse("L2SP(decay=0.5) | UnfreezeAfter(epochs=1)").timing
        'epoch'
    """

    def __or__(self, other: Strategy) -> Strategy:
        """Compose two strategies; the order does not matter.

        Raises:
            StrategyError: the parts contradict each other, or one is a class.
        """
        return compose(self, other) if isinstance(other, Strategy) else _refuse_class(other)

    __ror__ = __or__

    @staticmethod
    def parse(text: str) -> Strategy:
        """Return the strategy of a text form such as `UnfreezeAfter(epochs=2)`.

        Raises:
            StrategyError: a name or an argument is unknown, or the parts contradict each other.
        """
        return parse(text)


S = TypeVar("S", bound=Strategy)
#: The strategies that a text form can name.
STRATEGIES: dict[str, type[Strategy]] = {}


def named(strategy: type[S]) -> type[S]:
    """Let text forms name a strategy, as a decorator of its class."""
    STRATEGIES[strategy.__name__] = strategy
    return strategy


def _refuse_class(other: object) -> Any:
    """Return NotImplemented, or raise if a class stands where a strategy should.

    Raises:
        StrategyError: it is the class of a strategy.
    """
    if isinstance(other, CheckedArguments):
        raise StrategyError(
            f"{other.__name__} is a class, not a strategy",
            value=other,
            remedy=f"make one of it: {other.__name__}(...)",
        )
    return NotImplemented


@named
@dataclass(frozen=True)
class FullTune(Strategy):
    """Tune all rows of the table from the first step, at the rate of the rest of the model.

    Combined with another strategy it adds nothing; with `Freeze` it is an error. Kim (2014) calls
    it *non-static*. Use it with plenty of training data; with little, the table forgets what the
    vectors knew of the words in the data.

    Example:
        >>> strategy = fe.FullTune()
        >>> [strategy.gate("embedding", fe.Clock(epoch=epoch)) for epoch in range(4)]
        [1.0, 1.0, 1.0, 1.0]
    """


class Anchored(Strategy):
    """A strategy that measures from where each row starts; a composition takes at most one."""

    def rule(self, start: torch.Tensor) -> RowRule:
        """Return the rule, given a copy of the table `(V, D)` as it starts."""
        raise NotImplementedError

    def rows(self, weight: nn.Parameter, vocab: Words | None) -> RowRule:
        return self.rule(weight.detach().clone())


@dataclass(frozen=True)
class Composition(Strategy):
    """Several strategies as one. Made by `|`, which checks and sorts the parts.

    Rates and gates multiply, masks AND, scales multiply, radius and max_norm take the minimum.
    At most one part sets the anchor, the decay and the shrink.

    Attributes:
        parts: the strategies, sorted by name; none is a composition.
    """

    parts: tuple[Strategy, ...] = ()

    def rate(self, name: str, depth: int) -> float:
        return math.prod(part.rate(name, depth) for part in self.parts)

    def gate(self, name: str, clock: Clock) -> float:
        others = [part for part in self.parts if not part.from_opening]
        ramps = [part for part in self.parts if part.from_opening]
        gate = math.prod(part.gate(name, clock) for part in others)
        if not ramps or gate <= 0:
            return gate

        def is_open(at: Clock) -> bool:
            return all(part.gate(name, at) > 0 for part in others)

        clock = since_opening(clock, ramps[0].timing, is_open)
        return gate * math.prod(part.gate(name, clock) for part in ramps)

    def rows(self, weight: nn.Parameter, vocab: Words | None) -> RowRule:
        return merge_rules([part.rows(weight, vocab) for part in self.parts])

    @property
    def timing(self) -> Timing:
        return "step" if any(part.timing == "step" for part in self.parts) else "epoch"

    @property
    def timed(self) -> bool:
        return any(part.timed for part in self.parts)

    @property
    def tunes(self) -> bool:
        return all(part.tunes for part in self.parts)

    @property
    def needs_scores(self) -> bool:
        return any(part.needs_scores for part in self.parts)

    def check_parts(self, names: Sequence[str]) -> None:
        for part in self.parts:
            part.check_parts(names)

    def __str__(self) -> str:
        return " | ".join(map(str, self.parts))


def parts_of(strategy: Strategy) -> tuple[Strategy, ...]:
    """Return the parts of a composition, or a strategy as its only part."""
    return strategy.parts if isinstance(strategy, Composition) else (strategy,)


def compose(*strategies: Strategy) -> Strategy:
    """Return strategies as one; commutative, with `FullTune()` as the identity except to `Freeze`.

    Raises:
        StrategyError: a class is given twice, `Freeze` meets a strategy about the table or
            `FullTune`, two parts measure from where rows start, or a ramp counts in another unit
            than what opens the table.
    """
    given = sorted((part for s in strategies for part in parts_of(s)), key=str)
    parts = [part for part in given if part != FullTune()]
    for pair in combinations(parts if all(part.tunes for part in parts) else given, 2):
        _check_pair(*pair)
    if not parts:
        return FullTune()
    return parts[0] if len(parts) == 1 else Composition(tuple(parts))


def _check_pair(a: Strategy, b: Strategy) -> None:
    both = f"{a} | {b}"
    if type(a) is type(b):
        raise StrategyError(
            f"{type(a).__name__} is given twice", where=both, remedy="keep one of them"
        )
    if isinstance(a, Anchored) and isinstance(b, Anchored):
        raise StrategyError("both set the rows' anchor", where=both, remedy="keep one of them")
    for one, other in ((a, b), (b, a)):
        if not one.tunes and _concerns_table(other):
            raise StrategyError(
                f"{one} keeps the table unchanged, so {other} would do nothing to it",
                where=both,
                remedy="keep one of them",
            )
        if one.from_opening and one.timing != other.timing and _starts_shut(other):
            raise StrategyError(
                f"{one} counts {one.timing}s from when {other} opens the table, which counts "
                f"{other.timing}s",
                where=both,
                remedy="let both count the same",
            )


def _concerns_table(strategy: Strategy) -> bool:
    has_rows = type(strategy).rows is not Strategy.rows
    changes = strategy.timed or has_rows or strategy.rate(EMBEDDING, 0) != 1
    return changes or strategy == FullTune()


def _starts_shut(strategy: Strategy) -> bool:
    return strategy.gate(EMBEDDING, Clock(total_steps=1, scores=(), depth=1, deepest=1)) <= 0


def parse(text: str) -> Strategy:
    """Return the strategy of a text form; see `Strategy.parse`."""
    known = dict(sorted(STRATEGIES.items()))
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise StrategyError(
            f"{text!r} is not a strategy",
            value=text,
            remedy=f"write one or more of {', '.join(known)}, such as "
            "'UnfreezeAfter(epochs=2) | DiscriminativeLR(embedding=0.1)'",
        ) from error
    return compose(
        *(parse_call(part, known, "strategy", StrategyError) for part in _operands(tree, text))
    )


def _operands(tree: ast.expr, text: str) -> list[str]:
    """Return the operands of `|` as text, from left to right."""
    operands: list[str] = []
    nodes = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            nodes += [node.right, node.left]
            continue
        try:
            operands.append(ast.unparse(node))
        except RecursionError as error:
            raise StrategyError(f"{text!r} is nested too deeply", value=text) from error
    return operands
