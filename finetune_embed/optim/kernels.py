"""The inner loops over rows of a training step: compiled (`_kernels.c`), or in torch.

Both give the same numbers within rounding. The compiled ones are for contiguous float32 on a CPU;
torch's are for everything else, and for installations without a compiler. Those of the update
itself are in `adam.py`.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple

import torch

__all__ = [
    "Groups",
    "alongside",
    "count_steps",
    "find_slots",
    "group_rows",
    "is_native",
    "nonzero_rows",
    "own_threads",
    "packed",
    "row_squares",
    "sum_groups",
    "thread_count",
]

native: Any = None
if not os.environ.get("FINETUNE_EMBED_NO_COMPILED"):
    with contextlib.suppress(ImportError):  # it was installed without a compiler
        from . import _kernels as native


#: The threads that the compiled loops may start themselves; None to use torch's.
_own_threads = ContextVar[int | None]("own_threads", default=None)


@contextlib.contextmanager
def own_threads(count: int) -> Iterator[None]:
    """Let the compiled loops start threads themselves instead of using torch's.

    torch's threads spin for milliseconds after each operation, which slows everything down on a
    machine where another process is running. Results do not depend on the threads.

    Args:
        count: the number of threads at most.
    """
    token = _own_threads.set(count)
    try:
        yield
    finally:
        _own_threads.reset(token)


def thread_count() -> int:
    """Return the threads of the compiled loops: negative for those that they start themselves."""
    count = _own_threads.get()
    return torch.get_num_threads() if count is None else -count


class _Helper:
    """One thread, for one caller at a time."""

    def __init__(self) -> None:
        self.free, self.pool = threading.Lock(), ThreadPoolExecutor(1, "finetune_embed")


@cache
def _helper() -> _Helper:
    return _Helper()


if hasattr(os, "register_at_fork"):  # the thread is not in the child
    os.register_at_fork(after_in_child=_helper.cache_clear)


@contextlib.contextmanager
def alongside(work: Callable[[], None]) -> Iterator[None]:
    """Do work in another thread during the block, where loops may start threads; else before it."""
    helper = _helper()
    if (_own_threads.get() or 1) < 2 or not helper.free.acquire(blocking=False):
        work()
        yield
        return
    try:
        done = helper.pool.submit(work)
    except RuntimeError:  # Python is shutting down, or the system has no thread left
        _helper.cache_clear()  # the pool keeps the work, and would do it again later
        helper.free.release()
        work()
        yield
        return
    try:
        yield
    finally:
        try:
            done.result()
        finally:
            wait([done])  # also after Ctrl-C: it writes to memory that is used again
            helper.free.release()


def is_native(*tensors: torch.Tensor | None) -> bool:
    """Return whether the compiled loops can process these tensors; None fits always."""
    if native is None:
        return False
    for t in tensors:  # `all` takes twice as long
        if t is not None and not (
            t.dtype == torch.float32
            and t.is_cpu
            and t.layout == torch.strided
            and t.is_contiguous()
            and t.numel() > 0
            and t.data_ptr() % 4 == 0
        ):
            return False
    return True


def packed(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor as the compiled loops need it: contiguous, and at an address for its type.

    A tensor over a file or a buffer, as by `torch.frombuffer(..., offset=1)`, may begin anywhere.
    """
    tensor = tensor.contiguous()
    return tensor.clone() if tensor.data_ptr() % tensor.element_size() else tensor


class Groups(NamedTuple):
    """The positions of each row in a list of ids `(N,)`.

    Attributes:
        rows: `(U,)`, the different ids, ascending.
        order: `(N,)`, the positions of the ids, or the bags they are in, row by row, ascending.
        starts: `(U + 1,)`, where each row's positions start in `order`.
        lengths: `(B,)`, the number of ids in each bag, if `order` holds bags.
    """

    rows: torch.Tensor
    order: torch.Tensor
    starts: torch.Tensor
    lengths: torch.Tensor | None = None

    @property
    def buffers(self) -> tuple[Any, Any, Any]:
        """The arguments of compiled loops that sum: order, starts and lengths."""
        lengths = None if self.lengths is None else self.lengths.numpy()
        return self.order.numpy(), self.starts.numpy(), lengths

    @classmethod
    def of(cls, ids: torch.Tensor, end: int, lengths: torch.Tensor | None = None) -> Groups:
        """Group ids int64 `(N,)` on the CPU with the compiled loop.

        Args:
            ids: the ids.
            end: the number of rows; ids are below it.
            lengths: int64 `(B,)`, the number of ids in each bag, to get bags in `order`.

        Raises:
            IndexError: an id is below 0, or `end` or more.
        """
        rows, order = torch.empty_like(ids), torch.empty_like(ids)
        starts = ids.new_empty(len(ids) + 1)
        bags = None if lengths is None else lengths.numpy()
        found = native.group(ids.numpy(), end, bags, rows.numpy(), order.numpy(), starts.numpy())
        return cls(rows[:found], order, starts[: found + 1], lengths)


def sum_groups(values: torch.Tensor, groups: Groups) -> torch.Tensor:
    """Return the sum `(U, D)` of each group of the rows of `values` `(M, D)`, compiled.

    With bags, `values` has the gradients of their means, and each counts as one over the length of
    its bag.
    """
    out = values.new_empty(len(groups.rows), values.shape[1])
    native.sum_rows(values.numpy(), *groups.buffers, out.numpy(), values.shape[1], thread_count())
    return out


def group_rows(grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, Groups | None]:
    """Return the rows `(U,)`, ascending, of a sparse gradient `(V, D)`, and their values.

    Returns:
        The rows, the values, and the groups of values that sum to the gradients of rows; None if
        the values `(U, D)` are those gradients.
    """
    ids, values = packed(grad._indices()[0]), grad._values()
    if grad.is_coalesced():
        return ids, values, None
    if not is_native(values) or ids.device.type != "cpu":
        grad = grad.coalesce()
        return grad.indices()[0], grad.values(), None
    if native.increasing(ids.numpy(), len(grad)):
        return ids, values, None
    groups = Groups.of(ids, len(grad))
    return groups.rows, values, groups


def nonzero_rows(values: torch.Tensor, groups: Groups | None = None) -> torch.Tensor | None:
    """Return which rows of `(U, D)` are not all zero, bool `(U,)`; None for all of them.

    Args:
        values: the rows, or the values that `sum_groups` would sum to them.
        groups: the groups for `sum_groups`, if any.
    """
    if not is_native(values):
        return (values != 0).any(dim=1)
    kept = torch.empty(len(values if groups is None else groups.rows), dtype=torch.bool)
    buffers = (None, None, None) if groups is None else groups.buffers
    count = native.nonzero_rows(
        values.numpy(), *buffers, kept.numpy(), values.shape[1], thread_count()
    )
    return None if count == len(kept) else kept


def find_slots(index: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """Return `index[rows]` as int64 `(U,)`, and whether some of it is below 0.

    Args:
        index: int32 `(V,)`.
        rows: int64 `(U,)`.
    """
    if native is None or not index.is_cpu:
        slots = index.index_select(0, rows).to(torch.int64)
        return slots, bool((slots < 0).any())
    slots = torch.empty_like(rows)
    missing = native.find_slots(index.numpy(), rows.numpy(), slots.numpy())
    return slots, missing > 0


def count_steps(steps: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
    """Add one to `steps` int64 `(S,)` in slots `(U,)`, all different, and return these `(U,)`."""
    if native is None or not steps.is_cpu or not steps.is_contiguous():
        counts = steps.index_select(0, slots) + 1
        steps.index_copy_(0, slots, counts)
        return counts
    counts = torch.empty_like(slots)
    native.count_steps(steps.numpy(), slots.numpy(), counts.numpy())
    return counts


def row_squares(values: torch.Tensor) -> torch.Tensor:
    """Return the sum of squares of each row of `(U, D)`, float64 `(U,)`."""
    if not is_native(values):
        norms: torch.Tensor = torch.linalg.vector_norm(values, dim=1, dtype=torch.float64)
        return norms.square()
    out = torch.empty(len(values), dtype=torch.float64)
    native.squares(values.numpy(), out.numpy(), values.shape[1], thread_count())
    return out
