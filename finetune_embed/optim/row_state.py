"""The state that an optimizer keeps of a table: one slot for each row that was ever touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from .kernels import count_steps, find_slots

__all__ = ["Moment", "RowState", "State", "exact"]

State = dict[str, Any]

GROWTH = 1.5


class Moment(NamedTuple):
    """What an optimizer keeps of the gradients of a parameter, such as a mean of their squares.

    Attributes:
        start: its value before the first step.
        per_row: whether a row of a table has one number, of float32 at least, instead of one for
            each of its values.
    """

    start: float = 0.0
    per_row: bool = False

    def shape(self, weight: torch.Tensor, count: int) -> tuple[int, ...]:
        """Return the shape for a number of rows of a weight `(V, D)`."""
        return (count,) if self.per_row else (count, *weight.shape[1:])

    def dtype(self, weight: torch.Tensor) -> torch.dtype:
        """Return the type for rows of a weight."""
        if self.per_row:
            return torch.promote_types(weight.dtype, torch.float32)
        return weight.dtype


class RowState:
    """The state of a row-wise weight `(V, D)`, in slots in the order of their rows' first touch.

    The optimizer's entry for the weight is a plain dict of tensors of exactly `U` slots, which are
    views of the beginnings of larger buffers. An index in memory maps a row to its slot; it is
    derived from `rows` and not part of the state.

    Args:
        weight: the weight.
        entries: the weight's entry in the optimizer's `state`; what it lacks is added.
        moments: what the optimizer keeps, by name.

    Attributes:
        entries: `rows` int64 `(U,)`, `step` int64 `(U,)`, each moment `(U, D)` or `(U,)` and, once
            there was decay, `decay_seen` float64 `(U,)` and `log_decay` float64 `()`.
    """

    def __init__(self, weight: torch.Tensor, entries: State, moments: Mapping[str, Moment]) -> None:
        if not entries:
            entries["rows"] = torch.empty(0, dtype=torch.int64, device=weight.device)
            entries["step"] = entries["rows"].clone()
        count = len(entries["rows"])
        for name, moment in moments.items():
            if name not in entries:
                shape, dtype = moment.shape(weight, count), moment.dtype(weight)
                entries[name] = torch.full(shape, moment.start, dtype=dtype, device=weight.device)
        self.entries = entries
        self._starts = {name: moment.start for name, moment in moments.items()}
        self._buffers = {name: entries[name] for name in entries if name != "log_decay"}
        self._shown = dict(self._buffers)
        self._index = torch.full((len(weight),), -1, dtype=torch.int32, device=weight.device)
        self._index[entries["rows"]] = torch.arange(count, dtype=torch.int32, device=weight.device)

    def holds(self, entries: State, moments: Mapping[str, Moment]) -> bool:
        """Return whether entries are still these, not replaced by loading, moving or copying."""
        return (
            entries is self.entries
            and moments.keys() <= self._shown.keys()
            and all(entries.get(name) is tensor for name, tensor in self._shown.items())
        )

    def slots(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the slots `(U,)` of rows; rows without a slot get new ones, with start values."""
        slots, some_missing = find_slots(self._index, rows)
        if some_missing:
            self._add(rows[slots < 0])
            slots, _ = find_slots(self._index, rows)
        return slots

    def _add(self, new: torch.Tensor) -> None:
        """Give rows slots."""
        before = len(self.entries["rows"])
        count = before + len(new)
        try:
            self._show(count)
            self.entries["rows"][before:] = new
            free = torch.arange(before, count, dtype=torch.int32, device=new.device)
            self._index.index_copy_(0, new, free)
        except BaseException:  # out of memory, or interrupted: restore everything
            self._index[new] = -1
            self._show(before)
            raise

    def count_step(self, slots: torch.Tensor) -> torch.Tensor:
        """Count a step in slots, all different, and return their counts, int64 `(U,)`."""
        return count_steps(self.entries["step"], slots)

    def advance_decay(self, today: float) -> None:
        """Add a step to the running log of decay."""
        rows = self.entries["rows"]
        if "log_decay" not in self.entries:
            options = {"dtype": torch.float64, "device": rows.device}
            self.entries["log_decay"] = torch.zeros((), **options)
            seen = torch.zeros(len(rows), **options)
            self.entries["decay_seen"] = self._buffers["decay_seen"] = seen
            self._shown["decay_seen"] = seen
            self._show(len(rows))
        self.entries["log_decay"] += today

    def owed(
        self, slots: torch.Tensor, new: torch.Tensor | None = None, today: float = 0.0
    ) -> torch.Tensor:
        """Return the log of the decay that slots have missed, and record that they received it.

        It includes the current step's. `new` `(U,)` marks rows that were never touched before,
        which owe nothing for the past.
        """
        now, seen = self.entries["log_decay"], self.entries["decay_seen"]
        before = seen.index_select(0, slots)
        if new is not None:
            before[new] = now - today
        seen.index_copy_(0, slots, now.expand(len(slots)))
        owed: torch.Tensor = now - before
        return owed

    def _show(self, count: int) -> None:
        """Give the entries this number of slots; new ones hold start values."""
        for name, buffer in self._buffers.items():
            if len(buffer) < count:
                room = min(len(self._index), max(count, int(GROWTH * len(buffer))))
                larger = buffer.new_zeros((room, *buffer.shape[1:]))
                kept = self.entries[name]
                larger[: len(kept)] = kept
                if self._starts.get(name):
                    larger[len(kept) :] = self._starts[name]
                self._buffers[name] = buffer = larger
            self.entries[name] = self._shown[name] = buffer[:count]


def exact(entries: State) -> State:
    """Return entries whose tensors own exactly the memory of their slots."""
    return {
        name: value.clone() if isinstance(value, torch.Tensor) else value
        for name, value in entries.items()
    }
