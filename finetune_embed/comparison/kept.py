"""The models of a search that goes on, each in a file of its own, to continue after a stop."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from ..embedding import to_embedding
from ..errors import DataError, Option
from ..files import atomic_write
from ..training.build_model import Head, build_model
from ..training.ensemble import contiguous_state, part_of
from ..training.run.file_names import MARK
from ..training.run.folder import check_folder, state_of
from ..training.run.record import check_same
from ..training.run.run import Run
from .members import Model

__all__ = ["SEARCH", "Kept", "check_search"]

SEARCH, STARTED = "search", "settings.json"
LEARNT = ("stacking", "threshold")  # of a record: what a run learnt from validation


def check_search(folder: Path, resume: bool, overwrite: bool) -> bool:
    """Return whether there is a search to continue in a folder that the caller has locked.

    Raises:
        DataError: `resume` and `overwrite` do not allow using the folder.
    """
    unfinished = (folder / SEARCH / STARTED).is_file()
    if not unfinished or (resume and overwrite):
        check_folder(folder, resume, overwrite)
    elif not (resume or overwrite):
        raise DataError(
            "the folder holds an unfinished search",
            where=folder,
            remedy=("choose ", Option("resume", True), " or ", Option("overwrite", True)),
        )
    else:
        state_of(folder)
    return unfinished and resume


class Kept:
    """The models of a search after the first, kept in a folder.

    Args:
        folder: the folder of the result; None to keep nothing.
        resume: whether to continue a search that is there.
    """

    def __init__(self, folder: Path | None, resume: bool) -> None:
        self._folder = None if folder is None else folder / SEARCH
        self._before: dict[str, Any] = {}
        self._files: list[Path] = []
        if self._folder is not None and resume:
            self._before = json.loads((self._folder / STARTED).read_bytes())
            self._files = sorted(self._folder.glob("*.safetensors"))

    @property
    def folds(self) -> int | None:
        """The number of folds of the search that continues; None for a new one."""
        return self._before.get("folds")

    @property
    def is_begun(self) -> bool:
        """Whether there is something to continue."""
        return self._folder is not None and (self._folder / STARTED).is_file()

    def begin(self, first: Run, folds: int) -> None:
        """Begin a search, or check that it is the one that continues.

        Raises:
            DataError: it is another one.
        """
        record = {name: one for name, one in first.record.items() if name not in LEARNT}
        identity = {**first.settings, **record, "folds": folds, MARK: version(MARK)}
        if self._folder is None:
            return
        if self._before:
            check_same(self._folder, self._before, json.loads(json.dumps(identity)))
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        with atomic_write(self._folder / STARTED) as file:
            file.write(json.dumps(identity, indent=2).encode())

    def put(
        self, number: int, settings: Mapping[str, Any], model: Model | None, seconds: float
    ) -> None:
        """Keep a model, or that its settings diverged."""
        if self._folder is None:
            return
        tensors = {} if model is None else _tensors(model)
        head = "" if model is None else str(model.run.record["head"])
        about = {"settings": json.dumps(dict(settings)), "seconds": str(seconds), "head": head}
        with atomic_write(self._folder / f"{number:04}.safetensors") as file:
            file.write(save(tensors, about))

    def all(self, first: Model, head: Any) -> list[tuple[dict[str, Any], Model | None, float]]:
        """Return the settings, the model and the seconds of all that is kept, in order.

        Args:
            first: the first model of the search, over the same vocabulary.
            head: the head that was given; a file does not hold one that is an object.

        Raises:
            DataError: a file is damaged.
        """
        return [_read(path, first, head) for path in self._files]

    def end(self) -> None:
        """Remove the files."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _tensors(model: Model) -> dict[str, torch.Tensor]:
    run = model.run
    tensors = {f"model.{name}": one for name, one in contiguous_state(run.model).items()}
    tensors |= {f"vectors.{split}": one.vectors[0] for split, one in run.held_out.items()}
    # without a lexical part these are the same tensor, and a file has each memory but once
    tensors |= {f"logits.{at}": one.clone() for at, one in enumerate(model.logits)}
    tensors = {name: one.contiguous() for name, one in tensors.items()}
    if run.lexical is not None:
        weights = [run.lexical.vectors, run.lexical.lexical]
        tensors["stacking"] = torch.tensor(weights, dtype=torch.float64)
    return tensors


def _read(path: Path, first: Model, given: Any) -> tuple[dict[str, Any], Model | None, float]:
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata()
            names = file.keys()  # the file itself cannot be iterated over
            tensors = {name: file.get_tensor(name) for name in names}
        settings, seconds = json.loads(about["settings"]), float(about["seconds"])
        head = about["head"] if given is None or isinstance(given, str) else given
        model = _model(settings, head, tensors, first) if tensors else None
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise DataError(
            f"it is not a model of this search ({error})",
            where=path,
            remedy="remove the file, and the model is trained again",
        ) from error
    return settings, model, seconds


def _model(
    settings: dict[str, Any], head: Head, tensors: dict[str, torch.Tensor], first: Model
) -> Model:
    run = first.run
    embedding = to_embedding(run.table, run.vocab)
    which = str(run.record["embedding"]).rpartition(".")[0]
    model, _ = build_model(head, embedding, run.task.outputs, which)
    model.load_state_dict(part_of(tensors, "model"), strict=False)
    held_out = {
        split: one._replace(vectors=[tensors[f"vectors.{split}"]])
        for split, one in run.held_out.items()
    }
    lexical = run.lexical
    if lexical is not None:
        vectors, words = tensors["stacking"].tolist()
        lexical = replace(lexical, vectors=vectors, lexical=words)
    run = replace(
        run,
        model=model.eval(),
        settings={**run.settings, **settings},
        record={**run.record, "head": head} if isinstance(head, str) else run.record,
        lexical=lexical,
        held_out=held_out,
    )
    logits = [tensors[f"logits.{at}"] for at in range(len(first.logits))]
    return replace(first, settings=settings, run=run, logits=logits, is_kept=True)
