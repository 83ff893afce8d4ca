"""One tuning: a model over the vocabulary's rows is trained, evaluated and exported."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..embedding import embedding_from_lookup, to_table
from ..errors import DataError, Either
from ..evaluation import drift
from ..formats import save_safetensors
from ..lexical import in_background
from ..optim import RowOptimizer, build_optimizer
from ..strategies import check_optimizer
from ..strategies.gates import forget_strategy
from ..table import EmbeddingTable
from ..vocabulary import look_up
from .build_model import build_model, weight_of
from .ensemble import Member, Other, joined_states, part_of
from .given_objects import Objects
from .inference import table_path
from .loop import Training, train
from .movement import sampled_rows
from .pairs import check_pairs
from .plain import name_of, plain_tokenizer
from .prepare import Prepared
from .results import lexical_of, outputs_of, results_of
from .run.checkpoints import (
    Checkpoints,
    Progress,
    Tensors,
    finished_members,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from .run.file_names import HISTORY, METRICS, TABLE
from .run.folder import new_run, tidy_folder
from .run.record import Record
from .run.run import Run
from .run.summary import metadata_of, warnings_of, words_of
from .run.text_files import write_config, write_history
from .runtime.interrupts import Interrupts
from .runtime.precision import Precision, chosen_precision
from .runtime.processes import Processes, sparse_apart
from .runtime.progress import ProgressBar
from .runtime.threads import head_work
from .runtime.trackers import Trackers
from .schedule import build_scheduler, total_steps
from .settings import Complete
from .steps import Batching

__all__ = ["Tuning"]

MISSING_SHOWN = 20  # words that the vectors lack, reported by a run


class Tuning:
    """The parts of one call of `finetune`, and the steps that use them.

    Args:
        base: the table to tune.
        vectors: what identifies it.
        data: the prepared data set.
        settings: the settings.
        config: the settings and the names of the inputs as plain values.
        objects: what `objects_of` returns about the settings, if the run has a folder.
        processes: the processes that share the work.
    """

    def __init__(
        self,
        base: EmbeddingTable,
        vectors: Mapping[str, str],
        data: Prepared,
        settings: Complete,
        config: Mapping[str, Any],
        objects: Objects,
        processes: Processes,
    ) -> None:
        self.started = time.perf_counter()
        self.base, self.data, self.settings, self.config = base, data, settings, config
        self.processes, self.strategy = processes, settings.strategy
        self.vocab, self.task = data.vocab, data.task
        self.found = look_up(base, self.vocab.words, settings.fallback)
        self.coverage = self.vocab.coverage_of(self.found)
        _check_same_data(processes, data.sha256)
        self._build(0)
        head, device = settings.head, processes.device
        fingerprints, self.not_compared = objects
        self.record = Record(
            task=self.task.settings(),
            vectors=vectors,
            tokenizer=plain_tokenizer(self.vocab.tokenizer),
            head=head if isinstance(head, str) else name_of(head),
            custom_head=not isinstance(head, str),
            embedding=table_path(self.model, self.embedding),
            data_sha256=data.sha256,
            start_sha256=hashlib.sha256(self.start.cpu().numpy().data).hexdigest(),
            device=torch.device(device).type if processes.count > 1 else device,
            mixed_precision=chosen_precision(settings.mixed_precision),
            processes=processes.count,
            objects=fingerprints,
            drops_unknown=getattr(self.vocab.tokenizer, "drops_unknown", None),
        )
        self.is_kept = False  # whether there is a checkpoint of it
        #: What two runs must share for one to continue the other.
        self.identity = {**config, **self.record.identity()}

    def _build(self, member: int) -> None:
        """Build the model of a member of the ensemble, as a run with its seed does."""
        settings, processes = self.settings, self.processes
        self.member, seed, head = member, settings.seed + member, settings.head
        torch.manual_seed(seed)
        table = embedding_from_lookup(
            self.base, self.vocab, self.found, oov=settings.oov, seed=seed, sparse=True
        )
        outputs = self.task.outputs
        model, self.embedding = build_model(head, table, outputs, settings.embedding)
        self.task.check_head(model, ready_made=isinstance(head, str))
        check_pairs(model, head)
        self.model = model.to(processes.device)
        processes.share((*self.model.parameters(), *self.model.buffers()))
        self.weight = weight_of(self.embedding)
        self.start = self.weight.detach().clone()

    def head_work(self) -> float:
        """Return about how many floating-point operations the head takes in a step."""
        settings, lengths = self.settings, self.data.held_out["validation"].lengths
        tokens = settings.batch_tokens or settings.batch_size * lengths.float().mean().item()
        return head_work(self.model, self.weight, settings.batch_size, tokens)

    def run(self) -> Run:
        """Train from the start or from a checkpoint, evaluate, and export."""
        settings, processes = self.settings, self.processes
        folder = None if settings.output_dir is None else Path(settings.output_dir)
        self.lexical_work = None
        if settings.lexical and self.data.train is not None:
            self.lexical_work = in_background(
                partial(lexical_of, self.data, settings, torch.get_num_threads())
            )
        main = folder if processes.is_main else None
        checkpoint = latest_checkpoint(folder) if folder and settings.resume else None
        self.members: list[Member] = []
        if checkpoint is not None and settings.ensemble > 1:
            self._take_up(checkpoint)
        for number in range(len(self.members), settings.ensemble):
            if number != self.member:
                self._build(number)
            self.members.append(self._trained(folder, checkpoint))
            checkpoint = None
        first = self.members[0]
        self.model, self.embedding, self.start = first.model, first.embedding, first.start
        self.weight = weight_of(self.embedding)
        tuned, metrics = self._exported()
        if main is None:
            result = self._result(first.progress, tuned, metrics)
        else:
            result = self._saved(main, first.progress, tuned, metrics)
            tidy_folder(main)
        processes.wait()
        return result

    def _take_up(self, checkpoint: Path) -> None:
        """Take the finished members of an ensemble from a checkpoint."""
        finished, tensors = finished_members(checkpoint, self.identity)
        for number, progress in enumerate(finished):
            self._build(number)
            best = part_of(tensors, number)
            self.members.append(self._finished(best, progress))

    def _finished(self, best: Tensors, progress: Progress) -> Member:
        """Return the model with its best weights, which is from here on the caller's."""
        self.model.load_state_dict(best)
        forget_strategy(self.model)  # for any optimizer
        self.embedding.sparse = False
        self.model.zero_grad()
        return Member(self.model, self.embedding, self.start, progress)

    def _trained(self, folder: Path | None, checkpoint: Path | None) -> Member:
        """Train the model, from the start or from a checkpoint."""
        settings, processes = self.settings, self.processes
        main = folder if processes.is_main else None
        optimizer = self._optimizer()
        check_optimizer(optimizer, self.embedding, self.strategy)
        precision = Precision(self.record.mixed_precision, processes.device, processes.count)
        names = settings.trackers if processes.is_main and not self.member else ()
        with Trackers(names, folder, self.identity) as trackers:
            training = self._training(optimizer, precision, trackers)
            progress, best = Progress(), self._state()
            if checkpoint is not None:
                progress, best, scaler = load_checkpoint(
                    checkpoint, self.model, optimizer, self.identity
                )
                training.scheduler.last_epoch = progress.step
                self.started -= progress.seconds_of_run
                precision.load(scaler)
            progress.finished = [asdict(one.progress) for one in self.members]
            processes.wait()  # until all have read the checkpoint that the main one replaces
            write = None if main is None else partial(self._write, main, optimizer, precision)
            if main is not None and write is not None and checkpoint is None:
                write(progress, best, first=True)
            self.is_kept = folder is not None
            if main is not None and not (main / METRICS).exists():
                write_config(main, self.config)  # to continue or repeat it after an interruption
            best = self._train(training, progress, best, write)
        progress.finished = []
        return self._finished(best, progress)

    def _train(self, training: Training, progress: Progress, best: Tensors, write: Any) -> Tensors:
        """Run the loop, with its progress bar, checkpoints and interrupts."""
        settings, processes = self.settings, self.processes
        shown = settings.progress and processes.is_main
        steps = total_steps(training.source.steps_of_run(settings.epochs), settings.max_steps)
        with (
            Interrupts(active=processes.count == 1) as interrupts,
            ProgressBar(
                shown,
                settings.epochs,
                steps,
                progress.epoch,
                progress.step,
                " (vectors alone)" if self.lexical_work is not None else "",
            ) as bar,
        ):
            training.bar = bar
            when = (settings.checkpoint_steps, settings.checkpoint_minutes)
            return train(training, progress, best, Checkpoints(write, *when, interrupts))

    def _write(
        self,
        folder: Path,
        optimizer: RowOptimizer,
        precision: Precision,
        progress: Progress,
        best: Tensors,
        *,
        first: bool = False,
    ) -> None:
        """Write a checkpoint and the history so far."""
        scaler = precision.state()
        progress.seconds_of_run = time.perf_counter() - self.started
        members = joined_states([one.model.state_dict() for one in self.members])
        identity = self.identity
        save_checkpoint(
            folder,
            self.model,
            optimizer,
            best,
            progress,
            identity,
            scaler,
            first=first,
            members=members,
        )
        if (folder / METRICS).exists() or self.member:
            return  # of a run that stays until this one replaces it
        if progress.history:
            write_history(folder / HISTORY, progress.history)
        else:
            (folder / HISTORY).unlink(missing_ok=True)

    def _optimizer(self) -> RowOptimizer:
        settings = self.settings
        groups = self.strategy.param_groups(
            self.model,
            self.embedding,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            vocab=self.vocab,
        )
        several = self.processes.count > 1
        if several:
            groups = sparse_apart(self.model, groups)
        return build_optimizer(
            settings.optimizer,
            groups,
            lr=settings.lr,
            max_grad_norm=settings.max_grad_norm,
            exchange=several,
        )

    def _training(
        self, optimizer: RowOptimizer, precision: Precision, trackers: Trackers
    ) -> Training:
        """Put together what the loop works on."""
        settings = replace(self.settings, seed=self.settings.seed + self.member)
        batching = Batching(
            settings.batch_size,
            settings.batch_tokens,
            settings.gradient_accumulation_steps,
            getattr(self.model, "packed", False),
            self.task,
            settings.seed,
            self.processes,
        )
        source = self.data.source(batching)
        steps = total_steps(source.steps_of_run(settings.epochs), settings.max_steps)
        return Training(
            self.model,
            self.embedding,
            source,
            self.strategy,
            optimizer,
            build_scheduler(optimizer, settings.schedule, steps, settings.warmup),
            self.task,
            self._validated,
            settings,
            self.start,
            sampled_rows(self.vocab.counts, self.settings.seed),
            self.processes,
            precision,
            trackers,
        )

    def _state(self) -> Tensors:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _validated(self) -> dict[str, float]:
        """Return the scores of the model on validation."""
        path = self.record.embedding
        logits, targets, lengths = outputs_of(self.data, "validation", self.model, path)
        return self.task.fit(logits, targets).scores(logits, targets, lengths)

    def _exported(self) -> tuple[EmbeddingTable, dict[str, Any]]:
        """Return the table of the best weights, and the scores of the model on held-out splits."""
        tuned = to_table(self.weight, self.vocab, like=self.base)
        models = [one.model for one in self.members]
        lexical = None if self.lexical_work is None else self.lexical_work.result()
        found = results_of(self.data, models, self.record.embedding, lexical)
        self.task, self.lexical, metrics, self.outcomes, self.held_out, self.notes = found
        stacking = self.lexical[0].record() if self.lexical else None
        self.record = replace(self.record, task=self.task.settings(), stacking=stacking)
        config = {**self.config, "strategy": str(self.strategy)}  # without folders of this machine
        tuned.metadata = metadata_of(self.base, config, self.record.vectors, metrics)
        return tuned, metrics

    def _saved(
        self, folder: Path, progress: Progress, tuned: EmbeddingTable, metrics: dict[str, Any]
    ) -> Run:
        """Return the run, once all its files are written."""
        with new_run(folder) as new, ThreadPoolExecutor(1) as pool:
            # the table takes as long to write as all that comes after it
            written = pool.submit(save_safetensors, tuned, new / TABLE)
            result = self._result(progress, tuned, metrics)
            result.save_beside_table(new)
            written.result()
        return result

    def _warnings_of_objects(self) -> list[str]:
        """Return warnings about objects that a run which continues may not share."""
        if self.settings.output_dir is None:
            return []
        return [f"resume cannot tell whether all of {one}" for one in self.not_compared]

    def _result(self, progress: Progress, tuned: EmbeddingTable, metrics: dict[str, Any]) -> Run:
        """Measure what moved, and put the run together."""
        counts = dict(zip(self.vocab.index_to_key, self.vocab.counts.tolist(), strict=True))
        moved = drift(self.base, tuned, counts)
        metrics = {
            **metrics,
            "texts": {
                split: self.task.texts_counted(one.targets, one.lengths)
                for split, one in self.held_out.items()
            },
            "best_epoch": progress.best_epoch,
            "epochs": progress.epoch,
            "seconds": round(time.perf_counter() - self.started, 3),
            "coverage": {
                **asdict(replace(self.coverage, missing=())),
                "missing": [list(pair) for pair in self.coverage.missing[:MISSING_SHOWN]],
            },
            "drift": moved.summary(),
            "warnings": [
                *self.data.warnings,
                *warnings_of(self.strategy, progress, self.coverage, moved, self.vocab.tokenizer),
                *self.notes,
                *self._warnings_of_objects(),
            ],
        }
        words = words_of(self.vocab, self.found, self.start.cpu(), self.weight.detach().cpu())
        return Run(
            tuned,
            self.model.eval(),
            self.vocab,
            self.task,
            self.config,
            self.record.plain(),
            metrics,
            progress.history,
            words,
            moved,
            self.outcomes,
            next(iter(self.lexical), None),
            self._others(),
            self.held_out,
        )

    def _others(self) -> tuple[Other, ...]:
        """Return the members of the ensemble after the first."""
        models = [one.model.eval() for one in self.members[1:]]
        parts: list[Any] = [*self.lexical[1:]] or [None] * len(models)
        return tuple(map(Other, models, parts))


def _check_same_data(processes: Processes, sha256: str) -> None:
    """Check that every process prepared the same data.

    Raises:
        DataError: they did not.
    """
    if not processes.agree(sha256):
        shuffled = "give all of it to each, and shuffle it with a seed: dataset.shuffle(seed=0)"
        raise DataError(
            f"the {processes.count} processes were not given the same data in the same order; each "
            "takes its own share of it",
            remedy=Either(shuffled, "give every process the same files"),
        )
