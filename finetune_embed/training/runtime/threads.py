"""Threads: as many as the work of a step is worth.

torch's threads spin for milliseconds after each operation. In a step of many small operations that
gains nothing, and on a machine where another process is running it makes the step many times
slower: every operation waits until the other process lets its threads run.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar

import torch
from torch import nn

from ...optim import own_threads

__all__ = ["ONE_AT_A_TIME", "head_work", "worthwhile_threads"]

#: Runs share torch's generators, default number type and number of threads, so those of several
#: Python threads take turns.
ONE_AT_A_TIME = threading.RLock()

#: Floating-point operations of a step from which torch keeps all threads: an estimate between the
#: ready-made heads that gain from them (CNN, BiLSTM) and the one that does not (bag).
WORTH = 2e8

#: A thread whose first use of torch is while another has one thread starts with one too, for good.
#: So those that come later take over what the first one had.
_LOCK = threading.Lock()
_NESTED = ContextVar("nested", default=False)
_inside, _given = 0, 1


def head_work(model: nn.Module, table: nn.Parameter, texts: int, tokens: float) -> float:
    """Return about how many floating-point operations the head takes in a step.

    Args:
        model: the model.
        table: the weight of its table, which only looks rows up.
        texts: the texts per batch.
        tokens: the tokens per batch.
    """
    parameters = sum(p.numel() for p in model.parameters() if p is not table)
    positions = texts if getattr(model, "packed", False) else tokens
    return 6.0 * parameters * positions  # forward, and backward for weights and inputs


@contextlib.contextmanager
def worthwhile_threads(work: float) -> Iterator[None]:
    """Let torch use one thread where its work in a step is worth no more.

    The compiled loops over rows still use all threads that torch was given, where their own work is
    worth it; these threads sleep when they are done.

    Args:
        work: the floating-point operations of a step.
    """
    global _given, _inside
    nested = _NESTED.get()
    with _LOCK:
        most = torch.get_num_threads()
        if not nested and _inside and most == 1:
            most = _given
        if not nested and not _inside:
            _given = most
        _inside += not nested
    token = _NESTED.set(True)
    try:
        one = work < WORTH and most > 1
        torch.set_num_threads(1 if one else most)
        with own_threads(most) if one else contextlib.nullcontext():
            yield
    finally:
        torch.set_num_threads(most)
        _NESTED.reset(token)
        with _LOCK:
            _inside -= not nested
