"""Runs that are killed at a step and resumed, each in its own process.

Processes are forked from a server that has imported everything and run nothing: they start quickly,
and none has any state of a run.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch

import finetune_embed as fe
from finetune_embed.files import replacing
from finetune_embed.training import loop, streamed, tuning
from finetune_embed.training.run import checkpoints, run
from finetune_embed.training.runtime import progress

Death = tuple[str, int]  # where, and at which call

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["polars", "tokenizers", "finetune_embed.training.finetune"])

#: While a run trains.
STEPS: dict[str, tuple[Any, str]] = {
    "before a step": (loop, "take_step"),
    "in a step": (fe.RowAdamW, "step"),
    "in a checkpoint": (checkpoints, "save_file"),
}
#: And at any time.
PLACES: dict[str, tuple[Any, str]] = {
    **STEPS,
    "after a step": (progress.ProgressBar, "advance"),
    "half an export": (tuning, "save_safetensors"),
    "beside the table": (run, "write_history"),
    "only the table": (replacing.os, "replace"),
    "half removed": (checkpoints.Path, "rmdir"),
}


def tune(runs: Sequence[Mapping[str, Any]], threads: int, death: Death | None) -> None:
    """Continue runs, one after the other; die of SIGKILL on the way if `death` is given."""
    warnings.simplefilter("error")
    torch.set_num_threads(threads)
    checkpoints.MIN_SECONDS, streamed.BLOCK = 0.0, 16  # several blocks of a stream per epoch
    if death is not None:
        where, number = death
        owner, name = PLACES[where]
        setattr(owner, name, _deadly(getattr(owner, name), where, number))
    for options in runs:
        fe.finetune(**{"resume": True, **options})


def _deadly(real: Callable[..., Any], where: str, number: int) -> Callable[..., Any]:
    calls = 0

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += where != "only the table" or str(args[1]).endswith("metrics.json")
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    return dying


def in_a_new_process(
    runs: Sequence[Mapping[str, Any]], threads: int, death: Death | None = None
) -> int:
    """Continue runs in one new process; return its exit code."""
    process = _started(runs, threads, death)
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
                process = _started([options], 1, deaths[life])
            else:
                process = _started([options], 2, None)  # its threads come from the checkpoint
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


def _started(runs: Sequence[Mapping[str, Any]], threads: int, death: Death | None) -> Any:
    process = _CONTEXT.Process(target=tune, args=(runs, threads, death))
    process.start()
    return process


def left_by(folder: Path) -> dict[str, bytes]:
    """Return the bytes of the files of a run that hold no durations."""
    names = ("embedding", "model", "lexical", "words", "tokenizer", "record")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.stem in names}
