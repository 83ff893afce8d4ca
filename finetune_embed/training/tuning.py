"""One tuning from prepared parts: model, optimizer, the loop, and what comes of it."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..embedding import embedding_of, to_table
from ..errors import DataError
from ..evaluation import drift
from ..formats.safetensors import write_safetensors
from ..optim import RowAdamW
from ..strategies import Strategy, check_optimizer
from ..table import EmbeddingTable
from ..vocabulary import Coverage, StartValue, find
from .build_model import Head, build_model
from .inference import forward_all, table_path
from .loop import LoopSettings, Training, train
from .prepare import Prepared
from .run.checkpoints import (
    Checkpoints,
    Progress,
    Tensors,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from .run.folder import clear_folder, tidy_folder
from .run.run import Run, files_that_end_a_run, write_history
from .run.summary import metadata_of, warnings_of, words_of
from .runtime.interrupts import Interrupts
from .runtime.precision import Precision
from .runtime.processes import Processes, sparse_apart
from .runtime.progress import ProgressBar
from .runtime.trackers import Trackers
from .schedule import build_scheduler, total_steps
from .steps import Batching
from .tasks import Task

__all__ = ["Tuning"]

MISSING = 20  # words the vectors lack that a run names


class Tuning:
    """One call of `finetune`: the prepared parts, and the steps that use them."""

    def __init__(
        self,
        base: EmbeddingTable,
        data: Prepared,
        strategy: Strategy,
        head: Head,
        which: str | nn.Module | None,
        oov: StartValue,
        settings: dict[str, Any],
        processes: Processes,
    ) -> None:
        self.base, self.data, self.strategy, self.processes = base, data, strategy, processes
        self.settings, self.started = settings, time.perf_counter()
        self.vocab, self.task = data.vocab, data.task
        self.found = find(base, self.vocab.words, settings["fallback"])
        self.coverage: Coverage = self.vocab.coverage_of(self.found)
        self.outcomes: npt.NDArray[np.float64] | None = None
        settings |= {"task": data.task.name, "data_sha256": data.sha256}
        if not processes.agree(data.sha256):
            raise DataError(
                f"the {processes.count} processes were not given the same data in the same order, "
                "of which each takes its share by itself; give all of it to each, and shuffle it "
                "with a seed: dataset.shuffle(seed=0)"
            )
        table = embedding_of(
            base, self.vocab, self.found, oov=oov, seed=settings["seed"], sparse=True
        )
        model, module = build_model(head, table, len(self.task.labels), which)
        self.task.check_head(model, spelled=isinstance(head, str))
        self.model = model.to(processes.device)
        processes.share((*self.model.parameters(), *self.model.buffers()))
        self.table_module = module
        self.path = settings["embedding"] = table_path(self.model, module)
        self.start = _weight(module).detach().clone()
        settings["start_sha256"] = hashlib.sha256(self.start.cpu().numpy().data).hexdigest()

    def run(self, folder: Path | None, resume: bool, shown: bool) -> Run:
        """Train from the start or from a checkpoint, measure, export."""
        settings, processes = self.settings, self.processes
        optimizer = self._optimizer()
        check_optimizer(optimizer, self.table_module, self.strategy)
        precision = Precision(settings["mixed_precision"], processes.device, processes.count)
        main = folder if processes.is_main else None
        with Trackers(settings["trackers"] if processes.is_main else (), folder, settings) as told:
            training = self._training(optimizer, precision, told)
            progress, best = Progress(), self._state()
            checkpoint = latest_checkpoint(folder) if folder is not None and resume else None
            if checkpoint is not None:
                progress, best, further = load_checkpoint(
                    checkpoint, self.model, optimizer, settings
                )
                training.scheduler.last_epoch = progress.step
                precision.load(further)
            processes.wait()  # until all have read the checkpoint that the main one replaces
            write = None if main is None else partial(self._write, main, optimizer, precision)
            if main is not None and write is not None and checkpoint is None:
                clear_folder(main)
                write(progress, best)
            steps = training.source.steps_of_run(1)
            with (
                Interrupts(active=processes.count == 1) as interrupts,
                ProgressBar(
                    shown and processes.is_main, settings["epochs"], steps, progress.epoch
                ) as training.bar,
            ):
                checkpoints = Checkpoints(
                    write, settings["checkpoint_steps"], settings["checkpoint_minutes"], interrupts
                )
                best = train(training, progress, best, checkpoints)
        self.model.load_state_dict(best)
        self.table_module.sparse = False  # from here on it is the caller's, for any optimizer
        tuned, metrics = self._exported()
        if main is None:
            result = self._result(progress, tuned, metrics)
        else:
            result = self._saved(main, progress, tuned, metrics)
            tidy_folder(main)
        processes.wait()
        return result

    def _write(
        self,
        folder: Path,
        optimizer: RowAdamW,
        precision: Precision,
        progress: Progress,
        best: Tensors,
    ) -> None:
        """Write a checkpoint and the history so far."""
        keep, further = self.settings["keep_checkpoints"], precision.state()
        save_checkpoint(folder, self.model, optimizer, best, progress, self.settings, keep, further)
        if progress.history:
            write_history(folder / "history.jsonl", progress.history)

    def _optimizer(self) -> RowAdamW:
        settings = self.settings
        groups = self.strategy.param_groups(
            self.model,
            self.table_module,
            lr=settings["lr"],
            weight_decay=settings["weight_decay"],
            vocab=self.vocab,
        )
        if self.processes.count > 1:
            groups = sparse_apart(self.model, groups)
        return RowAdamW(
            groups,
            lr=settings["lr"],
            max_grad_norm=settings["max_grad_norm"],
            max_row_grad_norm=settings["max_row_grad_norm"],
            exchange=self.processes.count > 1,
        )

    def _training(self, optimizer: RowAdamW, precision: Precision, told: Trackers) -> Training:
        """Put together what the loop works on."""
        settings = self.settings
        batching = Batching(
            settings["batch_size"],
            settings["batch_tokens"],
            settings["gradient_accumulation_steps"],
            getattr(self.model, "packed", False),
            self.task,
            settings["seed"],
            self.processes,
        )
        loop = LoopSettings(
            settings["epochs"],
            settings["patience"],
            settings["seed"],
            settings["max_steps"],
            settings["word_dropout"],
        )
        source = self.data.source(batching)
        steps = total_steps(source.steps_of_run(loop.epochs), loop.max_steps)
        return Training(
            self.model,
            self.table_module,
            source,
            self.strategy,
            optimizer,
            build_scheduler(optimizer, settings["schedule"], steps, settings["warmup"]),
            self.task,
            lambda: self._validated()[1],
            loop,
            self.start,
            self.processes,
            precision,
            told,
        )

    def _state(self) -> Tensors:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _outputs(self, split: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logits and targets of all units of a split, and the lengths of its texts."""
        rows = self.data.unseen.after(_weight(self.table_module).detach())
        data = self.data.held_out[split]
        logits = forward_all(self.model, self.path, rows, data)
        return logits, self.task.batch_targets(data, torch.arange(len(data))), data.lengths

    def _validated(self) -> tuple[Task, dict[str, float]]:
        """Return the task with what its decoding takes from validation, and the scores there."""
        logits, targets, lengths = self._outputs("validation")
        task = self.task.fit(logits, targets)
        return task, task.scores(logits, targets, lengths)

    def _exported(self) -> tuple[EmbeddingTable, dict[str, Any]]:
        """Return the table of the best weights, and what they score on the held-out splits."""
        tuned = to_table(_weight(self.table_module), self.vocab, like=self.base)
        self.task, scores = self._validated()
        metrics: dict[str, Any] = {"validation": scores}
        if "test" in self.data.held_out:
            outputs = self._outputs("test")
            metrics["test"] = self.task.scores(*outputs)
            self.outcomes = self.task.outcomes(*outputs)
        self.settings |= self.task.settings()
        tuned.metadata = metadata_of(self.base, self.settings, metrics)
        return tuned, metrics

    def _saved(
        self, folder: Path, progress: Progress, tuned: EmbeddingTable, metrics: dict[str, Any]
    ) -> Run:
        """Return the run, when all its files are written."""
        with (
            files_that_end_a_run(folder) as (table_file, metrics_file),
            ThreadPoolExecutor(1) as pool,
        ):
            # the table takes as long to write as all that comes after it
            written = pool.submit(write_safetensors, tuned, table_file)
            result = self._result(progress, tuned, metrics)
            result.save_beside_table(folder, metrics_file)
            written.result()
        return result

    def _result(self, progress: Progress, tuned: EmbeddingTable, metrics: dict[str, Any]) -> Run:
        """Measure what moved, and put the run together."""
        weight = _weight(self.table_module)
        counts = dict(zip(self.vocab.index_to_key, self.vocab.counts.tolist(), strict=True))
        moved = drift(self.base, tuned, counts)
        metrics = {
            **metrics,
            "best_epoch": progress.best_epoch,
            "epochs": progress.epoch,
            "seconds": round(time.perf_counter() - self.started, 3),
            "coverage": {
                **asdict(replace(self.coverage, missing=())),
                "missing": [list(pair) for pair in self.coverage.missing[:MISSING]],
            },
            "drift": moved.summary(),
            "warnings": warnings_of(self.strategy, progress, self.coverage, moved),
        }
        words = words_of(self.vocab, self.found, self.start.cpu(), weight.detach().cpu())
        return Run(
            tuned,
            self.model.eval(),
            self.vocab,
            self.task,
            self.settings,
            metrics,
            progress.history,
            words,
            moved,
            self.outcomes,
        )


def _weight(module: nn.Module) -> nn.Parameter:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight
