"""`autotune`: the settings and models that are best on validation, within a budget of time."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from ..data import DataSource, Splits
from ..errors import DivergenceError
from ..files import locked
from ..table import EmbeddingTable
from ..training.keywords import Keywords
from ..training.open_inputs import source_name
from ..training.run.run import Run
from ..training.runtime.interrupts import says_how_to_continue
from ..training.runtime.progress import BudgetBar
from ..training.signatures import document
from ..training.tasks import score_text
from .autotuned import Autotuned, Tried
from .budget import Budget, seconds_of
from .candidates import FROZEN, cost_of, first_changes, more_seeds
from .engine import Engine, check_settings
from .kept import Kept, check_search
from .members import Model, beside, chosen_of, ensemble_of, judged

__all__ = ["autotune"]

#: Settings of `finetune` that a search decides about itself, or has no use for.
EXCLUDED = ("ensemble", "streaming", "trackers", "checkpoint_steps", "checkpoint_minutes")
#: The validation texts from which one split of them is enough to choose by, the most splits
#: otherwise, and the runs that the budget must have room for on each.
ENOUGH, MOST_FOLDS, RUNS = 1_000, 5, 6
MOST_RUNS = 50
OF_THE_OUTPUT = ("output_dir", "resume", "overwrite", "progress")

Settings = Mapping[str, Any]


@document(without=EXCLUDED)
def autotune(
    vectors: str | os.PathLike[str] | EmbeddingTable,
    dataset: DataSource,
    *,
    budget: str | float = "60s",
    **settings: Unpack[Keywords],
) -> Autotuned:
    """Search for the best models on validation within a budget of time.

    The search starts with what `finetune` does without settings, and then changes one thing at a
    time, each with a seed of its own: the head and its pooling, the strategy, the rates, dropout of
    words, the optimizer, the size of batches, the number of epochs. Then the better half of all
    settings gets another seed, the better half of these one more, and so on. Settings that are
    given are not searched.

    The result is an ensemble of those models whose mean probabilities have the least loss on
    validation (Caruana et al. 2004), at most six. If its score there is worse than that of the
    first model beyond chance, paired by text, that model alone is the result. Each model has been
    trained during the search, so the whole budget is of use.

    Without a validation split of its own, a small data set has few validation texts, and what is
    best on them is so by chance. Where there are fewer than 1,000, and the budget is enough for it,
    each model is also trained and judged on other splits of training and validation. What is
    chosen is always the model of the first split, that of `finetune`.

    The test split chooses nothing. So it shows without bias what the result scores beside a first
    run, beside the same settings with a frozen table, of which the better of two learning rates on
    validation is shown, and beside the words alone, each with an interval over its texts.

    Args:
        vectors: as for `finetune`.
        dataset: as for `finetune`, held in memory.
        budget: the time for all runs, with reading the inputs and writing the result, such as
            `"60s"`, `"5m"` or a number of seconds. At least one run is made and finished, however
            long it takes. The start of Python and its imports come on top.
        {settings}

    Returns:
        The run, and what was tried. With `output_dir`, the run is written there, `autotune.json`
        beside its files, and its `config.yaml` trains as many models like its first. With `resume`,
        a search that was stopped continues with the models that are trained; the time that they
        took is part of the budget.

    Raises:
        FinetuneEmbedError: as `finetune`.
        StrategyError: the budget is not a time, or a setting is one that `autotune` does not have.

    Example:
        >>> best = fe.autotune("glove.6B.50d.txt", "reviews", budget="60s")  # doctest: +SKIP
        >>> print(best)  # doctest: +SKIP
    """
    limit = seconds_of(budget)
    left = Budget(limit)
    given: dict[str, Any] = dict(settings)
    checked = check_settings("autotune", given, EXCLUDED, "the settings that were chosen")
    folder = None if checked.output_dir is None else Path(checked.output_dir)
    given = {name: one for name, one in given.items() if name not in OF_THE_OUTPUT}
    names = {"vectors": source_name(vectors), "data": source_name(dataset)}
    plain = {**names, **checked.plain()}
    with contextlib.ExitStack() as held:
        continues = False
        if folder is not None:
            held.enter_context(locked(folder))
            continues = check_search(folder, checked.resume, checked.overwrite)
            if checked.resume and not continues:
                head = None if isinstance(checked.head, str) else checked.head
                if (finished := Autotuned.read(folder, plain, head)) is not None:
                    return finished
        kept = Kept(folder, continues)
        with (
            BudgetBar(checked.progress, limit, lambda: left.used) as bar,
            says_how_to_continue(lambda: kept.is_begun, checked.overwrite),
        ):
            engine = Engine.open("autotune", vectors, dataset, given, checked)
            left.opened()
            found = _Search(engine, left, kept, bar).run()
        if folder is not None:
            found.write(folder, plain)
        kept.end()
    return found


class _Search:
    """The runs of a search.

    Args:
        engine: makes them.
        budget: the time.
        kept: the models of an earlier call, and the place for those of this one.
        bar: shows each run.
    """

    def __init__(self, engine: Engine, budget: Budget, kept: Kept, bar: BudgetBar) -> None:
        self._engine, self._budget, self._kept, self._bar = engine, budget, kept, bar
        self._folds = [self._fold(0)]
        self._models: list[Model] = []
        self._tried: list[tuple[Settings, Model | None, float]] = []

    def run(self) -> Autotuned:
        """Make the runs, and return what they come to."""
        first = self._first()
        for change in self._changes(first.run):
            cost = cost_of(change, first.run.settings)
            if len(self._tried) == MOST_RUNS:
                break
            is_known = change in [settings for settings, _, _ in self._tried]
            if not is_known and self._budget.fits(cost * len(self._folds)):
                self._try(change, cost)
        chosen = chosen_of(self._models)
        if chosen[0].is_kept:  # its table is that of the result
            chosen[0] = replace(chosen[0], run=self._tune(chosen[0].settings, 0), is_kept=False)
        self._show("the result")
        run, kept = ensemble_of(chosen), [one.settings for one in chosen]
        metric = run.task.metric
        return Autotuned(
            run,
            tuple(kept),
            tuple(
                _tried(settings, model, seconds, settings in kept, first)
                for settings, model, seconds in self._tried
            ),
            beside(self._rivals(run, first)),
            metric,
            len(self._folds),
        )

    def _first(self) -> Model:
        """Make the run without changes, and decide how many folds there are."""
        started = self._budget.used
        self._show("a first run")
        run = self._tune({}, 0)
        self._budget.ran(self._budget.used - started, 1)
        folds = self._kept.folds or self._enough_folds(len(run.held_out["validation"].lengths))
        self._kept.begin(run, folds)
        self._folds += [self._fold(number) for number in range(1, folds)]
        others = [self._tune({}, number) for number in range(1, len(self._folds))]
        model = Model.of({}, [run, *others])
        self._models.append(model)
        self._tried.append(({}, model, self._budget.used - started))
        for settings, known, seconds in self._kept.all(model, self._engine.settings.head):
            self._budget.spend(seconds)
            self._models += [known] if known is not None else []
            self._tried.append((settings, known, seconds))
        return model

    def _enough_folds(self, texts: int) -> int:
        """Return on how many validation splits of so many texts to judge settings."""
        if self._engine.data.validation is not None:
            return 1
        folds = min(MOST_FOLDS, math.ceil(ENOUGH / texts))
        while folds > 1 and not self._budget.allows(RUNS * folds):
            folds -= 1
        return folds

    def _changes(self, first: Run) -> Iterator[Settings]:
        """Yield what to try; what comes after the first changes depends on their scores."""
        has_labels = bool(first.task.labels) and self._engine.settings.loss_fn is None
        changes = list(first_changes(first.settings, self._engine.given, has_labels))
        yield from changes
        # of a search that continues, there may be models with more seeds already
        models = [one for one in self._models if one.settings in [{}, *changes]]
        ranked = sorted(models, key=lambda one: judged([one])[1])
        fresh = max(one.run.settings["seed"] for one in ranked) + 1
        yield from more_seeds([one.settings for one in ranked], fresh)

    def _try(self, settings: Settings, cost: float) -> None:
        started, model = self._budget.used, None
        self._show(", ".join(f"{name}={one}" for name, one in settings.items()))
        with contextlib.suppress(DivergenceError):
            runs = [self._tune(settings, number) for number in range(len(self._folds))]
            model = Model.of(settings, runs)
            self._models.append(model)
        seconds = self._budget.used - started
        self._budget.ran(seconds / len(self._folds), cost)
        self._kept.put(len(self._tried), settings, model, seconds)
        self._tried.append((settings, model, seconds))

    def _show(self, what: str) -> None:
        """Show what is tried now, and the best score on validation so far."""
        if not self._bar.is_shown:
            return  # scoring all models would take time of the budget
        best = ""
        if self._models:
            task = self._models[0].tasks[0]
            score = max(
                (judged([one])[0] for one in self._models),
                key=lambda one: task.rank({task.metric: one, "loss": 0.0}),
            )
            best = f"; best validation {task.metric_text} {score_text(task.metric, score, 1)}"
        tried = len(self._tried)
        self._bar.begin(f"{tried} tried, now {what}{best}")

    def _tune(self, changes: Settings, fold: int) -> Run:
        return self._engine.run(changes, self._folds[fold])

    def _fold(self, number: int) -> Splits:
        return self._engine.splits(self._engine.settings.seed + number)

    def _rivals(self, run: Run, first: Model) -> dict[str, Run]:
        """Return what the result is shown beside, by name."""
        found = {"the result": run, "a first run": first.run}
        frozen = [one for one in self._models if one.settings.items() >= FROZEN.items()]
        if frozen:
            best = min(frozen, key=lambda one: judged([one])[1])
            found["a frozen table"] = best.run
        return found


def _tried(
    settings: Settings, model: Model | None, seconds: float, is_chosen: bool, first: Model
) -> Tried:
    before, metric = first.run.settings, first.run.task.metric
    changed = tuple(name for name, one in settings.items() if before.get(name) != one)
    score, loss = (None, None) if model is None else judged([model])
    return Tried(settings, score, loss, seconds, is_chosen, metric, changed)
