"""`compare`: which strategy to take on a task, from fair runs of each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from ..data import DataSource
from ..errors import DataError, DivergenceError, Option, Part, StrategyError, Text
from ..files import locked
from ..strategies import Freeze, Strategy
from ..table import EmbeddingTable
from ..training.choose import GENERAL
from ..training.given_objects import strategy_sha256
from ..training.keywords import Keywords
from ..training.ranges import WholeNumber
from ..training.runtime.interrupts import says_how_to_continue
from ..training.runtime.progress import CountBar
from ..training.settings import Settings
from ..training.signatures import document
from ..training.tasks import ADDS_UP, Regression
from .engine import check_settings
from .folder import open_folder
from .inputs import TEST, open_inputs
from .report import Comparison, Confirmation, Standing
from .runner import Runner
from .search import DIVERGED, next_rung, rate_of
from .trials import Trial, Trials
from .verdict import confirmed, standings_of

__all__ = ["REPRESENTATIVE", "compare"]

#: One or two strategies of each family, for a first comparison.
REPRESENTATIVE = (
    "Freeze",
    "FullTune",
    "UnfreezeAfter(fraction=0.2)",
    "DiscriminativeLR(embedding=0.1)",
    "HeadFirst(epochs=3)",
    "L2SP(decay=0.1)",
    "DeltaShrink(shrink=0.1)",
    "TrustRegion(radius=0.2)",
    "FrequencyLR(power=0.5)",
)
#: Settings of `finetune` that a comparison decides about itself, or has no use for.
EXCLUDED = ("strategy", "streaming", "trackers", "checkpoint_steps", "checkpoint_minutes")
START_LR = 1e-2


@document(without=EXCLUDED, lr=START_LR, test=TEST)
def compare(
    strategies: Sequence[Strategy | str],
    vectors: str | os.PathLike[str] | EmbeddingTable,
    dataset: DataSource,
    *,
    seeds: int = 5,
    budget: int = 5,
    word_pairs: Sequence[str | os.PathLike[str]] = (),
    **settings: Unpack[Keywords],
) -> Comparison:
    """Compare strategies on a task, and recommend one if tuning pays.

    All strategies get the same: `budget` runs with the seed `seed` to find a learning rate by
    validation score, then one run with each of `seeds` other seeds. A seed decides about the
    validation split, the head, the order of batches and dropout. The strategy with the best mean
    validation score is run again with as many fresh seeds, next to `Freeze`. It is recommended if
    it is better on test beyond chance, that is, if the 95 % interval of the difference is above 0;
    otherwise `Freeze` is.

    Intervals come from a bootstrap over test texts nested in seeds (see `statistics`); with few
    seeds they are slightly too narrow. Differences from `Freeze` are paired by seed and text; their
    p-values are corrected for the number of strategies (Holm 1979).

    Args:
        strategies: the strategies to compare, as objects or in text form. `Freeze()` is added where
            it is missing. `REPRESENTATIVE` holds one or two of each family.
        vectors: as for `finetune`.
        dataset: as for `finetune`, held in memory.
        seeds: the number of runs per strategy.
        budget: the number of learning rates tried per strategy. The search starts at `lr` and moves
            by factors of the root of ten until both neighbours of a rate are worse.
        word_pairs: files of word pairs with human scores, such as SimLex-999, on which tables are
            evaluated before and after; see `read_word_pairs`.
        settings: those of `finetune`, the same for all runs. `lr` is where the search starts,
            `seed` its seed; `test` is the share of training examples held out, the same for all
            runs, where there is no test split, or one without labels; `output_dir` is a folder for
            the runs, each kept once it is finished, and for the result: `comparison.md`, `.json`,
            `.png`, and `recipe.yaml` for `finetune-embed train --config`. With `resume`, more
            strategies, seeds or a larger budget reuse finished runs.

    Returns:
        The comparison. It prints as a table and a verdict; see `recommended`, `standings` and
        `plot(path)`.

    Raises:
        FinetuneEmbedError: as `finetune`; a strategy is given twice; a strategy diverged with every
            learning rate tried.

    Example:
        >>> found = fe.compare(
        ...     ["FullTune"], "glove.6B.50d.txt", "reviews", seeds=2, budget=1, max_steps=3
        ... )
        >>> [standing.strategy for standing in found.standings]
        ['FullTune', 'Freeze']
    """
    known = _by_text(strategies)
    seeds, budget = (_plain_number(value) for value in (seeds, budget))
    given = _check(settings, seeds, budget, word_pairs)
    plan = Plan(tuple(known), budget, START_LR if given.lr is None else given.lr, given.seed, seeds)
    with contextlib.ExitStack() as held:
        if given.output_dir is not None:
            held.enter_context(locked(Path(given.output_dir)))
        return _compared(known, vectors, dataset, given, word_pairs, plan)


def _compared(
    known: Mapping[str, Strategy],
    vectors: str | os.PathLike[str] | EmbeddingTable,
    dataset: DataSource,
    given: Settings,
    word_pairs: Sequence[str | os.PathLike[str]],
    plan: Plan,
) -> Comparison:
    """Make the runs of a comparison, in a folder that is locked."""
    inputs = open_inputs(vectors, dataset, given, word_pairs)
    path, begin = open_folder(given.output_dir, inputs.identity, given.resume, given.overwrite)
    hashes = {name: strategy_sha256(strategy) for name, strategy in known.items()}
    with CountBar(given.progress, plan.most_runs) as bar:
        trials = Trials(Runner(known, inputs).run, bar, path, hashes, begin)
        with says_how_to_continue(lambda: trials.are_kept, given.overwrite):
            results = _run(plan, trials, bar)
    standings, confirmation, rates = results.standings, results.confirmation, results.rates
    holds = confirmation is not None and confirmation.holds
    chosen = standings[0].strategy if holds else plan.baseline
    recipe, objects = inputs.recipe(chosen, rates[chosen])
    comparison = Comparison(
        standings,
        plan.baseline,
        results.metric,
        confirmation,
        plan.judged,
        plan.seed,
        inputs.correlations(inputs.engine.table),
        known[chosen],
        recipe,
        objects,
        inputs.notes,
    )
    if given.output_dir is not None:
        comparison.write(Path(given.output_dir))
    return comparison


@dataclass(frozen=True)
class Plan:
    """The runs that a comparison is to make.

    Attributes:
        names: the strategies, the baseline first.
        budget: the learning rates tried for each.
        lr: the first of them.
        seed: the seed of that search.
        seeds: the number of seeds that strategies are compared on, and of those that confirm.
    """

    names: tuple[str, ...]
    budget: int
    lr: float
    seed: int
    seeds: int

    @property
    def baseline(self) -> str:
        """The strategy that the others are compared with."""
        return self.names[0]

    @property
    def judged(self) -> tuple[int, ...]:
        """The seeds that strategies are compared on."""
        return tuple(range(self.seed + 1, self.seed + 1 + self.seeds))

    @property
    def fresh(self) -> tuple[int, ...]:
        """The seeds that the best strategy is confirmed with."""
        return tuple(seed + self.seeds for seed in self.judged)

    @property
    def most_runs(self) -> int:
        """The number of runs at most."""
        return len(self.names) * (self.budget + self.seeds) + 2 * self.seeds


@dataclass(frozen=True)
class Results:
    """What the runs of a comparison came to."""

    standings: tuple[Standing, ...]
    confirmation: Confirmation | None
    rates: Mapping[str, float]
    metric: str


def _run(plan: Plan, trials: Trials, bar: CountBar) -> Results:
    """Search a learning rate for each strategy, compare them, and confirm the best one."""
    tried = {name: _search(plan, name, trials, bar) for name in plan.names}
    rates = {name: _best_rate(name, scores) for name, scores in tried.items()}

    def runs(name: str, seeds: Sequence[int]) -> list[Trial]:
        return [trials.get(name, rates[name], seed) for seed in seeds]

    found = {name: runs(name, plan.judged) for name in plan.names}
    standings = standings_of(found, tried, plan.baseline)
    best, confirmation = standings[0].strategy, None
    if best == plan.baseline:
        bar.add(-2 * plan.seeds)
    else:
        confirmation = confirmed({name: runs(name, plan.fresh) for name in (best, plan.baseline)})
    return Results(standings, confirmation, rates, found[plan.baseline][0].metric)


def _search(plan: Plan, name: str, trials: Trials, bar: CountBar) -> dict[float, float | None]:
    """Return the validation score of each learning rate tried, None where the loss diverged."""
    scores: dict[int, float] = {}
    tried: dict[float, float | None] = {}
    while (rung := next_rung(scores, plan.budget)) is not None:
        trial = trials.get(name, rate_of(plan.lr, rung), plan.seed)
        scores[rung] = DIVERGED if trial.diverged else trial.validation
        tried[trial.lr] = None if trial.diverged else trial.validation
    bar.add(len(scores) - plan.budget)
    return tried


def _best_rate(name: str, tried: Mapping[float, float | None]) -> float:
    known = {rate: score for rate, score in tried.items() if score is not None}
    if not known:
        rates = ", ".join(f"{rate:g}" for rate in tried)
        raise DivergenceError(
            f"the loss diverged with every learning rate tried: {rates}",
            where=name,
            remedy=("start lower: ", Option("lr", float(f"{min(tried) / 100:g}"))),
        )
    return max(known, key=known.__getitem__)


def _joined(names: Sequence[str]) -> list[Part]:
    options: list[Part] = [part for n in names for part in (", ", Option("metric", n))]
    return options[1:]


def _plain_number(value: Any) -> Any:
    """Return a number of NumPy as Python's, which files hold."""
    return value.item() if isinstance(value, np.generic) else value


def _by_text(strategies: Sequence[Strategy | str]) -> dict[str, Strategy]:
    """Return strategies by their text form, the baseline first.

    Raises:
        StrategyError: one is given twice, or cannot be parsed.
    """
    if isinstance(strategies, (str, Strategy)):
        raise StrategyError(
            "compare takes a list of strategies", remedy=f"call compare([{strategies!r}], ...)"
        )
    baseline = Freeze()
    known: dict[str, Strategy] = {}
    for given in strategies:
        one = Strategy.parse(given) if isinstance(given, str) else given
        if not isinstance(one, Strategy):
            raise StrategyError(
                f"compare takes strategies, and {one!r} is not a Strategy",
                value=one,
                remedy="pass objects or text forms, such as 'FullTune'",
            )
        if str(one) in known:
            raise StrategyError(f"{one} is given twice", value=one, remedy="name it once")
        known[str(one)] = one
    return {str(baseline): baseline, **known}


def _check(settings: Keywords, seeds: int, budget: int, word_pairs: object) -> Settings:
    """Return the settings of all runs, checked.

    Raises:
        StrategyError: a number is out of range, or a setting is one that `compare` does not have.
        DataError: there are several processes, or `word_pairs` is not a list.
    """
    count = WholeNumber(1)
    if isinstance(word_pairs, (str, os.PathLike)):
        raise DataError(
            "is one file, not a list of files",
            option="word_pairs",
            value=word_pairs,
            remedy=("pass ", Option("word_pairs", [word_pairs])),
        )
    for name, value in (("seeds", seeds), ("budget", budget)):
        if not count.allows(value):
            raise StrategyError(f"must be a {count.range}", option=name, value=value)
    values: dict[str, Any] = {**GENERAL, "head": "bag", "lr": START_LR, **settings}
    given = check_settings("compare", values, EXCLUDED, "the recipe")
    if given.metric is not None and given.metric not in ADDS_UP:
        remedy: Text = ("compare by ", *_joined(ADDS_UP), ", or leave ", Option("metric"), " out")
        if given.metric in set(Regression().measures) - {"loss"}:
            remedy = "run finetune with each strategy, and compare their test scores"
        raise DataError(
            "is not the sum of what single texts add to it, which chance is judged by",
            option="metric",
            value=given.metric,
            remedy=remedy,
        )
    return given
