"""Runs that are killed at a step and resumed, each in its own process.

Processes are forked from a server that has imported everything and run nothing: they start quickly,
and none has any state of a run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

import finetune_embed as fe
from finetune_embed.training import loop, streamed
from finetune_embed.training.run import checkpoints

Death = tuple[str, int]  # where, and at which call

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["polars", "tokenizers", "finetune_embed.training.finetune"])

PLACES: dict[str, tuple[Any, str]] = {
    "before a step": (loop, "take_step"),
    "in a step": (fe.RowAdamW, "step"),
    "in a checkpoint": (checkpoints, "save_file"),
}


def tune(options: Mapping[str, Any], threads: int, death: Death | None) -> None:
    """Continue a run; die of SIGKILL on the way if `death` is given."""
    torch.set_num_threads(threads)
    checkpoints.MIN_SECONDS, streamed.BLOCK = 0.0, 16  # several blocks of a stream per epoch
    if death is not None:
        where, number = death
        owner, name = PLACES[where]
        setattr(owner, name, _deadly(getattr(owner, name), number))
    fe.finetune(**options, resume=True)


def _deadly(real: Callable[..., Any], number: int) -> Callable[..., Any]:
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    return dying


def in_a_new_process(options: Mapping[str, Any], threads: int, death: Death | None) -> int:
    """Continue a run in a new process; return its exit code."""
    process = _started(options, threads, death)
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def all_lives(plans: list[tuple[dict[str, Any], list[Death]]]) -> list[list[int]]:
    """Run each plan until its last process has ended; return the exit codes of each.

    Two plans run at a time, but one thread starts and awaits them: `Process.start` polls every
    process that is not yet joined, and would take the exit code from a thread that waits for it.
    """
    codes: list[list[int]] = [[] for _ in plans]
    waiting = deque(range(len(plans)))
    running: dict[Any, tuple[int, Any]] = {}
    while waiting or running:
        while waiting and len(running) < 2:
            number = waiting.popleft()
            options, deaths = plans[number]
            life = len(codes[number])
            if life < len(deaths):
                process = _started(options, 1, deaths[life])
            else:
                process = _started(options, 2, None)  # its threads come from the checkpoint
            running[process.sentinel] = number, process
        ended = wait(list(running), timeout=120)
        assert ended, "it hangs"
        for sentinel in ended:
            number, process = running.pop(sentinel)
            process.join()
            codes[number].append(process.exitcode)
            if len(codes[number]) <= len(plans[number][1]):
                waiting.appendleft(number)
    return codes


def _started(options: Mapping[str, Any], threads: int, death: Death | None) -> Any:
    process = _CONTEXT.Process(target=tune, args=(options, threads, death))
    process.start()
    return process


def left_by(folder: Path) -> dict[str, bytes]:
    """Return the bytes of the files of a run that hold no durations."""
    names = ("embedding", "model", "lexical", "words", "tokenizer", "record")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.stem in names}
