"""One tuning from prepared parts: data, model, optimizer, the loop, and what comes of it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..coverage import Coverage
from ..cutting import cut
from ..data import EncodedTexts, Label, label_numbers, texts_of
from ..embedding import to_embedding, to_table
from ..evaluation import drift
from ..lookup import Special, StartValue
from ..optim import RowAdamW
from ..splits import Splits
from ..strategies import Strategy, check_optimizer
from ..table import EmbeddingTable
from ..tokenizer import Tokenizer
from ..vocabulary import Vocabulary
from .checkpoint import (
    Progress,
    Tensors,
    latest_checkpoint,
    load_checkpoint,
    remove_checkpoints,
    save_checkpoint,
)
from .evaluate import forward_all, further_rows, scores, table_path
from .folder import clear_folder
from .head import Head, build_model
from .loop import LoopSettings, train
from .progress import ProgressBar
from .report import metadata_of, warnings_of, words_of
from .run import Run, write_history
from .schedule import build_scheduler

__all__ = ["LossFunction", "Tuning"]

MISSING = 20  # words the vectors lack that a run names

LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Tuning:
    """One call of `finetune`: the prepared parts, and the steps that use them."""

    def __init__(
        self,
        base: EmbeddingTable,
        splits: Splits,
        labels: Sequence[Label],
        tokenizer: Tokenizer,
        strategy: Strategy,
        head: Head,
        which: str | nn.Module | None,
        oov: StartValue,
        specials: Sequence[Special | str],
        loss_fn: LossFunction,
        settings: dict[str, Any],
    ) -> None:
        self.base, self.labels, self.strategy, self.loss_fn = base, labels, strategy, loss_fn
        self.settings, self.started = settings, time.perf_counter()
        tokenizer = Vocabulary({}, tokenizer, specials).tokenizer  # leaves the specials whole
        texts = {
            name: cut(rows, tokenizer) for name, rows in _texts(splits, settings["text"]).items()
        }
        numbers = _numbers(splits, settings["label"], labels)
        self.vocab = Vocabulary.from_cut(texts["train"], tokenizer, settings["min_count"], specials)
        self.coverage: Coverage = self.vocab.coverage(base, settings["fallback"])
        most = settings["max_length"]
        self.train_data = EncodedTexts.of(texts["train"], self.vocab, numbers["train"], most)
        held_out = {name: texts[name] for name in numbers if name != "train"}
        words = chain.from_iterable(rows.words for rows in held_out.values())
        self.wide, self.further = further_rows(base, self.vocab, words, settings["fallback"])
        self.held_out = {
            name: EncodedTexts.of(rows, self.wide, numbers[name], most)
            for name, rows in held_out.items()
        }
        settings["data_sha256"] = _fingerprint(self.train_data, *self.held_out.values())
        device = settings["device"]
        table = to_embedding(
            base,
            self.vocab,
            oov=oov,
            seed=settings["seed"],
            sparse=True,
            fallback=settings["fallback"],
        )
        model, module = build_model(head, table, len(labels), which)
        self.model = model.to(device)
        self.table_module = module
        self.path = settings["embedding"] = table_path(self.model, module)
        self.start = _weight(module).detach().cpu().clone()
        settings["start_sha256"] = hashlib.sha256(self.start.numpy().tobytes()).hexdigest()

    def run(self, folder: Path | None, resume: bool, shown: bool) -> Run:
        """Train from the start or from a checkpoint, measure, export."""
        settings = self.settings
        groups = self.strategy.param_groups(
            self.model,
            self.table_module,
            lr=settings["lr"],
            weight_decay=settings["weight_decay"],
            vocab=self.vocab,
        )
        optimizer = RowAdamW(groups, lr=settings["lr"])
        check_optimizer(optimizer, self.table_module, self.strategy)
        batches = -(-len(self.train_data) // settings["batch_size"])
        progress, best = Progress(), self._state()
        scheduler = build_scheduler(
            optimizer, settings["schedule"], settings["epochs"] * batches, settings["warmup"]
        )
        checkpoint = latest_checkpoint(folder) if folder is not None and resume else None
        if checkpoint is not None:
            progress, best = load_checkpoint(checkpoint, self.model, optimizer, settings)
            scheduler.last_epoch = progress.step
        elif folder is not None:
            clear_folder(folder)
            save_checkpoint(folder, self.model, optimizer, best, progress, settings)

        def on_epoch_end(progress: Progress, best: Tensors) -> None:
            if folder is not None:
                save_checkpoint(folder, self.model, optimizer, best, progress, settings)
                write_history(folder / "history.jsonl", progress.history)

        with ProgressBar(shown, settings["epochs"], batches, progress.epoch) as bar:
            best = train(
                self.model,
                self.table_module,
                self.train_data,
                strategy=self.strategy,
                optimizer=optimizer,
                scheduler=scheduler,
                loss_fn=self.loss_fn,
                evaluate=lambda: self._scores("validation"),
                settings=LoopSettings(
                    settings["epochs"],
                    settings["batch_size"],
                    settings["patience"],
                    settings["seed"],
                ),
                progress=progress,
                best=best,
                on_epoch_end=on_epoch_end,
                bar=bar,
            )
        self.model.load_state_dict(best)
        self.table_module.sparse = False  # from here on it is the caller's, for any optimizer
        result = self._result(progress)
        if folder is not None:
            result.save(folder)
            remove_checkpoints(folder)
        return result

    def _state(self) -> Tensors:
        return {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def _scores(self, split: str) -> dict[str, float]:
        rows = self.further.behind(_weight(self.table_module).detach())
        data = self.held_out[split]
        assert data.labels is not None
        logits = forward_all(self.model, self.path, rows, data)
        return scores(logits, data.labels, self.loss_fn)

    def _result(self, progress: Progress) -> Run:
        """Measure the best weights and put the run together."""
        settings = self.settings
        weight = _weight(self.table_module)
        tuned = to_table(weight, self.vocab, like=self.base)
        counts = dict(zip(self.vocab.index_to_key, self.vocab.counts.tolist(), strict=True))
        moved = drift(self.base, tuned, counts)
        metrics: dict[str, Any] = {name: self._scores(name) for name in self.held_out}
        metrics |= {
            "best_epoch": progress.best_epoch,
            "epochs": progress.epoch,
            "seconds": round(time.perf_counter() - self.started, 3),
            "coverage": {
                **asdict(self.coverage),
                "missing": [list(pair) for pair in self.coverage.missing[:MISSING]],
            },
            "drift": moved.summary(),
            "warnings": warnings_of(self.strategy, progress, self.coverage, moved),
        }
        shown = {name: metrics[name] for name in self.held_out}
        tuned.metadata = metadata_of(self.base, settings, shown)
        words = words_of(
            self.vocab, self.base, settings["fallback"], self.start, weight.detach().cpu()
        )
        return Run(
            tuned,
            self.model.eval(),
            self.vocab,
            self.labels,
            settings,
            metrics,
            progress.history,
            words,
            moved,
        )


def _texts(splits: Splits, columns: str | Sequence[str]) -> dict[str, list[Any]]:
    found = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    return {
        name: texts_of(split, columns, f"{splits.name} ({name})")
        for name, split in found.items()
        if split is not None
    }


def _numbers(splits: Splits, column: str, labels: Sequence[Label]) -> dict[str, torch.Tensor]:
    """Return the class numbers of each split; a test split without labels is left out."""
    found = {"train": splits.train, "validation": splits.validation}
    if splits.test is not None and not _is_hidden(splits.test, column):
        found["test"] = splits.test
    return {
        name: label_numbers(split, column, labels, f"{splits.name} ({name})")
        for name, split in found.items()
    }


def _is_hidden(split: Any, column: str) -> bool:
    """Tell whether a test split keeps its labels to itself: all of them are -1 or missing."""
    return column in split.column_names and set(split[column]) <= {-1, None}


def _fingerprint(*parts: EncodedTexts) -> str:
    """Return a hash of the encoded data, so that a run resumes on the same data only."""
    digest = hashlib.sha256()
    for part in parts:
        for tensor in (part.ids, part.offsets, part.lengths, part.labels):
            if tensor is not None:
                digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _weight(module: nn.Module) -> nn.Parameter:
    weight = module.weight
    assert isinstance(weight, nn.Parameter)
    return weight
