"""Predictions of a run: as lines, as JSON, and as the columns of files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, Either, Option
from ..files import atomic_write
from ..vocabulary import words_in

if TYPE_CHECKING:
    from ..training.run.run import Run

__all__ = [
    "Prediction",
    "as_columns",
    "as_document",
    "as_lines",
    "check_output",
    "predictions_of",
    "write_columns",
]

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
Columns = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Prediction:
    """What a run predicts for a text.

    Attributes:
        text: the text.
        words: its words, if the run is a tagger.
        found: its label or labels, its number, or the tag of each word, None beyond the run's
            `max_length`.
        chances: the probability of each label, of a tagger for each word; empty for a number.
        is_unknown: whether the run knows no word of it.
    """

    text: Any
    words: list[str] | None
    found: Any
    chances: Mapping[Any, Any]
    is_unknown: bool


def predictions_of(run: Run, texts: Sequence[Any]) -> list[Prediction]:
    """Return the predictions for texts."""
    per_word = run.task.per_word
    words = None
    if per_word:
        words = [list(words_in(text, run.vocab.tokenizer)) for text in texts]
    logits, lengths, unknown = run.logits_and_unknown(texts if words is None else words)
    chances = run.task.probabilities(logits) if run.labels else logits[:, :0]
    rows = chances.split(lengths.tolist()) if per_word else chances
    predictions = []
    for at, (text, found, row) in enumerate(
        zip(texts, run.task.decode(logits, lengths), rows, strict=True)
    ):
        values = row.T.tolist() if per_word else row.tolist()
        if words is not None:
            rest = [None] * (len(words[at]) - len(found))
            found, values = [*found, *rest], [[*value, *rest] for value in values]
        predictions.append(
            Prediction(
                text,
                None if words is None else words[at],
                found,
                dict(zip(run.labels, values, strict=True)),
                int(lengths[at]) == unknown[at],
            )
        )
    return predictions


def as_columns(predictions: Sequence[Prediction], labels: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the columns `prediction` and `probability_<label>` for each label.

    Of a tagger, they hold lists with an item for each word, and so does `words`, unless the texts
    are lists of words themselves.
    """
    found: dict[str, list[Any]] = {}
    if any(one.words is not None and isinstance(one.text, str) for one in predictions):
        found["words"] = [one.words for one in predictions]
    found["prediction"] = [one.found for one in predictions]
    chances = {f"probability_{n}": [one.chances[n] for one in predictions] for n in labels}
    return {**found, **chances}


def as_document(one: Prediction) -> dict[str, Any]:
    """Return a prediction as JSON shows it."""
    if one.words is not None:
        words = [
            {"word": word, "tag": tag, "probability": None if tag is None else one.chances[tag][at]}
            for at, (word, tag) in enumerate(zip(one.words, one.found, strict=True))
        ]
        return {"text": one.text, "words": words}
    if not one.chances:
        return {"text": one.text, "prediction": one.found}
    if isinstance(one.found, list):
        ranked = sorted(one.found, key=one.chances.__getitem__, reverse=True)
        labels = [{"label": label, "probability": one.chances[label]} for label in ranked]
        return {"text": one.text, "labels": labels}
    return {"text": one.text, "label": one.found, "probability": one.chances[one.found]}


def as_lines(one: Prediction) -> str:
    """Return a prediction as it is printed."""
    document = as_document(one)
    if one.words is not None:
        rows = [(w["word"], w["tag"], w["probability"]) for w in document["words"]]
        return "".join(f"{w}\t{t}\t{p:.3f}\n" if t is not None else f"{w}\n" for w, t, p in rows)
    if not one.chances:
        return f"{one.found:.4g}\t{_text_of(one)}"
    labels = document.get("labels", [document])
    names = ",".join(str(label["label"]) for label in labels)
    chances = ",".join(f"{label['probability']:.3f}" for label in labels)
    return f"{names}\t{chances}\t{_text_of(one)}"


def _text_of(one: Prediction) -> str:
    """Return a text as it is printed, the two of a pair with a tab between them."""
    return "\t".join(map(str, one.text)) if isinstance(one.text, tuple) else str(one.text)


def check_output(path: Path, data: str | None, *, overwrite: bool = False) -> None:
    """Check that predictions can be written to a file.

    Raises:
        DataError: predictions are not written in files of its suffix, it is the data itself, or it
            is there and `overwrite` is not set.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            "the suffix is not that of a format in which predictions are written",
            where=path,
            remedy=f"end the name with one of {', '.join(SUFFIXES)}",
        )
    if data is not None and os.path.realpath(data) == os.path.realpath(path):
        raise DataError(
            "this is the data itself, which the predictions would replace",
            where=path,
            remedy="name another file",
        )
    if path.exists() and not overwrite:
        raise DataError(
            "the file is there already",
            where=path,
            remedy=("name another, or replace it with ", Option("overwrite", True)),
        )


def write_columns(path: Path, given: Columns, predicted: Columns) -> None:
    """Write columns of data and of predictions to a file, which appears complete or not at all.

    Args:
        path: the file; its suffix is that of the format.
        given: the columns of the data.
        predicted: the columns of the predictions.

    Raises:
        DataError: a column has the name of another, or the format cannot hold one.
    """
    if both := [name for name in predicted if name in given]:
        raise DataError(
            f"the data has a column {both[0]!r} already, which the predictions need",
            where=path,
            remedy="rename it in the data",
        )
    import polars as pl

    suffix = path.suffix.lower()
    try:
        frame = pl.DataFrame({**given, **predicted}, strict=False)
    except (pl.exceptions.PolarsError, TypeError, UnicodeEncodeError) as error:
        raise DataError(f"the values cannot be written: {error}", where=path) from error
    if suffix in (".csv", ".tsv"):
        frame = _flat(frame, path)
    with atomic_write(path) as file:
        if suffix in (".csv", ".tsv"):
            frame.write_csv(file, separator="\t" if suffix == ".tsv" else ",")
        elif suffix == ".parquet":
            frame.write_parquet(file)
        else:
            frame.write_ndjson(file)


def _flat(frame: Any, path: Path) -> Any:
    """Return a frame whose predictions of several labels are JSON text, as a cell can hold.

    Raises:
        DataError: another column holds lists.
    """
    import polars as pl

    name = "prediction"
    nested = [n for n, kind in frame.schema.items() if kind.is_nested() and n != name]
    if nested:
        raise DataError(
            f"the column {nested[0]!r} holds lists, and a cell of a CSV or TSV file cannot",
            where=path,
            remedy=Either("write another format", "write a .jsonl or a .parquet file"),
        )
    if not frame.schema[name].is_nested():
        return frame
    texts = [json.dumps(one, ensure_ascii=False) for one in frame[name].to_list()]
    return frame.with_columns(pl.Series(name, texts))
