"""`finetune-embed predict`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ..data.reading.file_kinds import SUFFIXES, kind_of
from ..errors import DataError
from .options import Names, layout_options
from .output import as_json_option, print_json
from .predictions import check_output, predictions_of, write_columns

if TYPE_CHECKING:
    from ..training.run.run import Run
    from ..vocabulary import Tokenizer

__all__ = ["predict"]


@click.command(
    epilog="Example: finetune-embed predict tuned 'works like a charm' 'broke after a day'"
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1)
@click.option("--data", help="File or folder of texts, instead of arguments; see train --help.")
@click.option(
    "--text",
    type=Names(one=True),
    help="Column of texts in --data, or several separated by commas, which are joined with a "
    "space; those of the run when left out.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    help="File to write to: .csv, .tsv, .jsonl or .parquet. It has the columns of --data, the "
    "predictions, and the probability of every label.",
)
@layout_options
@as_json_option
def predict(
    run: Path,
    texts: tuple[str, ...],
    data: str | None,
    text: str | list[str] | None,
    output: Path | None,
    as_json: bool,
    **layout: str | None,
) -> None:
    """Print the label of each text and its probability, or write them to a file.

    Texts are arguments, the lines of standard input, or a column of --data. Several labels are
    separated by commas. A tagger prints one line per word with its tag, and an empty line after
    each text. A run trained on several columns takes their texts joined with a space.
    """
    from ..training.run.load import load

    _check_words(texts, data, text)
    if output is not None:
        check_output(output, data)
    loaded = load(run)
    if data is None:
        given, lines = _given(texts)
        columns = loaded.settings["text"]
        if not isinstance(columns, str) and len(columns) > 1:
            _note(f"the run was trained on {' and '.join(columns)}, joined with a space")
    else:
        given, lines = _texts_in(data, text or loaded.settings["text"], layout)
    if output is not None:
        predicted, unknown = predictions_of(loaded, lines)
        write_columns(output, given, predicted)
        _note_unknown(unknown, lines)
        if as_json:
            print_json({"output": str(output), "texts": len(lines), "unknown": len(unknown)})
        else:
            click.echo(f"{output}: predictions for {len(lines):,} texts")
        return
    found = _predicted(loaded, lines)
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(_as_lines(one))


def _check_words(texts: Sequence[str], data: str | None, text: object) -> None:
    """Check that the texts of the command line are texts.

    Raises:
        click.UsageError: there are texts and data, or a column and no data.
        DataError: a text is the name of a file.
    """
    if texts and data is not None:
        raise click.UsageError("give texts or --data, not both")
    if text is not None and data is None:
        raise click.UsageError("--text is a column of --data; name the file: --data FILE")
    for one in texts:
        is_name = not any(map(str.isspace, one))
        suffix = kind_of(Path(one)) if is_name else ""
        is_file = is_name and bool(suffix or "/" in one) and os.path.isfile(one)
        if is_file and suffix in SUFFIXES:
            raise DataError(
                "this is a file, and not a text",
                where=one,
                remedy=f"give it as data: --data {shlex.quote(one)} --text COLUMN",
            )
        if is_file:
            raise DataError(
                "this is a file, and not a text",
                where=one,
                remedy=f"to predict its lines, give it as standard input: < {shlex.quote(one)}",
            )
        if suffix in SUFFIXES:
            _note(f"there is no file {one!r}, so it is taken as a text")


def _given(texts: Sequence[str]) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the texts of the command line or of standard input, as a column and as they are."""
    if not texts and sys.stdin is None:
        raise click.UsageError("there is no standard input; give texts as arguments")
    lines = list(texts) or [line.rstrip("\r\n") for line in sys.stdin]
    if not texts and lines:
        lines[0] = lines[0].removeprefix("\ufeff")
    return {"text": lines}, lines


def _texts_in(
    data: str, columns: str | Sequence[str], layout: Mapping[str, str | None]
) -> tuple[dict[str, list[Any]], list[Any]]:
    """Return the columns of a file or folder, and its texts; a missing one is empty."""
    from ..data import open_one_split, texts_of, without_missing

    splits = open_one_split(data, **layout)
    for note in splits.notes:
        _note(note)
    filled = without_missing(splits, columns, None, "keep")
    texts = texts_of(filled.train, columns, filled.name)
    return {name: list(splits.train[name][:]) for name in splits.train.column_names}, texts


def _note_unknown(unknown: Sequence[int], texts: Sequence[Any]) -> None:
    """Say of which texts the run knows no word."""
    if unknown:
        first = repr(texts[unknown[0]])
        first = first if len(first) < 60 else first[:56] + "..."
        _note(
            f"the run knows no word of {len(unknown):,} of {len(texts):,} "
            f"text{'s' * (len(texts) != 1)}, and its predictions say nothing about them; the "
            f"first is {first}"
        )


def _note(text: str) -> None:
    click.echo(f"note: {text}", err=True)


def _predicted(run: Run, texts: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the predictions for texts, with probabilities."""
    if run.task.per_word:
        return _tagged(run, texts)
    logits, lengths, unknown = run.logits_and_unknown(texts)
    _note_unknown(np.flatnonzero(lengths.numpy() == unknown).tolist(), texts)
    chances = run.task.probabilities(logits).tolist()
    rows = [dict(zip(run.labels, row, strict=True)) for row in chances]
    found: list[dict[str, Any]] = []
    for text, label, row in zip(texts, run.task.decode(logits, lengths), rows, strict=True):
        if isinstance(label, list):
            ranked = sorted(label, key=row.__getitem__, reverse=True)
            labels = [{"label": one, "probability": row[one]} for one in ranked]
            found.append({"text": text, "labels": labels})
        else:
            found.append({"text": text, "label": label, "probability": row[label]})
    return found


def _tagged(run: Run, texts: Sequence[Any]) -> list[dict[str, Any]]:
    """Return the words of each text with their tags, None beyond the run's `max_length`."""
    plain = [text for text in texts if isinstance(text, str)]
    cut = iter(_cased(run.vocab.tokenizer, plain, run.vocab.words_of(plain)))
    words = [next(cut) if isinstance(text, str) else list(text) for text in texts]
    logits, lengths, unknown = run.logits_and_unknown(words)
    _note_unknown(np.flatnonzero(lengths.numpy() == unknown).tolist(), texts)
    tags = run.task.decode(logits, lengths)
    chances = iter(run.task.probabilities(logits).amax(dim=1).tolist())
    return [
        {
            "text": text,
            "words": [
                {"word": word, "tag": tag, "probability": None if tag is None else next(chances)}
                for word, tag in zip_longest(row, given)
            ],
        }
        for text, row, given in zip(texts, words, tags, strict=True)
    ]


def _cased(
    tokenizer: Tokenizer, texts: Sequence[str], words: Sequence[list[str]]
) -> list[list[str]]:
    """Return words in the case that they have in the texts, where that is clear."""
    as_is = [replace(tokenizer, lowercase=False).tokenize(text) for text in texts]
    return [
        cased if [word.lower() for word in cased] == row else row
        for cased, row in zip(as_is, words, strict=True)
    ]


def _as_lines(one: dict[str, Any]) -> str:
    if "words" in one:
        rows = [(w["word"], w["tag"], w["probability"]) for w in one["words"]]
        return "".join(f"{w}\t{t}\t{p:.3f}\n" if t is not None else f"{w}\n" for w, t, p in rows)
    labels = one.get("labels", [one])
    names = ",".join(str(label["label"]) for label in labels)
    chances = ",".join(f"{label['probability']:.3f}" for label in labels)
    return f"{names}\t{chances}\t{one['text']}"
