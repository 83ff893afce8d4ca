"""Ctrl-C and SIGTERM: a run finishes its current step and writes a checkpoint before it ends."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any

__all__ = ["Interrupts", "says_how_to_continue"]


@contextlib.contextmanager
def says_how_to_continue(is_kept: Callable[[], bool], overwrite: bool) -> Iterator[None]:
    """Let Ctrl-C say how to continue what is kept in a folder.

    Args:
        is_kept: returns whether there is something to continue.
        overwrite: whether the call that is interrupted has `overwrite=True`.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        if is_kept():
            instead = " instead of overwrite=True" if overwrite else ""
            interrupt.add_note(f"to continue, repeat the call with resume=True{instead}")
        raise


class Interrupts:
    """Records that a run must end, instead of ending it in the middle of a step.

    A second Ctrl-C ends it at once. Handlers that the program has set itself stay, and nothing
    changes outside of the main thread, where Python allows no handlers.

    Attributes:
        pending: the signal received, None before.

    Args:
        active: whether to handle signals.
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
        """End the program as the received signal would have; do nothing without one."""
        if self.pending == signal.SIGINT:
            raise KeyboardInterrupt
        if self.pending is not None:
            raise SystemExit(128 + self.pending)
