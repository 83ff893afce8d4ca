"""The steps of a run from a stream that is read block by block."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np
import torch

from ..data import EncodedTexts
from ..errors import DataError, FinetuneEmbedError, Option
from .steps import Batching, Step

__all__ = ["BLOCK", "Streamed", "as_split", "read_examples"]

BLOCK = 8_192  # texts of a stream that are shuffled together
#: Parts of a stream of `datasets` whose shards have the same examples as the stream.
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


class Streamed:
    """A stream of examples, shuffled block by block; one block is in memory at a time.

    With several processes, each reads its own shards if the stream has the same number for each;
    otherwise each reads every n-th example. Steps then differ from those of one process.

    Args:
        stream: a `datasets.IterableDataset`, not shuffled, that repeats itself.
        encode: encodes a block of examples; also takes the number of the first.
        batching: how texts become batches; only by their number.
        examples: the number of examples, if it is known.
        where: what to call the stream in messages.

    Raises:
        DataError: batches are counted in tokens, or the processes cannot share a batch.
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
                "sorts texts by length, and streamed data cannot be sorted",
                option="batch_tokens",
                value=batching.batch_tokens,
                remedy=("pass ", Option("batch_size", ...), " instead"),
            )
        if batching.batch_size % count:
            even = count * math.ceil(batching.batch_size / count)
            raise DataError(
                f"cannot be shared evenly by {count} processes",
                option="batch_size",
                value=batching.batch_size,
                remedy=("pass ", Option("batch_size", even)),
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
        """Return the number of steps of a run: those of the process with the most examples."""
        if self._examples is None:
            return None
        return epochs * math.ceil(self._most / (self._size * self._batching.accumulation))

    @cached_property
    def _most(self) -> int:
        """The most examples that a process has; shards may differ in size."""
        index, count = self._batching.processes.index, self._batching.processes.count
        if not self._by_shards:
            return math.ceil((self._examples or 0) / count)
        own = sum(1 for _ in read_examples(self._stream, self._where))
        return int(max(self._batching.processes.sum(*[own * (i == index) for i in range(count)])))

    def steps(self, epoch: int, start: int = 0) -> Iterator[Step]:
        """Yield the steps of an epoch, from the step `start`."""
        nothing = start == 0
        for step in self._shared_steps(epoch, start):
            nothing = False
            yield step
        if nothing:
            raise DataError(
                f"the stream is empty in epoch {epoch + 1}, and was not before; it is read once "
                "per epoch",
                where=self._where,
                remedy=(
                    "make it from a function that starts over: "
                    "IterableDataset.from_generator(read_examples)"
                ),
            )

    def _shared_steps(self, epoch: int, start: int) -> Iterator[Step]:
        """Yield this process' share of each step, until no process has examples left."""
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
            yield Step([b._replace(weight=b.weight * factor) for b in batches], total)

    def _own_steps(self, epoch: int, start: int) -> Iterator[Step]:
        """Yield the steps of this process, as if it were the only one."""
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
                parts = [part for texts in group for part in batching.parts(data, texts)]
                yield batching.step_of(data, parts)
            block, skipped = block + 1, 0

    def _own_examples(self, start: int) -> Iterator[Any]:
        """Return the examples of this process, from its example `start`."""
        index, count = self._batching.processes.index, self._batching.processes.count
        if self._by_shards:
            index, count = 0, 1
        stream = self._stream.skip(start * count) if start else self._stream
        return islice(read_examples(stream, self._where), index, None, count)


def read_examples(stream: Any, where: str) -> Iterator[Any]:
    """Yield the examples of a stream.

    Raises:
        DataError: its files cannot be read.
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
            reason = reason or type(error).__name__
            raise DataError(
                f"the stream cannot be read after {count:,} examples: {reason}", where=where
            ) from error
        yield example
        count += 1


def as_split(examples: list[Any], features: Any, where: str) -> Any:
    """Return examples of a stream as a data set.

    Raises:
        DataError: the values of a column have different types.
    """
    from datasets import Dataset

    try:
        return Dataset.from_list(examples, features=features)
    except (ValueError, TypeError) as error:  # those of Arrow
        raise DataError(f"examples do not fit together: {error}", where=where) from error


def _splits_by_shards(stream: Any) -> bool:
    """Return whether the shards of a stream together have the examples of the stream.

    `skip`, `take`, the indices of `filter` or `map` and interleaving start over in each shard: read
    by shards, such a stream has other examples, such as those held out for validation. Only parts
    known to be safe are allowed.
    """
    parts = [stream._ex_iterable] if hasattr(stream, "_ex_iterable") else [stream]
    while parts:
        part = parts.pop()
        if type(part).__name__ not in _BY_SHARDS or getattr(part, "with_indices", False):
            return False
        parts += getattr(part, "ex_iterables", ())
        parts += [part.ex_iterable] if hasattr(part, "ex_iterable") else ()
    return True
