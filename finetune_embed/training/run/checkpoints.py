"""Checkpoints: folders of safetensors and JSON that appear complete or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from ...errors import DataError, Option, VectorFileError
from ...files import atomic_folder, errors_of_writing, remove_own_folder
from ...formats.common.run_folder import STATE
from ..runtime.interrupts import Interrupts
from .file_names import CHECKPOINT_FILES, MEMBERS
from .record import check_same
from .stored import DAMAGE, load_tensors

__all__ = [
    "Checkpoints",
    "Progress",
    "finished_members",
    "latest_checkpoint",
    "load_checkpoint",
    "remove_checkpoints",
    "save_checkpoint",
]

#: No checkpoint follows an epoch within so many seconds after the last checkpoint.
MIN_SECONDS = 10.0
_NAME = re.compile(r"checkpoint-[0-9]+-[0-9]+")  # finished epochs and steps
_PART = re.compile(r"\.(checkpoint-[0-9]+-[0-9]+)\.[0-9a-f]{8}")  # half written or removed
Tensors = dict[str, torch.Tensor]


@dataclass
class Progress:
    """The progress of a run between two steps; the rest is a function of it and the settings.

    Attributes:
        epoch: the number of finished epochs.
        step: the number of finished optimizer steps.
        history: one record per epoch.
        best_epoch: the epoch with the best validation score so far, counted from 0; -1 before the
            first ends.
        opened: whether the table has been open at a rate above 0, and rows of it have trained.
        reached: whether the loss has had a gradient for the table.
        done: the number of finished steps of the current epoch.
        loss: the sum of the losses of its units.
        units: the number of texts, or words, trained on in it; with class weights, their sum.
        open_rate: the largest rate at which the table was open in it.
        seconds: its duration so far.
        seconds_of_run: the duration of the run when it was last saved, in all its processes.
        finished: the progress of each model of an ensemble that came before this one.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = -1
    opened: bool = False
    reached: bool = False
    done: int = 0
    loss: float = 0.0
    units: float = 0
    open_rate: float = 0.0
    seconds: float = 0.0
    seconds_of_run: float = 0.0
    finished: list[dict[str, Any]] = field(default_factory=list)

    def end_epoch(self, record: dict[str, Any]) -> None:
        """Record the end of an epoch."""
        self.history.append(record)
        self.epoch += 1
        self.done, self.loss, self.units, self.open_rate, self.seconds = 0, 0.0, 0, 0.0, 0.0


class Checkpoints:
    """Decides when checkpoints are written: after epochs, and every so many steps or minutes.

    Args:
        write: writes a checkpoint; None for a run without a folder, or a process that writes none.
        steps: the number of steps between two.
        minutes: the minutes between two.
        interrupts: signals after which a checkpoint is written and the run ends.
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
        """Write a checkpoint if one is due or the run is interrupted."""
        due = self._steps is not None and progress.step % self._steps == 0
        if self._minutes is not None:
            due = due or time.monotonic() - self._last >= 60 * self._minutes
        if due or self._interrupts.pending is not None:
            self._save(progress, best)

    def after_epoch(self, progress: Progress, best: Tensors) -> None:
        """Write a checkpoint unless the last is recent, or if the run is interrupted."""
        if time.monotonic() - self._last >= MIN_SECONDS or self._interrupts.pending is not None:
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
    identity: dict[str, Any],
    scaler: dict[str, Any] | None = None,
    *,
    first: bool = False,
    members: Tensors | None = None,
) -> None:
    """Write `checkpoint-<epochs>-<steps>`, then remove the one before it.

    Args:
        output_dir: the folder of the run.
        model: the model.
        optimizer: the optimizer.
        best: the model state of the best epoch.
        progress: the progress of the run.
        identity: its settings and inputs, which a run that continues must share.
        scaler: the state of the loss scaler.
        first: whether those in the folder are of a run that this one replaces, or of another model
            of its ensemble.
        members: the weights of the models of the ensemble that are finished.

    Raises:
        DataError: it cannot be written, for instance on a full disk; the one before it stays.
    """
    state = optimizer.state_dict()
    tensors = {
        f"{i}.{name}": value.contiguous()
        for i, entries in state["state"].items()
        for name, value in entries.items()
    }
    state_of_run: dict[str, Any] = {
        "progress": asdict(progress),
        "identity": identity,
        "param_groups": state["param_groups"],
        "scaler": scaler or {},
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "tensors": [
            _sizes(one)
            for one in (tensors, best, model.state_dict(), *([members] if members else []))
        ],
    }
    path = output_dir / f"checkpoint-{progress.epoch}-{progress.step}"
    before = None if first else latest_checkpoint(output_dir)
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
            if members and before is not None:
                _link(before / MEMBERS, folder / MEMBERS)
            elif members:
                save_file(_owned(members), folder / MEMBERS)
            state_of_run["sha256"] = _sha256(state_of_run)
            (folder / STATE).write_text(json.dumps(state_of_run, indent=1), "utf-8")
            if _is_ours(path):
                _remove(path)
    except (SafetensorError, VectorFileError) as error:
        what = f"can't be written: {error}" if isinstance(error, SafetensorError) else error.what
        raise DataError(
            ("the checkpoint ", what),
            where=path,
            remedy=("make room, then continue with ", Option("resume", True)),
        ) from error
    remove_checkpoints(output_dir, keep=path)


def _link(file: Path, name: Path) -> None:
    """Link a finished file to another name; copy it where links are not possible."""
    try:
        os.link(file, name)
    except OSError:
        shutil.copyfile(file, name)


def _owned(tensors: Tensors) -> Tensors:
    """Return tensors that share no memory, as safetensors requires (tied weights share it)."""
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
    """Return the folders of a run's checkpoints, oldest first."""
    if not os.path.isdir(output_dir):
        return []
    return sorted((path for path in output_dir.iterdir() if _is_ours(path)), key=_numbers)


def _numbers(path: Path) -> list[int]:
    """Return the numbers of finished epochs and steps in the name of a checkpoint."""
    return [int(part) for part in path.name.split("-")[1:]]


def _is_ours(path: Path) -> bool:
    """Return whether a folder is a checkpoint of ours, not of another library's trainer."""
    if _NAME.fullmatch(path.name) is None or os.path.islink(path):
        return False
    return all(os.path.isfile(path / name) for name in (STATE, "best.safetensors"))


def remove_checkpoints(output_dir: Path, keep: Path | None = None) -> None:
    """Remove the checkpoints of a run except one, and what killed processes left of others.

    Folders with such names that hold anything else stay.
    """
    with errors_of_writing(output_dir):
        for path in list(output_dir.iterdir()):
            if _PART.fullmatch(path.name):
                remove_own_folder(path, CHECKPOINT_FILES)
        for path in _checkpoints(output_dir):
            if path != keep:
                _remove(path)


def _remove(path: Path) -> None:
    """Remove the files of a checkpoint, and its folder unless somebody put others into it."""
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    path.rename(hidden)  # so that nobody finds half a checkpoint
    for name in CHECKPOINT_FILES:
        (hidden / name).unlink(missing_ok=True)
    try:
        hidden.rmdir()
    except OSError:
        hidden.rename(path)


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, identity: dict[str, Any]
) -> tuple[Progress, Tensors, dict[str, Any]]:
    """Load a checkpoint into a model and an optimizer.

    torch's thread count is set to that of the run, because the last bits depend on it.

    Returns:
        The progress, the model state of the best epoch, and the state of the loss scaler.

    Raises:
        DataError: the checkpoint is damaged, or was written with other settings or another head.
    """
    found, (saved, best, weights, *_) = _read(path)
    progress, before = Progress(**found["progress"]), found["identity"]
    check_same(path, before, identity)
    state: dict[int, Tensors] = {}
    for name, value in saved.items():
        index, _, entry = name.partition(".")
        state.setdefault(int(index), {})[entry] = value
    try:
        if _sizes(weights) != _sizes(model.state_dict()):
            raise ValueError("its weights have other names, sizes or types")
        model.load_state_dict(weights)
        optimizer.load_state_dict({"state": state, "param_groups": found["param_groups"]})
    except DAMAGE as error:
        raise DataError(
            f"the checkpoint belongs to another model: {error}",
            where=path,
            remedy=(
                "continue with the same ",
                Option("head"),
                ", or start over with ",
                Option("overwrite", True),
                " instead of ",
                Option("resume", True),
            ),
        ) from error
    torch.set_num_threads(found["threads"])
    return progress, best, found["scaler"]


def finished_members(path: Path, identity: dict[str, Any]) -> tuple[list[Progress], Tensors]:
    """Return the progress of the finished models of an ensemble in a checkpoint, and their weights.

    Raises:
        DataError: the checkpoint is damaged, or was written with other settings.
    """
    found, tensors = _read(path)
    check_same(path, found["identity"], identity)
    members = tensors[3] if len(tensors) > 3 else {}
    return [Progress(**one) for one in found["progress"].get("finished", ())], members


def _read(path: Path) -> tuple[dict[str, Any], list[Tensors]]:
    """Return the state in a checkpoint, and its tensors: optimizer, best, model, members.

    Raises:
        DataError: it is damaged.
    """
    try:
        found = json.loads((path / STATE).read_bytes())
        if "sha256" not in found:
            raise ValueError(f"an earlier version wrote it, and {STATE} has no 'sha256'")
        if found.pop("sha256") != _sha256(found):
            raise ValueError(f"{STATE} was changed or is damaged")
        Progress(**found["progress"])
        files = [path / f"{name}.safetensors" for name in ("optimizer", "best", "model")]
        tensors = [load_tensors(file) for file in files]
        tensors += [load_tensors(path / MEMBERS)] if (path / MEMBERS).exists() else []
        if found["tensors"] != [_sizes(one) for one in tensors]:
            raise ValueError("its tensors have other names, sizes or types than were written")
    except (*DAMAGE, SafetensorError) as error:
        reason = f"{STATE} has no {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(
            f"the checkpoint cannot be read: {reason or type(error).__name__}",
            where=path,
            remedy="remove it to start over",
        ) from error
    return dict(found), tensors


def _sizes(tensors: Tensors) -> dict[str, str]:
    """Return the type and the shape of each tensor."""
    return {name: f"{value.dtype} {list(value.shape)}" for name, value in tensors.items()}


def _sha256(state: dict[str, Any]) -> str:
    """Return a hash of what a checkpoint has beside tensors, which is read only as it was written.

    So wrong types in it need no checks of their own.
    """
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()
