"""`autotune`: the settings that are best on validation, within a budget of time."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Unpack

from ..data import DataSource
from ..errors import DivergenceError, StrategyError
from ..files import locked
from ..table import EmbeddingTable
from ..training.choose import CLASSIFIER
from ..training.finetune import OF_THE_FILE, finetune, open_vectors
from ..training.resolve import resolve
from ..training.run.folder import check_folder
from ..training.run.run import Run, write_text_file
from ..training.settings import Keywords, settings_from
from ..training.signatures import document
from ..training.tasks import score_text

__all__ = ["Autotuned", "Tried", "autotune"]

#: Settings of `finetune` that a search decides about itself, or has no use for.
EXCLUDED = ("ensemble", "streaming", "resume", "trackers", "checkpoint_steps", "checkpoint_minutes")
#: The share of the budget for the search; the rest is for the models of the final run.
SEARCH = 0.5
#: What `finetune` chooses with a head that is left out.
OF_THE_HEAD = ("lexical", "epochs", "lr", "schedule", "batch_size")
MOST_MODELS = 5

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Tried:
    """What came of some settings.

    Attributes:
        settings: the settings that differ from those of a first run.
        score: the score on validation that chooses, higher is better; None if the run diverged.
        loss: the loss on validation.
        seconds: the time of the run.
        is_better: whether it was better than the best before it.
        metric: the name of the score.
    """

    settings: Settings
    score: float | None
    loss: float | None
    seconds: float
    is_better: bool
    metric: str = ""

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        if self.score is None:
            return f"diverged{'':>20}{self.seconds:7.1f} s    {shown}"
        mark = "+" if self.is_better else " "
        scores = f"{score_text(self.metric, self.score):>7}  loss {self.loss:7.4f}"
        return f"{scores}{self.seconds:8.1f} s  {mark} {shown or 'as a first run'}"


@dataclass(frozen=True)
class Autotuned:
    """The run with the best settings, and what was tried. Prints as a table.

    Attributes:
        run: the run; an ensemble of several models where the budget was enough for them.
        settings: the settings of the run that differ from those of a first run.
        tried: all settings that were tried, in order.
        metric: the name of the score.
    """

    run: Run
    settings: Settings
    tried: tuple[Tried, ...]
    metric: str

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "settings": dict(self.settings),
            "metric": self.metric,
            "tried": [{**vars(one), "settings": dict(one.settings)} for one in self.tried],
            "metrics": dict(self.run.metrics),
        }

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        lines = [f"{self.metric.replace('_', ' ')} on validation", *map(str, self.tried)]
        return "\n".join([*lines, f"chosen: {shown or 'as a first run'}", str(self.run)])


@document(without=EXCLUDED)
def autotune(
    vectors: str | os.PathLike[str] | EmbeddingTable,
    dataset: DataSource,
    *,
    budget: str | float = "60s",
    **settings: Unpack[Keywords],
) -> Autotuned:
    """Search for settings on validation within a budget of time, and train with the best.

    The search starts at what `finetune` does without settings, and changes one thing at a time:
    the learning rate, the size of batches, the optimizer, the head, the rate of the table. A change
    stays if neither the score nor the loss on validation is worse, and one is better: one of them
    alone is often noise. The rest of the budget is for an ensemble of up to five models with the
    best settings and different seeds; its predictions are those of all, and its table is that of
    the first. Settings that are given are not searched. The test split chooses nothing.

    Args:
        vectors: as for `finetune`.
        dataset: as for `finetune`, held in memory.
        budget: the time for all runs, such as `"60s"`, `"5m"` or a number of seconds. At least one
            run is made and finished, however long it takes.
        {settings}

    Returns:
        The run with the best settings, and what was tried. With `output_dir`, the run is written
        there, and `autotune.json` beside its files.

    Raises:
        FinetuneEmbedError: as `finetune`.
        StrategyError: the budget is not a time, or a setting is one that `autotune` does not have.
    """
    started, limit = time.perf_counter(), seconds_of(budget)
    for name in EXCLUDED:
        if name in settings:
            raise StrategyError(
                f"autotune does not have the setting {name}",
                remedy="pass it to finetune, with the settings that were chosen",
            )
    given: dict[str, Any] = dict(settings)
    checked = resolve(settings_from("autotune", given))
    folder = None if checked.output_dir is None else Path(checked.output_dir)
    if folder is not None:
        with locked(folder):
            check_folder(folder, False, checked.overwrite)
    kept = {name: value for name, value in given.items() if name not in ("output_dir", "overwrite")}
    first = finetune(vectors, dataset, **kept)
    base, _ = open_vectors(vectors, checked)
    kept = {name: value for name, value in kept.items() if name not in OF_THE_FILE}
    search = _Search(partial(finetune, base, dataset), kept, first, time.perf_counter() - started)
    search.run(started + SEARCH * limit)
    left = started + limit - time.perf_counter()
    models = max(1, min(MOST_MODELS, int(left / search.seconds)))
    chosen = {**search.best, **({"ensemble": models} if models > 1 else {})}
    run = first
    if chosen:
        run = finetune(vectors, dataset, **{**given, **chosen})
    elif folder is not None:
        run.save(folder)
    found = Autotuned(run, chosen, tuple(search.tried), run.task.metric)
    if folder is not None:
        write_text_file(folder / "autotune.json", json.dumps(found.to_dict(), indent=2))
    return found


class _Search:
    """A search by one change at a time.

    Args:
        tune: makes a run with some settings.
        given: the settings of all runs.
        first: the run with these settings alone.
        seconds: the time it took.

    Attributes:
        tried: what was tried.
        best: the settings that were best.
        seconds: the time of a run with them.
    """

    def __init__(
        self, tune: Callable[..., Run], given: Settings, first: Run, seconds: float
    ) -> None:
        self._tune, self._given, self._start = tune, given, first.settings
        self._has_labels = bool(first.task.labels)
        self.best: Settings = {}
        self.seconds = seconds
        self._best = _tried({}, first, seconds, None)
        self.tried = [self._best]

    def run(self, end: float) -> None:
        """Try settings as long as a run is likely to end before `end`."""
        for change in self._changes():
            if time.perf_counter() + self.seconds > end:
                return
            if self._given.keys().isdisjoint(change):
                self._try(self._changed(change))

    def _changed(self, change: Settings) -> Settings:
        """Return the best settings with a change; another head is trained as the first one was."""
        changed = {**self.best, **change}
        if "head" in changed:
            kept = {name: self._start[name] for name in OF_THE_HEAD if name not in self._given}
            changed = {**kept, **changed}
        return changed

    def _changes(self) -> Iterator[Settings]:
        """Yield changes, the most promising first; some depend on what was best so far."""
        start = self._start
        if start["head"] == CLASSIFIER:
            yield {"head": f"{CLASSIFIER}(filters=100)"}
        yield {"lr": 2 * start["lr"]}
        if "lr" not in self.best:
            yield {"lr": start["lr"] / 2}
        yield {"word_dropout": 0.1}
        if start["batch_size"] > 1:
            yield {"batch_size": start["batch_size"] // 2}
        yield {"strategy": "DiscriminativeLR(embedding=3)"}
        yield {"optimizer": "adagrad", "lr": 0.05}
        if start["head"] == CLASSIFIER:
            yield {"head": f"{CLASSIFIER}(widths=(2, 3, 4))"}
            yield {"head": f"{CLASSIFIER}(dropout=0.5)"}
        yield {"epochs": 2 * start["epochs"]}
        if self._has_labels and start.get("loss_fn") is None:
            yield {"label_smoothing": 0.1}

    def _try(self, settings: Settings) -> None:
        started = time.perf_counter()
        try:
            run = self._tune(**{**self._given, **settings})
        except DivergenceError:
            seconds = time.perf_counter() - started
            self.tried.append(Tried(settings, None, None, seconds, False))
            return
        seconds = time.perf_counter() - started
        found = _tried(settings, run, seconds, self._best)
        if found.is_better:
            self._best, self.best, self.seconds = found, settings, seconds
        self.tried.append(found)


def _tried(settings: Settings, run: Run, seconds: float, best: Tried | None) -> Tried:
    """Return the scores of a run, and whether they are better than the best before."""
    scores = run.metrics["validation"]
    score, loss = run.task.rank(scores)[0], scores["loss"]
    is_better = best is None
    if best is not None and best.score is not None and best.loss is not None:
        is_worse = score < best.score or loss > best.loss
        is_better = not is_worse and (score, loss) != (best.score, best.loss)
    return Tried(settings, score, loss, seconds, is_better, run.task.metric)


def seconds_of(budget: str | float) -> float:
    """Return a time such as `60s`, `5m` or `1h`, or a number of seconds, in seconds.

    Raises:
        StrategyError: it is not a time above 0.
    """
    units = {"": 1, "s": 1, "m": 60, "h": 3600}
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", str(budget))
    seconds = float(parts[1]) * units[parts[2]] if parts and not isinstance(budget, bool) else 0.0
    if not seconds:
        raise StrategyError(
            "is not a time",
            option="budget",
            value=budget,
            remedy="give, for example, budget='60s' or budget='5m'",
        )
    return seconds
