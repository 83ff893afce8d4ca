"""Work in threads beside that of the caller."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

__all__ = ["in_background"]

PATIENCE = 5.0  # seconds
Result = TypeVar("Result")


def in_background(work: Callable[[], Result]) -> Future[Result]:
    """Start work in a thread, and return its result.

    When the process ends, for example on an error of the training, it waits for the thread, but not
    longer than `PATIENCE`: the interpreter aborts if it ends while a thread is in compiled C++ code
    of torch or numpy.
    """
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)
        atexit.unregister(thread.join)

    thread = Thread(target=run, daemon=True)
    atexit.register(thread.join, PATIENCE)
    thread.start()
    return future
