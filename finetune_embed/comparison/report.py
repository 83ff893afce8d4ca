"""`Comparison`: how strategies did, and which one to use."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import MissingPackageError, optional_packages
from ..evaluation.grid import Grid
from ..evaluation.plain import finite
from ..files import atomic_write, locked, replaced_together
from ..strategies import Strategy

__all__ = ["Comparison", "Confirmation", "Standing"]

Interval = tuple[float, float]
RECIPE, MARKDOWN = "recipe.yaml", "comparison.md"
PLOT, COMPARISON = "comparison.png", "comparison.json"


@dataclass(frozen=True)
class Standing:
    """The results of one strategy over all seeds. Scores are between 0 and 1.

    Attributes:
        strategy: the strategy in text form.
        lr: the learning rate with the best validation score of those in `tried`.
        tried: the validation score of each learning rate tried, None where the loss diverged.
        validation: the mean validation score.
        test: the mean test score.
        test_interval: its 95 % interval, over other seeds and other test texts.
        difference: the difference of the test score from that of `Freeze`.
        difference_interval: its 95 % interval.
        p: the p-value of the difference, corrected for the number of strategies.
        from_best_interval: the 95 % interval of the difference from the best on validation.
        seconds: the median duration of a run.
        best_epoch: the median best epoch, counted from 0.
        rows_moved: the median number of rows that changed.
        median_movement: their median movement relative to their norm, the median over seeds.
        neighbour_overlap: the mean share of nearest neighbours that frequent words kept.
        word_pairs: Spearman's correlation with human scores after tuning, by data set.
    """

    strategy: str
    lr: float
    tried: Mapping[float, float | None]
    validation: float
    test: float
    test_interval: Interval
    difference: float
    difference_interval: Interval
    p: float
    from_best_interval: Interval
    seconds: float
    best_epoch: float
    rows_moved: float
    median_movement: float
    neighbour_overlap: float
    word_pairs: Mapping[str, float]


@dataclass(frozen=True)
class Confirmation:
    """The best strategy on validation against `Freeze`, with fresh seeds.

    Attributes:
        strategy: the strategy in text form.
        test: its mean test score.
        freeze: that of `Freeze`.
        difference_interval: the 95 % interval of the difference.
        seeds: the fresh seeds.
    """

    strategy: str
    test: float
    freeze: float
    difference_interval: Interval
    seeds: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether the strategy is better beyond chance."""
        return self.difference_interval[0] > 0


@dataclass(frozen=True)
class Comparison:
    """The result of `compare`. Prints as a table and a verdict.

    Attributes:
        standings: the strategies, best on validation first.
        baseline: the strategy that differences are measured from, `Freeze`.
        metric: the score, such as `accuracy`.
        confirmation: the best strategy on fresh seeds; None if it is the baseline.
        seeds: the seeds of the standings.
        search_seed: the seed of the search for learning rates.
        word_pairs: Spearman's correlation with human scores before tuning.
        recommended: the strategy to use: the baseline unless another is better beyond chance.
        recipe: the settings of the recommended run, for `finetune-embed train --config` and
            `finetune`, as far as a file can hold them.
        beside_recipe: the names of the others, such as a head given as an object.
        data_notes: what to report about how the data was read.

    Example:
        >>> found = fe.compare(
        ...     ["FullTune"], "glove.6B.50d.txt", "reviews", seeds=2, budget=1, max_steps=3
        ... )  # doctest: +SKIP
        >>> found.baseline, found.metric, len(found.seeds)  # doctest: +SKIP
        ('Freeze', 'accuracy', 2)
    """

    standings: tuple[Standing, ...]
    baseline: str
    metric: str
    confirmation: Confirmation | None
    seeds: tuple[int, ...]
    search_seed: int
    word_pairs: Mapping[str, float]
    recommended: Strategy
    recipe: Mapping[str, Any]
    beside_recipe: tuple[str, ...] = ()
    data_notes: tuple[str, ...] = ()

    def standing(self, strategy: Strategy | str) -> Standing:
        """Return the standing of a strategy.

        Raises:
            KeyError: it was not compared.
        """
        for one in self.standings:
            if one.strategy == str(strategy):
                return one
        raise KeyError(str(strategy))

    def as_good(self) -> list[Standing]:
        """Return the strategies whose test score does not differ beyond chance from the best.

        The best is the best on validation. The one that kept most neighbours comes first.
        """
        alike = [s for s in self.standings if s.from_best_interval[1] >= 0]
        return sorted(alike, key=lambda one: -one.neighbour_overlap)

    def verdict(self) -> str:
        """Return, in one sentence, which strategy to use and why."""
        best = self.standings[0].strategy
        if self.confirmation is None:
            return f"use {best}: no strategy that tunes the table was better on validation"
        found, score = self.confirmation, self.metric.replace("_", " ")
        low, high = (100 * bound for bound in found.difference_interval)
        found_text = (
            f"with {len(found.seeds)} fresh seeds {found.strategy} has a test {score} of "
            f"{found.test:.2%}, {self.baseline} {found.freeze:.2%}: "
            f"{100 * (found.test - found.freeze):+.2f} points ({low:+.2f} to {high:+.2f})"
        )
        if found.holds:
            return f"use {found.strategy}: {found_text}"
        return (
            f"use {self.baseline}: {found.strategy} was best on validation, but {found_text}, "
            "which is not beyond chance"
        )

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Return the column heads and the cells of the table."""
        heads = ["strategy", "lr", "validation", f"test {self.metric}", "test 95 %"]
        heads += ["over Freeze", "over Freeze 95 %", "p (Holm)", "rows moved", "movement"]
        heads += ["neighbours", *self.word_pairs, "seconds"]
        return heads, [self._cells(one) for one in self.standings]

    def _cells(self, one: Standing) -> list[str]:
        is_baseline = one.strategy == self.baseline
        low, high = one.test_interval
        return [
            one.strategy,
            f"{one.lr:g}",
            f"{one.validation:.2%}",
            f"{one.test:.2%}",
            f"{100 * low:.1f} to {100 * high:.1f}",
            "" if is_baseline else f"{100 * one.difference:+.2f}",
            "" if is_baseline else _signed(one.difference_interval),
            "" if is_baseline else _p(one.p),
            f"{one.rows_moved:,.0f}",
            f"{one.median_movement:.1%}",
            f"{one.neighbour_overlap:.1%}",
            *(f"{one.word_pairs[name]:.3f}" for name in self.word_pairs),
            f"{one.seconds:.1f}",
        ]

    def lines(self) -> list[str | Grid]:
        """Return the table and the lines of the printed result."""
        return [Grid(*self.rows()), "", *self.notes(), "", self.verdict()]

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines()))

    def notes(self) -> list[str]:
        """Return what to know about the table."""
        count = len(self.seeds)
        notes = [
            f"means over {count} seed{'s' * (count != 1)}; each learning rate is the best on "
            f"validation of those tried with seed {self.search_seed}",
            *self.data_notes,
        ]
        if len(alike := self.as_good()) > 1:
            notes.append(
                f"not different from {self.standings[0].strategy} beyond chance on test: "
                f"{', '.join(s.strategy for s in alike if s is not self.standings[0])}; of these, "
                f"{alike[0].strategy} kept most neighbours ({alike[0].neighbour_overlap:.1%})"
            )
        if self.word_pairs:
            before = ", ".join(f"{name} {value:.3f}" for name, value in self.word_pairs.items())
            notes.append(f"correlation with human scores of word pairs before tuning: {before}")
        return notes

    def markdown(self) -> str:
        """Return the table in Markdown, with the notes and the verdict below it."""
        heads, rows = self.rows()
        for row in rows:
            row[0] = f"`{row[0]}`"
        lines = [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]
        return "\n".join([*lines, "", *(f"{note}." for note in self.notes()), "", self.verdict()])

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON; numbers that are not finite become None."""
        found = {**asdict(self), "recommended": str(self.recommended), "verdict": self.verdict()}
        plain: dict[str, Any] = finite(found)
        return plain

    def plot(self, path: str | os.PathLike[str]) -> None:
        """Draw the test score against the median movement, and write it as PNG or SVG.

        Raises:
            MissingPackageError: matplotlib is not installed.
        """
        with optional_packages("matplotlib", extra="plot"):
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        figure = Figure(figsize=(8, 5), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for number, one in enumerate(self.standings):
            low, high = one.test_interval
            axes.errorbar(
                100 * one.median_movement,
                100 * one.test,
                [[max(0.0, 100 * (one.test - low))], [max(0.0, 100 * (high - one.test))]],
                fmt="os^vDP*X"[number % 8],
                capsize=3,
                label=one.strategy,
            )
        axes.set_xlabel("median movement of the rows that moved, % of their length")
        axes.set_ylabel(f"test {self.metric.replace('_', ' ')}, %")
        seeds = f"{len(self.seeds)} seed{'s' * (len(self.seeds) != 1)}"
        axes.set_title(f"{seeds}; bars: 95 % over seeds and test texts")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        kind = Path(path).suffix.lstrip(".") or "png"
        with atomic_write(path) as file:
            figure.savefig(file, format=kind, dpi=120)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write `comparison.json`, `comparison.md`, `recipe.yaml` and, with matplotlib, a plot.

        All of them appear, or none.

        Raises:
            FinetuneEmbedError: another process is writing to the folder, or it cannot be written.
        """
        folder = Path(folder)
        with locked(folder):
            self.write(folder)

    def write(self, folder: Path) -> None:
        """Write what `save` writes to a folder that the caller has locked."""
        import yaml

        with replaced_together(folder, (RECIPE, MARKDOWN, PLOT, COMPARISON)) as new:
            lines = [f"finetune-embed train --config {RECIPE} -o tuned", self.verdict()]
            if self.beside_recipe:
                lines.append(f"given as objects, not included: {', '.join(self.beside_recipe)}")
            settings = yaml.safe_dump(dict(self.recipe), sort_keys=False, allow_unicode=True)
            recipe = "".join(f"# {line}\n" for line in lines) + settings
            (new / RECIPE).write_text(recipe, "utf-8")
            (new / MARKDOWN).write_text(self.markdown() + "\n", "utf-8", "backslashreplace")
            with contextlib.suppress(MissingPackageError):
                self.plot(new / PLOT)
            document = json.dumps(self.to_dict(), indent=2)
            (new / COMPARISON).write_text(document + "\n", "utf-8")


def _signed(bounds: Sequence[float]) -> str:
    return " to ".join(f"{100 * bound:+.2f}" for bound in bounds)


def _p(value: float) -> str:
    return "< 0.01" if value < 0.01 else f"{value:.2f}"
