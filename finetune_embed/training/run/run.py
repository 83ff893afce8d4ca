"""`Run`: the result of a tuning, in memory and as a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save
from torch import nn

from ...data import (
    DataSource,
    Label,
    pairs_of,
    texts_of,
)
from ...errors import DataError
from ...evaluation import Drift
from ...files import atomic_write, locked
from ...formats import save_safetensors
from ...heads import takes_pairs
from ...table import EmbeddingTable
from ...vocabulary import Vocabulary
from ..ensemble import Other, contiguous_state, tensors_of
from ..lexical_part import LexicalPart
from ..pairs import both_of
from ..predictor import Predictor
from ..tasks import Task, score_text
from .evaluation import Evaluation, alone, few_texts, texts_in_words
from .file_names import (
    HISTORY,
    LEXICAL,
    MEMBERS,
    METRICS,
    MODEL,
    RECORD,
    TABLE,
    TOKENIZER,
    WORDS,
)
from .folder import new_run, state_of
from .labelled import Labelled, Reading, read_labelled
from .shrunk import without_copies
from .text_files import write_config, write_history, write_json
from .vocabulary_file import save_tokenizer
from .word_report import WordReport, report_of_word

PARTS = ("vectors", "lexical")

#: Logits `(units, C)`, the number of tokens of each text `(texts,)`, and the logits of each part.
Evidence = tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]

__all__ = ["PARTS", "Evidence", "HeldOut", "Run"]


class HeldOut(NamedTuple):
    """What the models of a run make of a held-out split.

    Attributes:
        vectors: the logits `(units, C)` of the head of each model.
        words: those of the lexical classifier; None without one.
        targets: the targets of these units.
        lengths: int64 `(texts,)`, the number of tokens of each text.
    """

    vectors: Sequence[torch.Tensor]
    words: torch.Tensor | None
    targets: torch.Tensor
    lengths: torch.Tensor

    def joined(self, parts: Sequence[LexicalPart]) -> list[torch.Tensor]:
        """Return the logits of each model beside its lexical part, if there are any."""
        if self.words is None:
            return list(self.vectors)
        pairs = zip(parts, self.vectors, strict=True)
        return [part.weighted(one, self.words) for part, one in pairs]


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
        metrics: `metrics["test"]["accuracy"]` and the like. `metrics["best_epoch"]` counts from 0;
            everything printed counts epochs from 1.
        history: one record per epoch, whose `"epoch"` counts from 0. Its `"movement"` is of a
            sample of at most 1,000 rows whose words occur in the training data: `rows`, the mean
            `displacement` from the start, relative to its length, and the mean `cosine` distance
            to it.
        words: what became of each word of the vocabulary, as columns.
        drift: what moved; None after `load`, because a folder does not hold the base table.
        outcomes: float64 `(texts, 2)`, what each text of the test split adds to the numerator and
            the denominator of the task's score. None after `load`, without a test split, and for
            scores that are not such sums, such as macro F1.
        lexical: what classifies by the words of a text and their characters, beside `model`; None
            without it.
        others: the other models of an ensemble, whose probabilities are averaged with those of
            `model`. The table, the words and the history are those of `model`.
        held_out: what the models make of the validation and the test split; empty after `load`.

    Example:
        >>> run = fe.finetune("glove.6B.50d.txt", "reviews", max_steps=20, lexical=False)
        >>> run.labels
        ['negative', 'positive']
        >>> len(run.table) > 11_138  # the words of the file, then those that it lacks
        True
        >>> run.save("folder")
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
    lexical: LexicalPart | None = None
    others: Sequence[Other] = ()
    held_out: Mapping[str, HeldOut] = field(default_factory=dict)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved settings, with those that were left out as the run found them."""
        return {**self.settings, **self.record}

    @property
    def warnings(self) -> list[str]:
        """Warnings about the run."""
        return list(self.metrics["warnings"])

    @property
    def labels(self) -> list[Label]:
        """The labels in the order of the model's outputs; none where it predicts numbers."""
        return self.task.labels

    def predict(self, texts: Sequence[Any]) -> list[Any]:
        """Return the prediction for each text: a label, a list of labels or tags, or a number.

        Words are looked up in every row of the tuned table.

        Args:
            texts: texts, or lists of words; for a head of pairs, two of either for each.
        """
        logits, lengths = self.logits(texts)
        return self.task.decode(logits, lengths) if len(lengths) else []

    def predict_proba(self, texts: Sequence[Any]) -> torch.Tensor:
        """Return the probability of each label for each text, `(len(texts), C)`.

        For a tagger, return those of each word, `(N, C)`, one text after the other.

        Raises:
            DataError: the run predicts numbers.
        """
        return self.task.probabilities(self.logits(texts)[0])

    def logits(self, texts: Sequence[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the logits that `predict` and `predict_proba` use, for callers that need both.

        Args:
            texts: as for `predict`.

        Returns:
            The logits `(units, C)` of each text or of each word, and the number of tokens of each
            text, int64 `(texts,)`, at most `max_length`.
        """
        return self.logits_and_unknown(texts)[:2]

    def logits_and_unknown(
        self, texts: Sequence[Any]
    ) -> tuple[torch.Tensor, torch.Tensor, npt.NDArray[np.int64]]:
        """Return what `logits` returns, and how many tokens of each text the run does not know."""
        if isinstance(texts, str):
            raise DataError("predict takes a list of texts", remedy=f"call predict([{texts!r}])")
        if any(hasattr(texts, name) for name in ("keys", "columns", "column_names")):
            given = self.settings["text"]
            column = given if isinstance(given, str) else "text"
            remedy = f"pass its column of texts: predict(list(data[{column!r}]))"
            if takes_pairs(self.model):
                both = ", ".join(f"data[{name!r}]" for name in given)
                remedy = f"pass its columns of texts: predict(list(zip({both})))"
            raise DataError(
                f"predict takes texts, not a {type(texts).__name__} with columns",
                remedy=remedy,
            )
        if not len(texts):
            empty = torch.zeros(0, dtype=torch.int64)
            return torch.zeros(0, self.task.outputs), empty, empty.numpy()
        given = both_of(texts) if takes_pairs(self.model) else texts
        found = [predictor(given) for predictor in self._predictors]
        return self.task.average([one[0] for one in found]), *found[0][1:]

    def texts_in(self, split: Any, columns: str | Sequence[str], where: str) -> list[Any]:
        """Return the texts of a split, or the pairs of them, as `predict` takes them."""
        if not takes_pairs(self.model):
            return texts_of(split, columns, where)
        flat = pairs_of(split, columns, where)
        return list(zip(flat[0::2], flat[1::2], strict=True))

    def evaluate(
        self,
        dataset: DataSource,
        *,
        text: str | Sequence[str] | None = None,
        label: str | None = None,
        delimiter: str | None = None,
        encoding: str | None = None,
        sheet: str | None = None,
        missing: str | None = None,
        ignore_label: str | int | None = None,
    ) -> Evaluation:
        """Return the scores on labelled data, those of each class, and a confusion matrix.

        Args:
            dataset: as for `finetune`. Of several splits, the test split is used.
            text: the column of texts, or several; that of the run when left out.
            label: the column of labels; that of the run when left out.
            delimiter: what is between the fields of CSV and TSV files; found when left out.
            encoding: the encoding of CSV, TSV and JSON files; found when left out.
            sheet: the sheet of a workbook; the first one when left out.
            missing: `drop` or `keep`, as for `finetune`; that of the run when left out.
            ignore_label: a label that is not scored, besides those that the run ignores.

        Raises:
            DataError: the data cannot be read, a column is missing, an example has no label, or the
                run knows none of the labels.
        """
        return self.evaluate_labelled(
            self.read_labelled(
                dataset,
                text=text,
                label=label,
                delimiter=delimiter,
                encoding=encoding,
                sheet=sheet,
                missing=missing,
                ignore_label=ignore_label,
            )
        )

    def read_labelled(self, dataset: DataSource, **reading: Unpack[Reading]) -> Labelled:
        """Return labelled data as `evaluate` reads it; it takes the same arguments."""
        return read_labelled(dataset, self.task, self.settings, self.texts_in, reading)

    def evaluate_labelled(self, found: Labelled, evidence: Evidence | None = None) -> Evaluation:
        """Return what `evaluate` does, of data that is read.

        Args:
            found: the data.
            evidence: what `evidence` returns of its texts, if the caller has it.

        Raises:
            DataError: no text has a label.
        """
        where, texts, task = found.where, found.texts, found.task
        logits, lengths, parts = self.evidence(texts) if evidence is None else evidence
        targets = found.targets(lengths)
        if not bool(self.task.counted(targets).any()):
            raise DataError(f"none of the {len(texts):,} texts has a label", where=where)
        scores = task.scores(logits, targets, lengths)
        return Evaluation(
            where,
            len(texts),
            self.task.metric,
            scores,
            [*self.labels, *task.others],
            task.confusion(logits, targets),
            (*found.notes, *task.notes(logits, targets)),
            {name: self._score_alone(name, one, task, targets) for name, one in parts.items()},
            task.interval(scores[self.task.metric], task.texts_counted(targets, lengths)),
        )

    def evidence(self, texts: Sequence[Any]) -> Evidence:
        """Return what `logits` returns, and the logits of each part if there are two."""
        if self.lexical is None or not texts:
            return (*self.logits(texts), {})
        found = [predictor.evidence(texts) for predictor in self._predictors]
        weights = [self.lexical, *(one.lexical for one in self.others)]
        vectors, lexical, lengths, _ = found[0]
        assert lexical is not None
        joined = [
            part.weighted(one[0], lexical)
            for part, one in zip(weights, found, strict=True)
            if part is not None
        ]
        vectors = self.task.average([one[0] for one in found])
        parts = dict(zip(PARTS, (vectors, lexical), strict=True))
        return self.task.average(joined), lengths, parts

    def _score_alone(
        self, name: str, logits: torch.Tensor, task: Task, targets: torch.Tensor
    ) -> float:
        """Return the main score of a part, decoded as on validation."""
        learnt = {n: one for n, one in self.metrics[name].items() if n == "threshold"}
        lengths = torch.zeros(0)  # of taggers, which have no parts
        return replace(task, **learnt).scores(logits, targets, lengths)[task.metric]

    @cached_property
    def _predictors(self) -> list[Predictor]:
        return [
            Predictor(
                model,
                str(self.record["embedding"]),
                self.table,
                self.vocab,
                self._fallback,
                self.settings["max_length"],
                only_looks_up=not self.record["custom_head"]
                and getattr(model, "only_looks_up", False),
                lexical=lexical,
                pairs=takes_pairs(model),
                per_word=self.task.per_word,
            )
            for model, lexical in ((self.model, self.lexical), *self.others)
        ]

    @property
    def _fallback(self) -> Sequence[str]:
        return list(self.settings["fallback"])

    def explain(self, word: str, topn: int = 8) -> WordReport:
        """Return how a word was found, how often it occurred, and how far it moved.

        The word is written as `predict` reads it, for instance in lower case.
        """
        return report_of_word(
            word, topn, self.table, self.vocab, self.words, self._fallback, self.drift
        )

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the files of the run to a folder; all of them appear, or none.

        A run that is in the folder already is replaced. If the process is killed, the folder holds
        the old run or the new one, never a mix.

        Raises:
            FinetuneEmbedError: the folder holds files of these names that no run wrote, another
                process is writing to it, or it cannot be written.
        """
        folder = Path(folder)
        with locked(folder):
            self.write(folder)

    def write(self, folder: Path) -> None:
        """Write what `save` writes to a folder that the caller has locked."""
        state_of(folder)
        with new_run(folder) as new:
            save_safetensors(self.table, new / TABLE)
            self.save_beside_table(new)

    def save_beside_table(self, folder: Path) -> None:
        """Write all files of the run except the table."""
        import polars as pl
        import pyarrow.parquet as pq

        save_tokenizer(self.vocab, folder / TOKENIZER)
        tensors = {MODEL: contiguous_state(self.model)}
        if self.lexical is not None:
            tensors[LEXICAL] = self.lexical.classifier.tensors()
        if self.others:
            tensors[MEMBERS] = tensors_of(self.others)
        if "shrunk" in self.record:
            without_copies(tensors, self.record, self.vocab.first_word)
        for name, held in tensors.items():
            with atomic_write(folder / name) as file:
                file.write(save(held))
        with atomic_write(folder / WORDS) as file:
            words = pl.DataFrame(dict(self.words)).to_arrow()
            pq.write_table(words, file, compression="zstd", write_page_checksum=True)
        write_config(folder, self.settings)
        write_json(folder / RECORD, self.record)
        write_history(folder / HISTORY, self.history)
        write_json(folder / METRICS, self.metrics)

    def __str__(self) -> str:
        metric = self.task.metric
        shown = self.task.metric_text
        lines = [f"{self.settings['strategy']}: best epoch {self.metrics['best_epoch'] + 1}"]
        lines += [
            f"  {split}: {shown} {self._score_text(split)}"
            for split in ("validation", "test")
            if split in self.metrics
        ]
        if self.lexical is not None:
            parts = {name: self.metrics[name][metric] for name in PARTS}
            lines.append(f"  on validation, {alone(metric, parts)}")
        if self.others:
            members = [self.metrics[f"member_{at + 1}"] for at in range(len(self.others) + 1)]
            each = ", ".join(score_text(metric, one[metric]) for one in members)
            lines.append(f"  {shown} of each model alone on validation: {each}")
        return "\n".join(lines + [f"  warning: {warning}" for warning in self.warnings])

    def _score_text(self, split: str) -> str:
        """Return the main score of a split, and of how many texts it is."""
        metric, score = self.task.metric, self.metrics[split][self.task.metric]
        text, texts = score_text(metric, score), self.metrics.get("texts", {}).get(split)
        if texts is None:  # of a version that did not keep it
            return text
        few = few_texts(metric, texts, self.task.interval(score, texts))
        return f"{text} of {texts_in_words(texts)}{few}"
