"""`finetune-embed predict`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import DataError, shell_word
from .options import Names, layout_options
from .output import as_json_option, print_json, working
from .predictions import (
    as_columns,
    as_document,
    as_lines,
    check_output,
    predictions_of,
    write_columns,
)

if TYPE_CHECKING:
    from ..training.run.run import Run

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
    "predictions, the probability of every label, and the words that a tagger found in a text.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file of --output if it is there.")
@layout_options
@as_json_option
def predict(
    run: Path,
    texts: tuple[str, ...],
    data: str | None,
    text: str | list[str] | None,
    output: Path | None,
    overwrite: bool,
    as_json: bool,
    **layout: str | None,
) -> None:
    """Print the label of each text and its probability, or its number, or write them to a file.

    Texts are arguments, the lines of standard input, or a column of --data. Several labels are
    separated by commas. A tagger prints one line per word with its tag, and an empty line after
    each text. A run trained on several columns takes their texts joined with a space, and one with
    a head of pairs only --data with both.
    """
    from ..heads import takes_pairs  # imports torch
    from ..training.run.load import load

    _check_words(texts, data, text)
    if output is not None:
        check_output(output, data, overwrite=overwrite)
    notes: Sequence[str] = ()
    with working(f"reading {run}", as_json):
        loaded = load(run)
    if data is None:
        given, lines = _given(texts)
        columns = loaded.settings["text"]
        if not isinstance(columns, str) and len(columns) > 1 and not takes_pairs(loaded.model):
            _note(f"the run was trained on {' and '.join(columns)}, joined with a space")
    else:
        given, lines, notes = _texts_in(loaded, data, text or loaded.settings["text"], layout)
    with working(f"predicting {len(lines):,} texts", as_json):
        found = predictions_of(loaded, lines)
    unknown = [one.text for one in found if one.is_unknown]
    if output is not None:
        write_columns(output, given, as_columns(found, loaded.labels))
    _note_unknown(unknown, len(found))
    if output is not None:
        if as_json:
            written = {"output": str(output), "texts": len(lines), "unknown": len(unknown)}
            print_json({**written, "notes": list(notes)})
        else:
            click.echo(f"{output}: predictions for {len(lines):,} texts")
        return
    if as_json:
        print_json([as_document(one) for one in found])
        return
    for one in found:
        click.echo(as_lines(one))


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
    from ..data.reading.file_kinds import SUFFIXES, kind_of  # imports torch

    for one in texts:
        is_name = not any(map(str.isspace, one))
        suffix = kind_of(Path(one)) if is_name else ""
        is_file = is_name and bool(suffix or "/" in one) and os.path.isfile(one)
        if is_file and suffix in SUFFIXES:
            raise DataError(
                "this is a file, and not a text",
                where=one,
                remedy=f"give it as data: --data {shell_word(one)} --text COLUMN",
            )
        if is_file:
            raise DataError(
                "this is a file, and not a text",
                where=one,
                remedy=f"to predict its lines, give it as standard input: < {shell_word(one)}",
            )
        if suffix in SUFFIXES:
            _note(f"there is no file {one!r}, so it is taken as a text")


def _given(texts: Sequence[str]) -> tuple[dict[str, list[Any]], list[str]]:
    """Return the texts of the command line or of standard input, as a column and as they are."""
    if not texts and sys.stdin is None:
        raise click.UsageError("there is no standard input; give texts as arguments")
    if not texts and sys.stdin.isatty():
        _note("reading texts from the terminal, one a line, up to Ctrl-D (Ctrl-Z on Windows)")
    lines = list(texts) or [line.rstrip("\r\n") for line in sys.stdin]
    if not texts and lines:
        lines[0] = lines[0].removeprefix("\ufeff")
        from ..formats.common.table_building import is_utf8

        other = [n for n, line in enumerate(lines, 1) if not is_utf8(line)]
        if other:
            _note(
                f"{len(other):,} of {len(lines):,} lines of standard input are not UTF-8, the "
                f"first is line {other[0]:,}; convert them first: iconv -f CP1252 -t UTF-8"
            )
    return {"text": lines}, lines


def _texts_in(
    run: Run, data: str, columns: str | Sequence[str], layout: Mapping[str, str | None]
) -> tuple[dict[str, list[Any]], list[Any], Sequence[str]]:
    """Return the columns of a file or folder, its texts, and notes; a missing text is empty."""
    from ..data import open_one_split, without_missing

    splits = open_one_split(data, **layout)
    for note in splits.notes:
        _note(note)
    filled = without_missing(splits, columns, None, "keep")
    texts = run.texts_in(filled.train, columns, filled.name)
    given = {name: list(splits.train[name][:]) for name in splits.train.column_names}
    return given, texts, splits.notes


def _note_unknown(unknown: Sequence[Any], texts: int) -> None:
    """Say of which of all texts the run knows no word."""
    if unknown:
        first = repr(unknown[0])
        first = first if len(first) < 60 else first[:56] + "..."
        _note(
            f"the run knows no word of {len(unknown):,} of {texts:,} "
            f"text{'s' * (texts != 1)}, and its predictions say nothing about them; the "
            f"first is {first}"
        )


def _note(text: str) -> None:
    click.echo(f"note: {text}", err=True)
