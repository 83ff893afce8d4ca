"""`Run`: the result of a tuning, in memory and as a folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from ...data import EncodedTexts, Label
from ...embedding import to_embedding
from ...errors import DataError, Either, Option, Text
from ...evaluation import Drift, Mover
from ...files import atomic_write, atomic_writes
from ...formats import load_safetensors
from ...formats.safetensors import write_safetensors
from ...table import EmbeddingTable
from ...vocabulary import EXACT, Vocabulary, look_up, tokenize_texts, without_subwords
from ..build_model import Head, build_model
from ..inference import forward_all, unseen_rows
from ..settings import Settings
from ..tasks import Task, restore_task
from .checkpoints import latest_checkpoint
from .file_names import CONFIG, FILES, HISTORY, METRICS, MODEL, RECORD, TABLE, TOKENIZER, WORDS
from .summary import MISSING, SPECIAL

__all__ = ["Run", "files_that_end_a_run", "load", "write_history"]

#: What the column `found` of `words.parquet` means; any other value is a fallback step.
_FOUND = {
    EXACT: "in the vectors",
    MISSING: "not in the vectors, a new row",
    SPECIAL: "a special token",
}


@dataclass(frozen=True)
class WordReport:
    """What became of one word. Prints as two or three lines.

    Attributes:
        word: the word.
        found: where its vector came from: the vectors, a new row, or nowhere.
        count: its number of occurrences in the training texts.
        movement: the distance it moved, relative to the norm of its initial vector; None without
            one.
        cosine: the cosine of its initial and its tuned vector; None without one.
        neighbours: the nearest words in the tuned table.
        mover: its neighbours before and after, if the base table is known.
    """

    word: str
    found: str
    count: int
    movement: float | None
    cosine: float | None
    neighbours: tuple[tuple[str, float], ...]
    mover: Mover | None

    def __str__(self) -> str:
        text = f"{self.word}: {self.found}, {self.count:,} times in the training texts"
        if self.mover is not None:
            return f"{text}\n{self.mover}"
        if self.movement is not None:
            text += f", moved {self.movement:.1%}, cosine to its start {self.cosine:.3f}"
        if self.neighbours:
            text += "\n  nearest: " + ", ".join(word for word, _ in self.neighbours)
        return text


@dataclass(frozen=True, eq=False)
class Run:
    """A tuned table and model. Returned by `finetune` and by `load`.

    Attributes:
        table: the tuned table, with every row.
        model: the model with its best weights, over the rows of the training vocabulary.
        vocab: that vocabulary.
        task: the task, with its labels in the order of the model's outputs.
        settings: the settings and the names of the inputs, as `config.yaml` holds them.
        record: what the run found out about its inputs, as `record.json` holds it.
        metrics: `metrics["test"]["accuracy"]` and the like.
        history: one record per epoch.
        words: what became of each word of the vocabulary, as columns.
        drift: what moved; None after `load`, because a folder does not hold the base table.
        outcomes: float64 `(texts, 2)`, what each text of the test split adds to the numerator and
            the denominator of the task's score. None after `load`, and without a test split.
    """

    table: EmbeddingTable
    model: nn.Module
    vocab: Vocabulary
    task: Task
    settings: Mapping[str, Any]
    record: Mapping[str, Any]
    metrics: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    words: Mapping[str, Sequence[Any]]
    drift: Drift | None = None
    outcomes: npt.NDArray[np.float64] | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The resolved settings: those that were left out as the run found them."""
        return {**self.settings, **self.record}

    @property
    def warnings(self) -> list[str]:
        """Warnings about the run."""
        return list(self.metrics["warnings"])

    @property
    def labels(self) -> list[Label]:
        """The labels in the order of the model's outputs."""
        return self.task.labels

    def predict(self, texts: Sequence[Any]) -> list[Any]:
        """Return the prediction for each text: a label, a list of labels, or a list of tags.

        Words are looked up in every row of the tuned table.

        Args:
            texts: texts, or lists of words.
        """
        logits, lengths = self.logits(texts)
        return self.task.decode(logits, lengths) if len(lengths) else []

    def predict_proba(self, texts: Sequence[Any]) -> torch.Tensor:
        """Return the probability of each label for each text, `(len(texts), C)`.

        For a tagger, return those of each word, `(N, C)`, one text after the other.
        """
        return self.task.probabilities(self.logits(texts)[0])

    def logits(self, texts: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits that `predict` and `predict_proba` use, for callers that need both.

        Args:
            texts: texts, or lists of words.

        Returns:
            The logits `(units, C)` of each text or of each word, and the number of tokens of each
            text, int64 `(texts,)`, at most `max_length`.
        """
        if isinstance(texts, str):
            raise DataError("predict takes a list of texts", remedy=f"call predict([{texts!r}])")
        if not len(texts):
            return torch.zeros(0, len(self.labels)), torch.zeros(0, dtype=torch.int64)
        path = str(self.record["embedding"])
        weight = self.model.get_parameter(path).detach()
        found = tokenize_texts(texts, self.vocab.tokenizer)
        vocab, further = unseen_rows(self.table, self.vocab, found.tokens, self._fallback)
        data = EncodedTexts.of(found, vocab, max_length=self.settings["max_length"])
        return forward_all(self.model, path, further.after(weight), data), data.lengths

    @property
    def _fallback(self) -> Sequence[str]:
        return list(self.settings["fallback"])

    def explain(self, word: str, topn: int = 8) -> WordReport:
        """Return how a word was found, how often it occurred, and how far it moved."""
        known = self.words["word"]
        if word not in self.vocab or word not in known:
            return self._explain_unseen(word, topn)
        at = known.index(word)
        step = str(self.words["found"][at])
        return WordReport(
            word,
            _FOUND.get(step) or f"in the vectors by {step}, a new row",
            int(self.words["count"][at]),
            self.words["movement"][at],
            self.words["cosine"][at],
            tuple(self.table.most_similar(word, topn=topn)),
            self._mover(word, topn),
        )

    def _explain_unseen(self, word: str, topn: int) -> WordReport:
        """Return what is known of a word that training did not see."""
        how = look_up(self.table, [word], without_subwords(self._fallback))
        if how.rows[0] < 0:
            return WordReport(word, "unknown", 0, None, None, (), None)
        form, step = self.table.index_to_key[how.rows[0]], how.step_of_each_word("")[0]
        found = _FOUND.get(step) or f"in the vectors as {form!r} ({step})"
        known = self.words["word"]
        at = known.index(form) if form in known else None
        return WordReport(
            word,
            f"{found}, never seen in training",
            0,
            0.0 if at is None else self.words["movement"][at],
            1.0 if at is None else self.words["cosine"][at],
            tuple(self.table.most_similar(form, topn=topn)),
            self._mover(form, topn),
        )

    def _mover(self, word: str, topn: int) -> Mover | None:
        in_base = self.drift is not None and word in self.drift.base
        return self.drift.word(word, topn) if self.drift is not None and in_base else None

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the files of the run to a folder; each appears whole or not at all."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with files_that_end_a_run(folder) as (table, metrics):
            write_safetensors(self.table, table)
            self.save_beside_table(folder, metrics)

    def save_beside_table(self, folder: Path, metrics: BinaryIO) -> None:
        """Write all files of the run except the table; the metrics go to an open file."""
        import polars as pl
        import yaml

        self.vocab.save(folder / TOKENIZER)
        with atomic_write(folder / MODEL) as file:
            file.write(save(_contiguous(self.model)))
        with atomic_write(folder / WORDS) as file:
            pl.DataFrame(dict(self.words)).write_parquet(file)
        settings = yaml.safe_dump(dict(self.settings), sort_keys=False, allow_unicode=True)
        write_text_file(folder / CONFIG, settings)
        write_text_file(folder / RECORD, _json(self.record))
        write_history(folder / HISTORY, self.history)
        metrics.write(_json(self.metrics).encode() + b"\n")

    def __str__(self) -> str:
        shown = self.task.metric.replace("_", " ")
        lines = [f"{self.settings['strategy']}: best epoch {self.metrics['best_epoch'] + 1}"]
        lines += [
            f"  {split}: {shown} {self.metrics[split][self.task.metric]:.2%}"
            for split in ("validation", "test")
            if split in self.metrics
        ]
        return "\n".join(lines + [f"  warning: {warning}" for warning in self.warnings])


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _contiguous(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the state of a model without a second copy of tied weights."""
    state = model.state_dict()
    kept: dict[int, str] = {}
    for name, tensor in state.items():
        kept.setdefault(tensor.data_ptr() if tensor.numel() else id(tensor), name)
    return {name: state[name].contiguous() for name in kept.values()}


@contextlib.contextmanager
def files_that_end_a_run(folder: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open the files of the table and of the metrics, which appear last.

    The metrics mark a run as finished. The table may replace the vectors that were tuned, and
    without them a run that ended before could not be resumed.
    """
    with atomic_writes(folder / TABLE, folder / METRICS) as (table, metrics):
        yield table, metrics


def write_text_file(path: Path, text: str) -> None:
    """Write a text file that appears whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.rstrip("\n").encode() + b"\n")


def write_history(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write the records of the epochs as JSON lines."""
    write_text_file(path, "\n".join(json.dumps(record) for record in history))


def _how_to_continue() -> Text:
    command = "finetune-embed train ... --resume"
    return ("continue it with ", Either("finetune(..., resume=True)", command))


def load(folder: str | os.PathLike[str], head: Head | None = None) -> Run:
    """Open the folder of a finished run.

    Args:
        folder: the `output_dir` of `finetune`.
        head: the `head` given to `finetune`, if it was a module or a function.

    Raises:
        DataError: there is no finished run in the folder, or one of its files is damaged.
    """
    folder = Path(folder)
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        remedy: Text = ("pass the ", Option("output_dir"), " of a finished run")
        state = f"the folder has no {', '.join(missing)}" if folder.is_dir() else "no such folder"
        if latest_checkpoint(folder) is not None:
            state, remedy = "the folder holds an unfinished run", _how_to_continue()
        raise DataError(state, where=folder, remedy=remedy)
    import polars as pl
    import yaml
    from polars.exceptions import PolarsError

    damage = (PolarsError, SafetensorError, yaml.YAMLError)

    try:
        settings = dict(yaml.safe_load((folder / CONFIG).read_text("utf-8")))
        record = json.loads((folder / RECORD).read_text("utf-8"))
        metrics = json.loads((folder / METRICS).read_text("utf-8"))
        history = [json.loads(line) for line in (folder / HISTORY).read_text("utf-8").splitlines()]
        weights = load_file(folder / MODEL)
        words = pl.read_parquet(folder / WORDS).to_dict(as_series=False)
        task = restore_task(record)
        path, head_text = str(record["embedding"]), str(record["head"])
        if absent := Settings().plain().keys() - settings.keys():
            raise ValueError(f"{CONFIG} has no {', '.join(sorted(absent))}")
        metrics["warnings"]  # raises if there are none
        if metrics["validation"].get("threshold") != record.get("threshold"):
            raise ValueError(f"{RECORD} and {METRICS} have different thresholds")
        table = load_safetensors(folder / TABLE)
        vocab = Vocabulary.load(folder / TOKENIZER)
        vocab.counts[2:] = words["count"]
    except (ValueError, LookupError, TypeError, OSError, *damage) as error:
        raise DataError(f"a file of the run is damaged: {error}", where=folder) from error
    embedding = to_embedding(table, vocab)
    if head is None and record["custom_head"]:
        raise DataError(
            f"the run has a custom head, {head_text}",
            where=folder,
            remedy=Either(
                f"pass one like it: load({str(folder)!r}, head=...)",
                "load it in Python: fe.load(folder, head=...)",
            ),
        )
    which = path.rpartition(".")[0]
    model, _ = build_model(head or head_text, embedding, len(task.labels), which)
    try:
        if other := weights.keys() ^ _contiguous(model).keys():
            raise RuntimeError(f"only one of the two has {', '.join(sorted(other))}")
        model.load_state_dict(weights, strict=False)  # tied weights are in the file once
    except RuntimeError as error:
        raise DataError(f"{MODEL} does not fit the head: {error}", where=folder) from error
    return Run(table, model.eval(), vocab, task, settings, record, metrics, history, words)
