"""The steps of a run, and those from texts in memory; `streamed.py` has those from a stream.

A step is a function of the seed, the epoch and its number: a run can resume in the middle of an
epoch. Each of several processes gets its own share of every step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, Protocol

import torch

from ..data import EncodedTexts, batch_indices, token_batches, without_waste
from .runtime.processes import Processes
from .tasks import Task

__all__ = [
    "Batch",
    "Batching",
    "InMemory",
    "Source",
    "Step",
]

AHEAD = 1 << 14  # tokens of the steps that are made together


class Batch(NamedTuple):
    """The texts of a step that go through the model together.

    Attributes:
        ids: `(B, L)`, padded; for a head with `packed = True` one text after the other, `(N,)`.
        lengths: `(B,)`, the number of positions of each text that the head uses.
        words: `(B,)`, the number of tokens of each text.
        targets: one target per unit: a text, or a word.
        weight: the weight of its mean loss in the step, whose loss is the mean over all its units,
            by their weights where labels have some.
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    words: torch.Tensor
    targets: torch.Tensor
    weight: float


class Step(NamedTuple):
    """The batches whose gradients make up one optimizer step.

    A process without a batch still takes part in the step.

    Attributes:
        batches: those of this process.
        units: the number of units of all processes; where labels have weights, the sum of theirs.
    """

    batches: list[Batch]
    units: float


class Source(Protocol):
    """Where steps come from."""

    def steps(self, epoch: int, start: int = 0) -> Iterator[Step]:
        """Yield this process' share of each step of an epoch, from the step `start`."""

    def steps_of_run(self, epochs: int) -> int | None:
        """Return the number of steps of a run, None if it is unknown."""


@dataclass(frozen=True)
class Batching:
    """How texts become batches.

    Attributes:
        batch_size: texts per batch, over all processes.
        batch_tokens: tokens per batch, with padding; None to count texts instead.
        accumulation: batches whose gradients are accumulated for a step.
        packed: whether the head takes texts without padding.
        task: decides what a unit is, a text or a word.
        seed: the seed of the order.
        processes: the processes that share each batch.
    """

    batch_size: int
    batch_tokens: int | None
    accumulation: int
    packed: bool
    task: Task
    seed: int
    processes: Processes

    def rows(self, data: EncodedTexts, epoch: int) -> Iterator[torch.Tensor]:
        """Yield the numbers of the texts of each batch, in the order of an epoch."""
        if self.batch_tokens is None:
            yield from batch_indices(len(data), self.batch_size, self.seed, epoch)
        else:
            yield from token_batches(
                data.lengths, self.batch_tokens, self.seed, epoch, not self.packed
            )

    def count(self, data: EncodedTexts, epochs: int) -> int:
        """Return the number of steps of the first epochs."""
        if self.batch_tokens is None:
            batches = [math.ceil(len(data) / self.batch_size)] * epochs
        else:
            batches = [sum(1 for _ in self.rows(data, epoch)) for epoch in range(epochs)]
        return sum(math.ceil(number / self.accumulation) for number in batches)

    def units(self, data: EncodedTexts, rows: torch.Tensor) -> float:
        """Return the number of units of some texts that count, or the sum of their weights."""
        return self.task.weight_of(self.task.batch_targets(data, rows))

    def step(self, data: EncodedTexts, group: list[torch.Tensor]) -> Step:
        """Return this process' share of a step over some batches of texts."""
        index, count = self.processes.index, self.processes.count
        parts = [own for rows in group for own in self.parts(data, rows[index::count])]
        if count == 1:
            return self.step_of(data, parts)
        return self.step_of(data, parts, sum(self.units(data, rows) for rows in group))

    def step_of(
        self, data: EncodedTexts, parts: list[torch.Tensor], units_of_all: float | None = None
    ) -> Step:
        """Return a step of this process.

        Args:
            data: the texts.
            parts: the texts of each batch.
            units_of_all: the units of all processes; None if this process is alone.
        """
        batches = [self.batch(data, rows) for rows in parts]
        units = [self.task.weight_of(batch.targets) for batch in batches]
        total, count = units_of_all, self.processes.count
        if total is None:
            total, count = sum(units), 1
        weights = [number * count / total if total else 0.0 for number in units]
        pairs = zip(batches, weights, strict=True)
        return Step([batch._replace(weight=weight) for batch, weight in pairs], total)

    def parts(self, data: EncodedTexts, rows: torch.Tensor) -> list[torch.Tensor]:
        """Return the texts of a batch in the parts that go through the model one by one.

        That is all of them together, unless one long text would pad many short ones.
        """
        if self.packed:
            return [rows] if len(rows) else []
        return without_waste(rows, data.lengths)

    def batch(self, data: EncodedTexts, rows: torch.Tensor) -> Batch:
        """Return some texts as a batch, without a weight."""
        ids, lengths = data.packed(rows) if self.packed else data.padded(rows)
        words = data.lengths.index_select(0, rows)  # of an empty text 0, for which padding has 1
        return Batch(ids, lengths, words, self.task.batch_targets(data, rows), 0.0)


def in_advance(steps: Iterable[Step]) -> Iterator[Step]:
    """Yield steps, made several at a time: that is faster, since what makes them stays in caches.

    Together they have about `AHEAD` tokens, so that they take little memory.
    """
    made: list[Step] = []
    tokens = 0
    for step in steps:
        made.append(step)
        tokens += sum(batch.ids.numel() for batch in step.batches)
        if tokens >= AHEAD:
            yield from made
            made, tokens = [], 0
    yield from made


@dataclass(frozen=True)
class InMemory:
    """Encoded texts in memory, in another order each epoch."""

    data: EncodedTexts
    batching: Batching

    def steps(self, epoch: int, start: int = 0) -> Iterator[Step]:
        """Yield the steps of an epoch, from the step `start`."""
        rows = self.batching.rows(self.data, epoch)
        rows = islice(rows, start * self.batching.accumulation, None)
        groups = iter(lambda: list(islice(rows, self.batching.accumulation)), [])
        yield from in_advance(self.batching.step(self.data, group) for group in groups)

    def steps_of_run(self, epochs: int) -> int:
        """Return the number of steps of a run."""
        return self.batching.count(self.data, epochs)
