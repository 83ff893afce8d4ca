"""Checkpoints: one folder an epoch, safetensors and JSON, that appears whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from ..errors import DataError
from ..files import atomic_folder
from .settings import same_settings

__all__ = [
    "Progress",
    "latest_checkpoint",
    "load_checkpoint",
    "remove_checkpoints",
    "save_checkpoint",
]

_NAME = re.compile(r"checkpoint-(\d+)")
#: Settings that say where something lies; what it is, is told by a hash.
_LOCATIONS = frozenset({"vectors", "data"})
Tensors = dict[str, torch.Tensor]


@dataclass
class Progress:
    """How far a run is, between two epochs. Everything else is a function of it and the settings.

    Attributes:
        epoch: epochs finished.
        step: optimizer steps finished.
        history: a record for each epoch.
        best_epoch: the epoch with the best validation score so far, -1 before the first.
        opened: whether the table has been open, at a rate above 0, and was seen to move.
    """

    epoch: int = 0
    step: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best_epoch: int = -1
    opened: bool = False


def save_checkpoint(
    output_dir: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: Tensors,
    progress: Progress,
    settings: dict[str, Any],
) -> None:
    """Write `checkpoint-<epoch>` and then remove the ones before it."""
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
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    path = output_dir / f"checkpoint-{progress.epoch}"
    if path.exists():
        shutil.rmtree(path)
    with atomic_folder(path) as folder:
        save_file(_owned(model.state_dict()), folder / "model.safetensors")
        save_file(_owned(best), folder / "best.safetensors")
        save_file(tensors, folder / "optimizer.safetensors")
        (folder / "state.json").write_text(json.dumps(told, indent=1))
    remove_checkpoints(output_dir, keep=path)


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
    found = [path for path in output_dir.glob("checkpoint-*") if _is_ours(path)]
    return max(found, key=lambda path: int(path.name.split("-")[1]), default=None)


def _is_ours(path: Path) -> bool:
    """Tell a checkpoint of ours from the folder of another library's trainer."""
    files = ("state.json", "best.safetensors")
    return _NAME.fullmatch(path.name) is not None and all((path / f).is_file() for f in files)


def remove_checkpoints(output_dir: Path, keep: Path | None = None) -> None:
    """Remove the checkpoints of a run, but for one, and what killed processes left of others."""
    for path in output_dir.glob(".checkpoint-*"):
        shutil.rmtree(path)
    for path in output_dir.glob("checkpoint-*"):
        if path != keep and _is_ours(path):
            hidden = path.with_name(f".{path.name}.removed")
            path.rename(hidden)  # at once, so that nobody finds half a checkpoint
            shutil.rmtree(hidden)


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, settings: dict[str, Any]
) -> tuple[Progress, Tensors]:
    """Bring a model and an optimizer back to where a checkpoint was written.

    torch's thread count is set to the one the run was started with, since it decides about the
    last bits.

    Returns:
        The progress, and the model state of the best epoch.

    Raises:
        DataError: the checkpoint is damaged, or was written with other settings or another head.
    """
    try:
        told = json.loads((path / "state.json").read_text())
        groups, threads = told["param_groups"], int(told["threads"])
        progress, before = Progress(**told["progress"]), dict(told["settings"])
        saved = load_file(path / "optimizer.safetensors")
        best = load_file(path / "best.safetensors")
        weights = load_file(path / "model.safetensors")
    except (OSError, ValueError, LookupError, TypeError, SafetensorError) as error:
        raise DataError(
            f"{path} can't be read ({error}); remove it to start the run over"
        ) from error
    same_settings(path, before, {n: v for n, v in settings.items() if n not in _LOCATIONS})
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
    return progress, best
