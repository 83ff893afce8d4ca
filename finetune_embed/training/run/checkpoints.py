"""Checkpoints: folders of safetensors and JSON, each of which appears whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ...errors import DataError, VectorFileError
from ...files import atomic_folder
from ..runtime.interrupts import Interrupts
from ..settings import same_settings

__all__ = [
    "Checkpoints",
    "Progress",
    "latest_checkpoint",
    "load_checkpoint",
    "remove_checkpoints",
    "save_checkpoint",
]

#: An epoch that ends so many seconds after a checkpoint or less does not get another one.
YOUNG = 10.0
_NAME = re.compile(r"checkpoint-(\d+)-(\d+)")  # epochs and steps finished
Tensors = dict[str, torch.Tensor]


@dataclass
class Progress:
    """How far a run is, between two steps. Everything else is a function of it and the settings.

    Attributes:
        epoch: epochs finished.
        step: optimizer steps finished.
        history: a record for each epoch.
        best_epoch: the epoch with the best validation score so far, -1 before the first.
        opened: whether the table has been open, at a rate above 0, and rows of it have trained.
        reached: whether the loss has had a gradient of the table.
        done: steps finished of the epoch that has begun.
        loss: the sum of the losses of its units.
        units: the texts, or words, that it has been trained on.
        open_rate: the largest rate at which the table was open in it.
        seconds: how long it has taken.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = -1
    opened: bool = False
    reached: bool = False
    done: int = 0
    loss: float = 0.0
    units: int = 0
    open_rate: float = 0.0
    seconds: float = 0.0

    def end_epoch(self, record: dict[str, Any]) -> None:
        """Note that an epoch is over."""
        self.history.append(record)
        self.epoch += 1
        self.done, self.loss, self.units, self.open_rate, self.seconds = 0, 0.0, 0, 0.0, 0.0


class Checkpoints:
    """When checkpoints of a run are written: after epochs, every so many steps or minutes.

    After an epoch, one is written unless the last one is younger than `YOUNG`: a run of seconds has
    nothing to lose.

    Args:
        write: writes one; None for a run that has no folder, or a process that writes none.
        steps: the steps from one to the next.
        minutes: the minutes from one to the next.
        interrupts: on which a checkpoint is written and the run ends.
    """

    def __init__(
        self,
        write: Callable[[Progress, Tensors], None] | None,
        steps: int | None = None,
        minutes: float | None = None,
        interrupts: Interrupts | None = None,
    ) -> None:
        self._write, self._steps, self._minutes = write, steps, minutes
        self._interrupts = interrupts or Interrupts(active=False)
        self._last = time.monotonic()

    def after_step(self, progress: Progress, best: Tensors) -> None:
        """Write one if it is time to, or if the run is to end here."""
        due = self._steps is not None and progress.step % self._steps == 0
        if self._minutes is not None:
            due = due or time.monotonic() - self._last >= 60 * self._minutes
        if due or self._interrupts.pending is not None:
            self._save(progress, best)

    def after_epoch(self, progress: Progress, best: Tensors) -> None:
        """Write one, unless the last one is young, or if the run is to end here."""
        if time.monotonic() - self._last >= YOUNG or self._interrupts.pending is not None:
            self._save(progress, best)

    def _save(self, progress: Progress, best: Tensors) -> None:
        if self._write is not None:
            self._write(progress, best)
        self._last = time.monotonic()
        self._interrupts.end()


def save_checkpoint(
    output_dir: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: Tensors,
    progress: Progress,
    settings: dict[str, Any],
    keep: int = 1,
    further: dict[str, Any] | None = None,
) -> None:
    """Write `checkpoint-<epochs>-<steps>` and then remove all but the newest.

    Args:
        output_dir: the folder of the run.
        model: the model as it is.
        optimizer: the optimizer as it is.
        best: the model state of the best epoch.
        progress: how far the run is.
        settings: those it was started with.
        keep: how many of the newest stay.
        further: what else the run needs to go on, as JSON holds it.

    Raises:
        DataError: it can't be written, as on a full disk; those before it stay.
    """
    state = optimizer.state_dict()
    tensors = {
        f"{i}.{name}": value.contiguous()
        for i, entries in state["state"].items()
        for name, value in entries.items()
    }
    told = {
        "progress": asdict(progress),
        "settings": settings,
        "param_groups": state["param_groups"],
        "further": further or {},
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    path = output_dir / f"checkpoint-{progress.epoch}-{progress.step}"
    if path.exists():
        shutil.rmtree(path)
    before = latest_checkpoint(output_dir)
    try:
        with atomic_folder(path) as folder:
            save_file(_owned(model.state_dict()), folder / "model.safetensors")
            if progress.done == 0 and progress.best_epoch == progress.epoch - 1:
                _link(folder / "model.safetensors", folder / "best.safetensors")
            elif before is not None and progress.best_epoch < _numbers(before)[0]:
                _link(before / "best.safetensors", folder / "best.safetensors")
            else:
                save_file(_owned(best), folder / "best.safetensors")
            save_file(tensors, folder / "optimizer.safetensors")
            (folder / "state.json").write_text(json.dumps(told, indent=1), "utf-8")
    except (OSError, SafetensorError, VectorFileError) as error:
        raise DataError(
            f"{path} can't be written ({error}); see to its folder and go on with resume=True"
        ) from error
    remove_checkpoints(output_dir, keep=_checkpoints(output_dir)[-keep:])


def _link(file: Path, name: Path) -> None:
    """Give a file that no one writes to any more another name; copy it where there are no links."""
    try:
        os.link(file, name)
    except OSError:
        shutil.copyfile(file, name)


def _owned(tensors: Tensors) -> Tensors:
    """Return tensors that share no memory, as safetensors wants them (tied weights do share)."""
    seen: set[int] = set()
    owned = {}
    for name, tensor in tensors.items():
        owned[name] = tensor.contiguous() if tensor.data_ptr() not in seen else tensor.clone()
        seen.add(tensor.data_ptr())
    return owned


def latest_checkpoint(output_dir: Path) -> Path | None:
    """Return the folder of the newest checkpoint of a run, None if there is none."""
    return next(reversed(_checkpoints(output_dir)), None)


def _checkpoints(output_dir: Path) -> list[Path]:
    """Return the folders of a run's checkpoints, the oldest first."""
    found = [path for path in output_dir.glob("checkpoint-*") if _is_ours(path)]
    return sorted(found, key=_numbers)


def _numbers(path: Path) -> list[int]:
    """Return the epochs and the steps that were finished when a checkpoint was written."""
    return [int(part) for part in path.name.split("-")[1:]]


def _is_ours(path: Path) -> bool:
    """Tell a checkpoint of ours from the folder of another library's trainer."""
    files = ("state.json", "best.safetensors")
    return _NAME.fullmatch(path.name) is not None and all((path / f).is_file() for f in files)


def remove_checkpoints(output_dir: Path, keep: Sequence[Path] = ()) -> None:
    """Remove the checkpoints of a run, but for some, and what killed processes left of others."""
    for path in output_dir.glob(".checkpoint-*"):
        shutil.rmtree(path)
    for path in _checkpoints(output_dir):
        if path not in keep:
            hidden = path.with_name(f".{path.name}.removed")
            path.rename(hidden)  # at once, so that nobody finds half a checkpoint
            shutil.rmtree(hidden)


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: dict[str, Any]
) -> tuple[Progress, Tensors, dict[str, Any]]:
    """Bring a model and an optimizer back to where a checkpoint was written.

    torch's thread count is set to the one the run was started with, since it decides about the
    last bits.

    Returns:
        The progress, the model state of the best epoch, and what else was saved.

    Raises:
        DataError: the checkpoint is damaged, or was written with other settings or another head.
    """
    try:
        told = json.loads((path / "state.json").read_text("utf-8"))
        groups, threads = told["param_groups"], int(told["threads"])
        progress, before = Progress(**told["progress"]), dict(told["settings"])
        further = dict(told["further"])
        saved = load_file(path / "optimizer.safetensors")
        best = load_file(path / "best.safetensors")
        weights = load_file(path / "model.safetensors")
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise DataError(
            f"{path} can't be read ({error}); remove it, to go on from the one before it or else "
            "to start over"
        ) from error
    same_settings(path, before, settings)
    state: dict[int, Tensors] = {}
    for name, value in saved.items():
        index, _, entry = name.partition(".")
        state.setdefault(int(index), {})[entry] = value
    try:
        model.load_state_dict(weights)
        optimizer.load_state_dict({"state": state, "param_groups": groups})
    except (RuntimeError, ValueError) as error:
        raise DataError(
            f"{path} is of another model ({error}); go on with the same head, or start over with "
            "overwrite=True"
        ) from error
    torch.set_num_threads(threads)
    return progress, best, further
