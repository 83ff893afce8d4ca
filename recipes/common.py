"""What the recipes share: options, parts of data sets, scores over seeds, tables and plots."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import finetune_embed as fe
from finetune_embed.data import hold_out, open_splits
from finetune_embed.demo import REVIEWS, VECTORS

PENALTIES = (1, 10, 100, 1000)  # of `frozen_means`


@dataclass(frozen=True)
class Options:
    """The options of a recipe; with `--smoke`, the included demo."""

    vectors: Path
    data: Path
    seeds: int
    smoke: bool
    more: Mapping[str, Path | None] = field(default_factory=dict)

    def folder(self, name: str) -> Path:
        """Return the folder of a data set."""
        return REVIEWS if self.smoke else self.data / name

    @property
    def epochs(self) -> int | None:
        """One epoch with `--smoke`; else None, what the recipe says."""
        return 1 if self.smoke else None


def read_options(
    description: str | None, arguments: Sequence[str] | None = None, **more: str
) -> Options:
    """Read `--vectors`, `--data`, `--seeds` and `--smoke`, and `more` files by name and help."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vectors", type=Path, help="a vector file")
    parser.add_argument("--data", type=Path, help="a folder with a folder for each data set")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="seconds, on the included demo")
    for name, help in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, help=help)
    given = parser.parse_args(arguments)
    files = {name: getattr(given, name) for name in more}
    if given.smoke:
        return Options(VECTORS, REVIEWS.parent, 1, True, files)
    if given.vectors is None or given.data is None:
        parser.error("give --vectors FILE and --data DIR, or --smoke")
    return Options(given.vectors, given.data, given.seeds, False, files)


def over_seeds(what: str, options: Options, score: Callable[[int], float]) -> float:
    """Print the mean of a score over the seeds, its deviation and CPU minutes; return the mean."""
    started = time.process_time()
    scores = [score(seed) for seed in range(options.seeds)]
    minutes = (time.process_time() - started) / 60 / options.seeds
    deviation = 100 * statistics.stdev(scores) if len(scores) > 1 else 0.0
    mean = statistics.fmean(scores)
    seeds = f"{options.seeds} seeds, {minutes:.2f} CPU minutes each"
    print(f"{what}: {mean:.1%} ± {deviation:.1f} ({seeds})", flush=True)
    return mean


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def part_of(folder: Path, share: float) -> Any:
    """Return a data set with a share of its training examples, stratified by class."""
    if share == 1:
        return folder
    splits = open_splits(folder)
    sample = hold_out(replace(splits, validation=None), "label", share, seed=0).validation
    parts = {"train": sample, "validation": splits.validation, "test": splits.test}
    return {name: split for name, split in parts.items() if split is not None}


def frozen_means(table: fe.EmbeddingTable, dataset: Any) -> float:
    """Return the test accuracy of logistic regression over the means of frozen vectors."""
    from sklearn.linear_model import LogisticRegression

    splits = open_splits(dataset)
    if splits.validation is None:
        splits = hold_out(splits, "label", 0.1, seed=0)
    rows = {word: number for number, word in enumerate(table.index_to_key)}
    tokenize, parts = fe.Tokenizer().tokenize, []
    for split in (splits.train, splits.validation, splits.test):
        assert split is not None
        found = [[rows[word] for word in tokenize(text) if word in rows] for text in split["text"]]
        means = [table.vectors[one].mean(0) if one else 0 * table.vectors[0] for one in found]
        parts.append((means, list(split["label"])))
    train, validation, test = parts
    fitted = [LogisticRegression(C=penalty, max_iter=5000).fit(*train) for penalty in PENALTIES]
    return float(max(fitted, key=lambda one: one.score(*validation)).score(*test))


def line_plot(
    path: Path, lines: Mapping[str, tuple[list[str], list[float]]], title: str, x: str, y: str
) -> None:
    """Draw lines through points, each with its name, and write the figure to a file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name, (places, values) in lines.items():
        axes.plot(places, values, marker="o", label=name)
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120)
    plt.close(figure)
