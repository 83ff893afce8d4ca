"""`finetune-embed quickstart`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from .output import as_json_option, print_json, print_table, quiet_option, shows_progress

__all__ = ["quickstart"]

STRATEGIES = (
    "Freeze",
    "UnfreezeAfter(epochs=2)",
    "DiscriminativeLR(embedding=0.3)",
    "FullTune",
)
WORD = "bad"
TEXTS = ("works like a charm", "broke after a day")  # a positive and a negative one
HEAD = "bag"  # quick, and the words alone decide, so that tuning them shows
EPOCHS = 10
LR = 0.01


@click.command(epilog="Example: finetune-embed quickstart")
@click.option(
    "--output-dir",
    "-o",
    type=click.Path(path_type=Path),
    default=Path("quickstart"),
    show_default=True,
    help="Folder for the best run.",
)
@click.option(
    "--epochs",
    type=click.IntRange(min=1),
    default=EPOCHS,
    show_default=True,
    help="Number of epochs per strategy.",
)
@quiet_option
@as_json_option
def quickstart(output_dir: Path, epochs: int, quiet: bool, as_json: bool) -> None:
    """Tune a slice of GloVe on the included demo reviews with four strategies."""
    started = time.perf_counter()
    from ..data import open_splits
    from ..demo import REVIEWS, VECTORS
    from ..errors import DataError, Option, shell_word
    from ..files import locked
    from ..formats import load_vectors
    from ..training.finetune import finetune
    from ..training.run.folder import check_folder
    from ..vocabulary import Tokenizer, Vocabulary

    with locked(output_dir):
        state = check_folder(output_dir, resume=False, overwrite=True)
    if state != "empty" and not _is_demo(output_dir):
        raise DataError(
            "the folder holds a run on other data",
            where=output_dir,
            remedy=("choose another ", Option("output_dir")),
        )
    table = load_vectors(VECTORS)
    splits = open_splits(REVIEWS)
    vocab = Vocabulary.from_dataset(splits.train, "text", Tokenizer.for_table(table))
    coverage = vocab.coverage(table)
    if not as_json:
        click.echo(f"vectors: {VECTORS.name}, {table!r}, a slice of GloVe 6B 50d")
        click.echo(f"data: {len(splits.train):,} synthetic reviews in two classes")
        click.echo(f"{coverage}\n")
    runs = {}
    for strategy in STRATEGIES:
        if not as_json:
            click.echo(strategy)
        runs[strategy] = finetune(
            table,
            REVIEWS,
            strategy=strategy,
            epochs=epochs,
            head=HEAD,
            lr=LR,
            progress=shows_progress(quiet, as_json),
        )
    best = max(runs, key=lambda name: runs[name].metrics["validation"]["accuracy"])
    run = runs[best]
    run.save(output_dir)
    assert run.drift is not None
    mover = run.drift.word(WORD)
    if as_json:
        metrics = {name: dict(one.metrics) for name, one in runs.items()}
        print_json({"strategies": metrics, "best": best, "output_dir": str(output_dir)})
        return
    click.echo()
    print_table(
        "accuracy on the synthetic demo reviews; movement is the median of the rows that moved",
        ("strategy", "valid.", "test", "seconds", "rows moved", "movement"),
        [
            (
                name,
                f"{one.metrics['validation']['accuracy']:.1%}",
                f"{one.metrics['test']['accuracy']:.1%}",
                f"{one.metrics['seconds']:.1f}",
                f"{one.metrics['drift']['rows_moved']:,}",
                f"{one.metrics['drift']['median_movement']:.1%}",
            )
            for name, one in runs.items()
        ],
    )
    click.echo(f"\n{mover}")
    click.echo(f"\n{best} was best on validation; written to {output_dir}:")
    for path in sorted(output_dir.iterdir()):
        click.echo(f"  {path.name:<24}{path.stat().st_size:>12,} bytes")
    click.echo(
        f"\ndone in {time.perf_counter() - started:.0f} s; try it:\n"
        f"  finetune-embed predict {' '.join(map(shell_word, [str(output_dir), *TEXTS]))}\n"
        "and then with your own data, for which train chooses a stronger model:\n"
        "  finetune-embed train --vectors glove.6B.50d.txt --data reviews.csv "
        "--text text --label label -o tuned"
    )


def _is_demo(folder: Path) -> bool:
    """Return whether a folder holds an earlier quickstart, which may be replaced."""
    import yaml

    from ..demo import REVIEWS
    from ..training.run.file_names import CONFIG
    from ..training.run.stored import reading

    config = folder / CONFIG
    if not config.is_file():
        return False
    with reading(config):
        return bool(dict(yaml.safe_load(config.read_bytes()))["data"] == str(REVIEWS))
