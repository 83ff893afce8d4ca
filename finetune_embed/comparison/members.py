"""The models of a search: what each makes of validation, and which of them are best together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..training.ensemble import Other
from ..training.lexical_part import LexicalPart
from ..training.results import scored
from ..training.run.run import HeldOut, Run
from ..training.tasks import Task, score_text
from .statistics import Floats, bootstrap, interval, interval_of_run

__all__ = ["Beside", "Model", "beside", "chosen_of", "ensemble_of", "judged"]

Settings = Mapping[str, Any]
Interval = tuple[float, float]
MOST_MODELS = 6


@dataclass(frozen=True)
class Beside:
    """What a model scores beside the one that was chosen.

    Attributes:
        name: what it is.
        split: `test`; `validation` where there is no test split.
        score: its score.
        interval: the 95 % interval of it over other texts; None for a score that is no sum over
            texts.
        gain: the 95 % interval of what the chosen model scores more, paired by text; None for that
            one itself.
    """

    name: str
    split: str
    score: float
    interval: Interval | None
    gain: Interval | None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Beside:
        """Return what `asdict` has made plain values of, which a file has lists in."""
        bounds = {name: values[name] and tuple(values[name]) for name in ("interval", "gain")}
        return cls(**{**values, **bounds})

    def text(self, metric: str) -> str:
        """Return the scores as a line."""
        line = f"{self.name:<15}{score_text(metric, self.score):>8}"
        if self.interval is not None:
            line += f"  ({_bounds(metric, self.interval)})"
        if self.gain == (0.0, 0.0):
            line += "  the result is no different"
        elif self.gain is not None:
            low, high = (100 * bound for bound in self.gain)
            chance = ", within chance" if low <= 0 <= high else ""
            line += f"  the result is {low:+.1f} to {high:+.1f} points better{chance}"
        return line


def _bounds(metric: str, bounds: Interval) -> str:
    return " to ".join(score_text(metric, one, 1) for one in bounds)


@dataclass(frozen=True, eq=False)
class Model:
    """A model of a search.

    Attributes:
        settings: its settings that differ from those of the first run.
        run: the run that made it.
        logits: its logits on the validation split, and on those of the other folds.
        tasks: the task of each of these runs.
        held_out: the validation split of each.
        is_kept: whether it is from a file; then its run has the table of the first one.
    """

    settings: Settings
    run: Run
    logits: Sequence[torch.Tensor]
    tasks: Sequence[Task]
    held_out: Sequence[HeldOut]
    is_kept: bool = False

    @classmethod
    def of(cls, settings: Settings, runs: Sequence[Run]) -> Model:
        """Return the model of a run, which is also judged by runs on other folds."""
        held_out = [run.held_out["validation"] for run in runs]
        logits = [
            found.joined([run.lexical] if run.lexical else [])[0]
            for run, found in zip(runs, held_out, strict=True)
        ]
        return cls(settings, runs[0], logits, [run.task for run in runs], held_out)


def judged(models: Sequence[Model]) -> tuple[float, float]:
    """Return the score and the loss of models together on validation, the mean over the folds."""
    found = []
    for at, (task, held_out) in enumerate(zip(models[0].tasks, models[0].held_out, strict=True)):
        logits = task.average([one.logits[at] for one in models])
        targets = held_out.targets
        found.append(task.fit(logits, targets).scores(logits, targets, held_out.lengths))
    task, sizes = models[0].tasks[0], [len(one.targets) for one in models[0].held_out]
    score = np.average([one[task.metric] for one in found], weights=sizes)
    return float(score), float(np.average([one["loss"] for one in found], weights=sizes))


def chosen_of(models: Sequence[Model]) -> list[Model]:
    """Return the models whose mean probabilities have the least loss on validation.

    They are added one by one, beginning with the best (Caruana et al. 2004), each once. If the
    score of all together is worse than that of the first model beyond chance, paired by text,
    return that one alone.

    Args:
        models: the models, that of the first run first.
    """
    chosen: list[Model] = []
    loss = float("inf")
    while len(chosen) < MOST_MODELS:
        left = [one for one in models if one not in chosen]
        losses = [judged([*chosen, one])[1] for one in left]
        if not left or min(losses) >= loss:
            break
        loss = min(losses)
        chosen.append(left[losses.index(loss)])
    return [models[0]] if not chosen or _is_worse(chosen, models[0]) else chosen


def _is_worse(models: Sequence[Model], first: Model) -> bool:
    """Return whether models together score worse than one of them on validation, beyond chance."""
    ours, its = (_outcomes(one, one[0].held_out) for one in (models, [first]))
    if ours is not None and its is not None:
        drawn = bootstrap({"ours": ours, "its": its})
        return interval(drawn["ours"] - drawn["its"])[1] < 0
    task = first.tasks[0]
    ranks = [
        task.rank(dict(zip((task.metric, "loss"), judged(one), strict=True)))
        for one in (models, [first])
    ]
    return ranks[0] < ranks[1]


def _outcomes(models: Sequence[Model], held_out: Sequence[HeldOut]) -> Floats | None:
    """Return what each text of all folds adds to the score of models together, `(1, N, 2)`."""
    found = []
    for at, (task, one) in enumerate(zip(models[0].tasks, held_out, strict=True)):
        logits = task.average([model.logits[at] for model in models])
        outcomes = task.fit(logits, one.targets).outcomes(logits, one.targets, one.lengths)
        if outcomes is None:
            return None
        found.append(outcomes)
    return np.concatenate(found)[None]


def ensemble_of(models: Sequence[Model]) -> Run:
    """Return the run of the first of some models, with the others as an ensemble.

    All have the lexical classifier of the first, which differs from theirs by its seed alone.
    """
    run = models[0].run
    if len(models) == 1:
        return run
    runs = [one.run for one in models]
    parts = [
        replace(one.lexical, classifier=run.lexical.classifier)
        for one in runs
        if one.lexical is not None and run.lexical is not None
    ]
    held_out = {
        split: found._replace(vectors=[one.held_out[split].vectors[0] for one in runs])
        for split, found in run.held_out.items()
    }
    results = scored(run.task, held_out, parts)
    heads = [str(one.record["head"]) for one in runs]
    record = {**run.record, **results.task.settings()}
    weighted: list[LexicalPart | None] = [*parts] or [None] * len(runs)
    others = [Other(one.model, part) for one, part in zip(runs, weighted, strict=True)]
    return replace(
        run,
        task=results.task,
        settings={**run.settings, "ensemble": len(models)},
        record=record if len(set(heads)) == 1 else {**record, "heads": heads},
        metrics={**run.metrics, **results.metrics},
        outcomes=results.outcomes,
        others=others[1:],
        held_out=held_out,
    )


def beside(runs: Mapping[str, Run]) -> tuple[Beside, ...]:
    """Return how runs score on test, the first of them the one that the others are beside.

    Without a test split, they are scored on validation, which chose the first one.
    """
    first = next(iter(runs.values()))
    split = "test" if "test" in first.held_out else "validation"
    logits = {}
    for name, run in runs.items():
        parts = [one for one in (run.lexical, *(o.lexical for o in run.others)) if one is not None]
        logits[name] = {
            at: run.task.average(found.joined(parts)) for at, found in run.held_out.items()
        }
    if (words := first.held_out[split].words) is not None:
        chosen_by = first.held_out["validation"].words
        assert chosen_by is not None
        logits["words alone"] = {"validation": chosen_by, split: words}
    scores, outcomes = {}, {}
    for name, one in logits.items():
        found = first.held_out[split]
        task = first.task.fit(one["validation"], first.held_out["validation"].targets)
        scores[name] = task.scores(one[split], found.targets, found.lengths)[task.metric]
        outcomes[name] = task.outcomes(one[split], found.targets, found.lengths)
    drawn = {name: one[None] for name, one in outcomes.items() if one is not None}
    drawn = bootstrap(drawn) if len(drawn) == len(scores) else {}
    found, chosen = first.held_out[split], next(iter(runs))
    texts = first.task.texts_counted(found.targets, found.lengths)
    return tuple(
        Beside(
            name,
            split,
            score,
            interval_of_run(first.task, score, texts, None, drawn.get(name)),
            interval(drawn[chosen] - drawn[name]) if drawn and name != chosen else None,
        )
        for name, score in scores.items()
    )
