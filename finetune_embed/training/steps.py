"""What a run trains on, step by step: texts in memory, or a stream that is never held whole.

Both give the same steps for the same seed, epoch and number, so that a run can go on in the middle
of an epoch; and to each of several processes its own share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from ..data import EncodedTexts, batch_indices, token_batches
from ..errors import DataError, FinetuneEmbedError
from .runtime.processes import Processes
from .tasks import Task

__all__ = [
    "Batch",
    "Batching",
    "InMemory",
    "Source",
    "Step",
    "Streamed",
    "as_split",
    "read_examples",
]

BLOCK = 8_192  # texts of a stream that are shuffled together
#: What `datasets` makes a stream of, whose shards have the same examples as the whole.
_BY_SHARDS = frozenset(
    {
        "ExamplesIterable",
        "ArrowExamplesIterable",
        "RebatchedArrowExamplesIterable",
        "SelectColumnsIterable",
        "TypedExamplesIterable",
        "FormattedExamplesIterable",
        "MappedExamplesIterable",
        "FilteredExamplesIterable",
        "BufferShuffledExamplesIterable",
        "VerticallyConcatenatedMultiSourcesExamplesIterable",
    }
)


class Batch(NamedTuple):
    """Some texts of a step, as many as go through the model at a time.

    Attributes:
        ids: `(B, L)`, padded; for a head with `packed = True` one text after the other, `(N,)`.
        lengths: `(B,)`, positions of each text that the head looks at.
        words: `(B,)`, the words of each text.
        targets: what the head should say, a unit each: a text, or a word.
        weight: of its mean loss in the step, so that the step has the mean loss of all its units.
    """

    ids: torch.Tensor
    lengths: torch.Tensor
    words: torch.Tensor
    targets: torch.Tensor
    weight: float


class Step(NamedTuple):
    """The batches whose gradients make up one step of the optimizer, and their units in all.

    Of several processes, one may have no batch; it takes part in the step all the same.
    """

    batches: list[Batch]
    units: int


class Source(Protocol):
    """Where steps come from."""

    def steps(self, epoch: int, start: int = 0) -> Iterator[Step]:
        """Yield the steps of an epoch from a number on, this process' share of each."""

    def steps_of_run(self, epochs: int) -> int | None:
        """Return the steps of a whole run, None if they can't be known."""


@dataclass(frozen=True)
class Batching:
    """How texts become batches.

    Attributes:
        batch_size: texts that go through the model at a time, over all processes.
        batch_tokens: words, with padding, that do so instead; None to count texts.
        accumulation: batches whose gradients are added up for a step.
        packed: whether the head takes texts without padding.
        task: says what a unit is, a text or a word.
        seed: of the order.
        processes: who shares each batch.
    """

    batch_size: int
    batch_tokens: int | None
    accumulation: int
    packed: bool
    task: Task
    seed: int
    processes: Processes

    def rows(self, data: EncodedTexts, epoch: int) -> Iterator[torch.Tensor]:
        """Yield the texts of each batch of an epoch, in an order of its own."""
        if self.batch_tokens is None:
            yield from batch_indices(len(data), self.batch_size, self.seed, epoch)
        else:
            yield from token_batches(
                data.lengths, self.batch_tokens, self.seed, epoch, not self.packed
            )

    def count(self, data: EncodedTexts, epochs: int) -> int:
        """Return the steps that the first epochs have."""
        if self.batch_tokens is None:
            batches = [math.ceil(len(data) / self.batch_size)] * epochs
        else:
            batches = [sum(1 for _ in self.rows(data, epoch)) for epoch in range(epochs)]
        return sum(math.ceil(number / self.accumulation) for number in batches)

    def units(self, data: EncodedTexts, rows: torch.Tensor) -> int:
        """Return how many units some texts are."""
        return int(data.lengths[rows].sum().item()) if self.task.per_word else len(rows)

    def step(self, data: EncodedTexts, group: list[torch.Tensor]) -> Step:
        """Return this process' share of a step over some batches of texts."""
        index, count = self.processes.index, self.processes.count
        total = sum(self.units(data, rows) for rows in group)
        batches = []
        for rows in group:
            own = rows[index::count]
            if len(own):
                weight = self.units(data, own) * count / total if total else 0.0
                batches.append(self.batch(data, own, weight))
        return Step(batches, total)

    def batch(self, data: EncodedTexts, rows: torch.Tensor, weight: float) -> Batch:
        """Return some texts as a batch."""
        ids, lengths = data.packed(rows) if self.packed else data.padded(rows)
        words = data.lengths[rows]  # of an empty text 0, for which padding has 1
        return Batch(ids, lengths, words, self.task.batch_targets(data, rows), weight)


@dataclass(frozen=True)
class InMemory:
    """Encoded texts that are all at hand, in another order each epoch."""

    data: EncodedTexts
    batching: Batching

    def steps(self, epoch: int, start: int = 0) -> Iterator[Step]:
        """Yield the steps of an epoch from a number on."""
        rows = self.batching.rows(self.data, epoch)
        rows = islice(rows, start * self.batching.accumulation, None)
        while group := list(islice(rows, self.batching.accumulation)):
            yield self.batching.step(self.data, group)

    def steps_of_run(self, epochs: int) -> int:
        """Return the steps of a whole run."""
        return self.batching.count(self.data, epochs)


class Streamed:
    """A stream of examples, shuffled by blocks, of which one at a time is held.

    With several processes each reads shards of its own, if the stream has as many for each, or else
    every so-many-th example; what a step is made of then differs from that of one process.

    Args:
        stream: a `datasets.IterableDataset`, not shuffled, that gives the same each time.
        encode: makes encoded texts of a block of its examples; gets the number of the first.
        batching: how texts become batches; by their number only.
        examples: how many the stream has, if that is known.
        where: what to call it in messages.

    Raises:
        DataError: batches are to be counted in words, or the processes can't share a batch.
    """

    def __init__(
        self,
        stream: Any,
        encode: Callable[[list[Any], int], EncodedTexts],
        batching: Batching,
        examples: int | None,
        where: str = "the stream",
    ) -> None:
        count = batching.processes.count
        if batching.batch_tokens is not None:
            raise DataError(
                f"batch_tokens={batching.batch_tokens} sorts texts by length, which a streamed "
                "data set can't be; pass batch_size=... instead"
            )
        if batching.batch_size % count:
            raise DataError(
                f"batch_size={batching.batch_size} can't be shared evenly by {count} processes; "
                f"pass batch_size={count * math.ceil(batching.batch_size / count)}"
            )
        self._batching, self._encode, self._examples = batching, encode, examples
        self._where = where
        self._size = batching.batch_size // count  # texts of a batch in this process
        self._steps_of_block = max(1, BLOCK // (self._size * batching.accumulation))
        self._by_shards = count > 1 and not stream.num_shards % count and _splits_by_shards(stream)
        if self._by_shards:
            from datasets.distributed import split_dataset_by_node

            stream = split_dataset_by_node(stream, batching.processes.index, count)
        self._stream = stream

    def steps_of_run(self, epochs: int) -> int | None:
        """Return the steps of a whole run: as many as the process with the most examples makes."""
        if self._examples is None:
            return None
        return epochs * math.ceil(self._most / (self._size * self._batching.accumulation))

    @cached_property
    def _most(self) -> int:
        """The most examples that a process has; shards need not be of one size."""
        index, count = self._batching.processes.index, self._batching.processes.count
        if not self._by_shards:
            return math.ceil((self._examples or 0) / count)
        own = sum(1 for _ in read_examples(self._stream, self._where))
        return int(max(self._batching.processes.sum(*[own * (i == index) for i in range(count)])))

    def steps(self, epoch: int, start: int = 0) -> Iterator[Step]:
        """Yield the steps of an epoch from a number on."""
        nothing = start == 0
        for step in self._shared_steps(epoch, start):
            nothing = False
            yield step
        if nothing:
            raise DataError(
                f"the stream had nothing to give in epoch {epoch + 1}, though it had before; it is "
                "read once an epoch, so make it of a function that begins anew each time: "
                "IterableDataset.from_generator(read_examples)"
            )

    def _shared_steps(self, epoch: int, start: int) -> Iterator[Step]:
        """Yield the steps of all processes, this one's share of each, until none has any left."""
        own, processes = self._own_steps(epoch, start), self._batching.processes
        if processes.count == 1:
            yield from own
            return
        while True:
            step = next(own, None)
            batches, units = step if step is not None else ([], 0)
            total, left = processes.sum(units, step is not None)
            if not left:
                return
            factor = units * processes.count / total if total else 0.0
            yield Step([b._replace(weight=b.weight * factor) for b in batches], int(total))

    def _own_steps(self, epoch: int, start: int) -> Iterator[Step]:
        """Yield the steps of this process, each as if it were alone."""
        batching, of_step = self._batching, self._size * self._batching.accumulation
        block, skipped = divmod(start, self._steps_of_block)
        size = self._steps_of_block * of_step
        examples = self._own_examples(block * size)
        while held := list(islice(examples, size)):
            data = self._encode(held, block * size)
            order = np.random.default_rng([batching.seed, epoch, block]).permutation(len(data))
            rows = iter(torch.split(torch.from_numpy(order), self._size))
            rows = islice(rows, skipped * batching.accumulation, None)
            while group := list(islice(rows, batching.accumulation)):
                yield self._alone(data, group)
            block, skipped = block + 1, 0

    def _own_examples(self, start: int) -> Iterator[Any]:
        """Return the examples of this process, from a number of its own on."""
        index, count = self._batching.processes.index, self._batching.processes.count
        if self._by_shards:
            index, count = 0, 1
        stream = self._stream.skip(start * count) if start else self._stream
        return islice(read_examples(stream, self._where), index, None, count)

    def _alone(self, data: EncodedTexts, group: list[torch.Tensor]) -> Step:
        batching = self._batching
        units = [batching.units(data, rows) for rows in group]
        total = sum(units)
        batches = [
            batching.batch(data, rows, n / total if total else 0.0)
            for rows, n in zip(group, units, strict=True)
        ]
        return Step(batches, total)


def read_examples(stream: Any, where: str) -> Iterator[Any]:
    """Yield the examples of a stream.

    Raises:
        DataError: its files can't be read, each kind of which has errors of its own.
    """
    examples, count = iter(stream), 0
    while True:
        try:
            example = next(examples)
        except StopIteration:
            return
        except FinetuneEmbedError:
            raise
        except (OSError, ValueError, LookupError, TypeError, EOFError, RuntimeError) as error:
            reason = str(error).strip().split("\n")[0]
            raise DataError(
                f"{where} can't be read behind {count:,} examples: {reason or type(error).__name__}"
            ) from error
        yield example
        count += 1


def as_split(examples: list[Any], features: Any, where: str) -> Any:
    """Return examples of a stream as a data set.

    Raises:
        DataError: the values of a column are not of one kind.
    """
    from datasets import Dataset

    try:
        return Dataset.from_list(examples, features=features)
    except (ValueError, TypeError) as error:  # those of Arrow
        raise DataError(f"{where}: examples don't fit together: {error}") from error


def _splits_by_shards(stream: Any) -> bool:
    """Tell whether the shards of a stream have the examples of the whole between them.

    `skip`, `take`, indices of `filter` or `map` and interleaving begin anew in each shard: read by
    shards, such a stream gives other examples, such as those that were left for validation. What is
    not known to be safe is not.
    """
    parts = [stream._ex_iterable] if hasattr(stream, "_ex_iterable") else [stream]
    while parts:
        part = parts.pop()
        if type(part).__name__ not in _BY_SHARDS or getattr(part, "with_indices", False):
            return False
        parts += getattr(part, "ex_iterables", ())
        parts += [part.ex_iterable] if hasattr(part, "ex_iterable") else ()
    return True
