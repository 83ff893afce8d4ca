"""`finetune-embed predict`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .output import as_json_option, print_json

if TYPE_CHECKING:
    from ..training.run.run import Run
    from ..vocabulary import Tokenizer

__all__ = ["predict"]


@click.command(
    epilog="Example: finetune-embed predict tuned 'works like a charm' 'broke after a day'"
)
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1)
@as_json_option
def predict(run: Path, texts: tuple[str, ...], as_json: bool) -> None:
    """Print the label of each text and its probability.

    Texts are arguments, or the lines of standard input. Several labels are separated by commas.
    A tagger prints one line per word with its tag, and an empty line after each text.
    """
    from ..training.run.load import load

    loaded = load(run)
    if not texts and sys.stdin is None:
        raise click.UsageError("there is no standard input; give texts as arguments")
    lines = list(texts) or [line.rstrip("\r\n") for line in sys.stdin]
    if not texts and lines:
        lines[0] = lines[0].removeprefix("\ufeff")
    found = _predicted(loaded, lines)
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(_as_lines(one))


def _predicted(run: Run, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the predictions for texts, with probabilities."""
    if run.task.per_word:
        return _tagged(run, texts)
    logits, lengths = run.logits(texts)
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


def _tagged(run: Run, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the words of each text with their tags, None beyond the run's `max_length`."""
    words = _cased(run.vocab.tokenizer, texts, run.vocab.words_of(texts))
    logits, lengths = run.logits(words)
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
