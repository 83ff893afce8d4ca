"""`finetune-embed evaluate`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .options import Names, layout_options
from .output import as_json_option, open_table, print_json, print_parts, working

__all__ = ["evaluate"]

F = TypeVar("F", bound=Callable[..., Any])
TESTS = {
    "word-pairs": "File of word pairs with human scores, such as SimLex-999.",
    "analogies": "File of analogies in the format of questions-words.txt.",
    "categories": "File or folder of words in categories, such as AP or BLESS.",
    "outliers": "File or folder of groups of words and outliers, such as 8-8-8.",
    "weat": "File of the four sets of words of a WEAT.",
}


def _test_options(command: F) -> F:
    for name, text in reversed(TESTS.items()):
        command = click.option(f"--{name}", multiple=True, help=f"{text} Repeatable.")(command)
    return command


@click.command(
    epilog="Example: finetune-embed evaluate tuned --data new_reviews.csv  Example: "
    "finetune-embed evaluate glove.6B.50d.txt tuned --word-pairs simlex999.txt"
)
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--data",
    help="Labelled data for a run: CSV, TSV, JSON, JSONL, Parquet, Arrow or .xlsx file, folder, or "
    "Hub name.",
)
@click.option(
    "--text",
    type=Names(one=True),
    help="Its column of texts, or several separated by commas; that of the run when left out.",
)
@click.option("--label", help="Its column of labels; that of the run when left out.")
@click.option(
    "--missing",
    type=click.Choice(["drop", "keep"]),
    help="Leave out examples without a text or a label, or keep a missing text as an empty one; as "
    "in the run when left out.",
)
@click.option("--ignore-label", help="Label that is not scored, besides those the run ignores.")
@layout_options
@_test_options
@as_json_option
def evaluate(tables: tuple[Path, ...], data: str | None, as_json: bool, **options: Any) -> None:
    """Report the scores of a run on labelled data, or of vectors on test sets of words.

    With --data, TABLES is a run: its scores, those of each label, and a confusion matrix; of a
    folder with several splits, the test split is used. Otherwise TABLES are vector files or runs,
    whose scores are shown side by side.
    """
    tests = {name.replace("-", "_"): options.pop(name.replace("-", "_")) for name in TESTS}
    if data is not None:
        if len(tables) > 1 or any(tests.values()):
            raise click.UsageError("--data takes one run, and no test sets of words")
        _evaluate_run(tables[0], data, as_json, options)
        return
    if not any(tests.values()):
        choice = ", ".join(f"--{name}" for name in TESTS)
        raise click.UsageError(f"give --data for a run, or test sets of words: {choice}")
    if unused := [name for name, value in options.items() if value is not None]:
        raise click.UsageError(f"--{unused[0].replace('_', '-')} is about --data")
    from ..evaluation import evaluate as evaluate_table
    from ..evaluation import side_by_side

    if len(set(tables)) < len(tables):
        raise click.UsageError("a table is given twice")
    short = 1 < len({path.name for path in tables}) == len(tables)
    names = [path.name if short else str(path) for path in tables]
    found = []
    for path in tables:
        with working(f"evaluating {path}", as_json):
            found.append(evaluate_table(open_table(path), **tests))
    scores = dict(zip(names, found, strict=True))
    if as_json:
        print_json({name: one.to_dict() for name, one in scores.items()})
    else:
        print_parts([side_by_side(scores)])


def _evaluate_run(run: Path, data: str, as_json: bool, options: dict[str, Any]) -> None:
    """Print the scores of a run on labelled data."""
    from ..training.run.load import load

    with working(f"evaluating {run}", as_json):
        found = load(run).evaluate(data, **options)
    if as_json:
        print_json(found.to_dict())
        return
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    print_parts(found.lines())
