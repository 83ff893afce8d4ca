"""Ctrl-C and SIGTERM: the step at hand ends first, so that a checkpoint can be written."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts"]


class Interrupts:
    """Notes that a run is to end, instead of ending it in the middle of a step.

    A second Ctrl-C ends it at once. Handlers that the program has set itself are left alone, and
    outside of the main thread, where Python allows none, nothing is changed.

    Attributes:
        pending: the signal that has come, None before.

    Args:
        active: whether to do anything at all.
    """

    def __init__(self, active: bool = True) -> None:
        self.pending: int | None = None
        self._active = active
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if self._active and threading.current_thread() is threading.main_thread():
            defaults = {
                signal.SIGINT: signal.default_int_handler,
                signal.SIGTERM: signal.SIG_DFL,
            }
            for number, default in defaults.items():
                if signal.getsignal(number) is default:
                    self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.pending is not None:
            self.end()
        self.pending = number

    def end(self) -> None:
        """End the program as the signal would have, if one has come."""
        if self.pending == signal.SIGINT:
            raise KeyboardInterrupt
        if self.pending is not None:
            raise SystemExit(128 + self.pending)
