"""Runs that are killed at a step and resumed, each in a process of its own.

Processes are forked from a server that has imported everything and run nothing, which makes a new
one cheap; it is as new to a run as any.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch

import finetune_embed as fe
from finetune_embed.training import checkpoint, loop, steps

Death = tuple[str, int]  # where, and the how-manieth time

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["accelerate", "datasets", "polars", "sklearn.metrics", "yaml", "finetune_embed"]
)

PLACES: dict[str, tuple[Any, str]] = {
    "before a step": (loop, "take_step"),
    "in a step": (fe.RowAdamW, "step"),
    "in a checkpoint": (checkpoint, "save_file"),
}


def tune(options: Mapping[str, Any], threads: int, death: Death | None) -> None:
    """Go on with a run; die of SIGKILL on the way, if that is what is to happen."""
    torch.set_num_threads(threads)
    checkpoint.YOUNG, steps.BLOCK = 0.0, 16  # texts of a stream: several blocks an epoch
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
    """Go on with a run in a new process; return its exit code."""
    process = _CONTEXT.Process(target=tune, args=(options, threads, death))
    process.start()
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def lives(options: Mapping[str, Any], deaths: list[Death]) -> list[int]:
    """Run until the last process has come to its end; return the exit codes."""
    codes = [in_a_new_process(options, 1, death) for death in deaths]
    return [*codes, in_a_new_process(options, 2, None)]  # its threads come from the checkpoint


def all_lives(plans: list[tuple[dict[str, Any], list[Death]]]) -> list[list[int]]:
    """Do several, two at a time."""
    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(lambda plan: lives(*plan), plans))


def left_by(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all that a run leaves behind and that tells no time."""
    names = ("embedding.safetensors", "model.safetensors", "words.parquet", "tokenizer.json")
    return {name: (folder / name).read_bytes() for name in names}
