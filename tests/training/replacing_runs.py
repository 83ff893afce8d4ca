"""What the processes of `test_run_folders` do; it imports little, so that they start quickly."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import finetune_embed as fe
from finetune_embed.training.run import checkpoints

WORDS = [f"{kind}{i}" for kind in "ab" for i in range(6)]


def write_data(folder: Path) -> Path:
    """Write the data set of all runs to a folder, and return it."""
    rng = np.random.default_rng(0)
    for name, size in (("train", 24), ("validation", 12)):
        rows = [rng.choice(WORDS, 3) for _ in range(size)]
        lines = [f"{' '.join(row)},{row[0][0]}" for row in rows]
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *lines, ""]))
    return folder


def tune(folder: Path | str | None, data: Path, **options: Any) -> fe.Run:
    """Make a short run."""
    vectors = np.random.default_rng(3).normal(size=(len(WORDS), 4)).astype(np.float32)
    given = {"epochs": 2, "batch_size": 8, "output_dir": folder, **options}
    return fe.finetune(
        given.pop("vectors", None) or fe.EmbeddingTable(WORDS, vectors), data, **given
    )


def race(folder: Path, data: Path, outcomes: Any) -> None:
    """Make a run in a folder that other processes use as well; report how it went."""
    torch.set_num_threads(1)
    checkpoints.MIN_SECONDS = 0.0
    try:
        tune(folder, data, resume=True, checkpoint_steps=1)
        outcomes.put("done")
    except fe.DataError as error:
        outcomes.put(str(error).removeprefix(f"{folder}: ").split(";")[0])


def die_on_the_way(how: str, source: Path, folder: Path, data: Path, number: int) -> None:
    """Replace a run by another; die of SIGKILL at one of the calls of the system."""
    torch.set_num_threads(1)
    checkpoints.MIN_SECONDS = 0.0
    run = fe.load(source) if how == "save" else None
    left = [number]

    def deadly(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return call

    for name in ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir", "link"):
        setattr(os, name, deadly(getattr(os, name)))
    if run is not None:
        run.save(folder)
    else:
        tune(folder, data, seed=2, overwrite=True, checkpoint_steps=2)
