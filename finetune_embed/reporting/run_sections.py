"""The sections about a run: its scores, its training, and which labels it confuses."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..comparison.statistics import interval_of_run
from ..errors import printable
from ..training.run.evaluation import Evaluation, few_texts, texts_in_words
from ..training.run.run import Run
from ..training.run.shrunk import shrunk_to
from ..training.tasks import score_text
from .figures import against_movement, confusion_chart, curves
from .gains import ratio
from .judged import Judged, Tested
from .parts import Cell, Figures, Part, Section, Table, Text, Texts, Tile, Tiles
from .texts import changed_texts, has_shown_texts, mistakes, uncertain

__all__ = ["headline", "results", "shown_texts", "training"]

NO_DATA = (
    "A run does not store its texts. Pass labelled data to see this: --data on the command line, "
    "dataset= in Python."
)
SAME = 1e-6  # how far scores of the same texts differ at most
CONFUSED = 20  # pairs of labels that are listed where a matrix is too large to draw


def headline(run: Run, gain: Tile, tested: Tested) -> Section:
    """Return the section that is read first.

    Args:
        run: the run.
        gain: what it gains over another.
        tested: what there is to test it on.
    """
    moved, coverage = run.metrics["drift"], run.metrics["coverage"]
    split = "test" if "test" in run.metrics else "validation"
    about = "" if split == "test" else "chosen by this score: there is no test split; "
    metric, texts = run.task.metric, run.metrics.get("texts", {}).get(split)
    score = run.metrics[split][metric]
    outcomes = _outcomes(score, run, tested) if split == "test" else None
    bounds = interval_of_run(run.task, score, texts or 0, outcomes)
    if bounds is not None:
        about += f"95 % interval {_bounds(metric, bounds)}; "
    about += "" if texts is None else texts_in_words(texts) + few_texts(metric, texts, bounds)
    what = f"{moved['rows_moved']:,} of {moved['rows']:,} rows"
    how = "The others are bit-identical."
    if moved["rows_moved"] and moved["median_movement"] is not None:
        how = (
            f"by {moved['median_movement']:.1%} of their length at the median, cosine to their "
            f"start {moved['median_cosine']:.4f}; the others are bit-identical"
        )
    share = coverage["tokens_found"] / max(1, coverage["tokens"])
    tiles = [
        Tile(f"{split} {run.task.metric_text}", score_text(metric, score), about.rstrip("; ")),
        gain,
        Tile("what moved", what, how),
        Tile(
            "words in the vectors",
            f"{share:.1%} of tokens",
            f"{coverage['types_found']:,} of {coverage['types']:,} distinct words",
        ),
    ]
    parts: list[Part] = [Tiles(tiles)]
    if small := shrunk_to(run.record):
        parts.append(Text(f"The scores and the drift are from before it was shrunk to {small}."))
    parts += [Text(warning, warning=True) for warning in run.warnings]
    return Section("headline", "Result", parts)


def _outcomes(score: float, run: Run, tested: Tested) -> npt.NDArray[np.float64] | None:
    """Return what each text of the test split adds to its score, if that is known."""
    outcomes = run.outcomes if tested.data is None else tested.data.outcomes
    if outcomes is None or abs(ratio(outcomes) - score) > SAME:
        return None  # the data that was given is not the test split
    return outcomes


def training(run: Run) -> Iterator[Section]:
    """Yield the sections on training: its curves, and the score against movement."""
    metric, best, history = run.task.metric, run.metrics["best_epoch"], run.history
    if not history:
        yield Section("training", "Training", [Text("The run has no history.")])
        return
    known = set().union(*history)
    names = [name for name in ("train_loss", "validation_loss") if name in known]
    heads = ["epoch", *(name.replace("_", " ") for name in names)]
    heads += [f"validation {run.task.metric_text}", "rate of the table", "seconds"]
    columns: list[tuple[str, str]] = [(name, "{:.4f}") for name in names]
    columns += [(f"validation_{metric}", ""), ("embedding_lr", "{:g}"), ("seconds", "{:.1f}")]
    rows = [[Cell(f"{one['epoch'] + 1}", one["epoch"]), *_cells(one, columns)] for one in history]
    text = f"The model is that of epoch {best + 1}, the best on validation, of {len(history)}"
    text += f", trained in {run.metrics['seconds']:.1f} s with {run.settings['strategy']}."
    if run.lexical is not None:
        text += " The curves are those of the vectors' part; the result has a lexical part beside."
    charts = list(curves(history, metric, best))
    table = Table("Every epoch", heads, rows, folded=True)
    yield Section("training", "Training", [Text(text), Figures(charts), table])
    chart = against_movement(history, metric, best)
    parts: list[Part] = [
        Text(
            "The history of this run does not say how far rows had moved after each epoch; that of "
            "a run of this version does."
        )
    ]
    if chart is not None:
        text = "Each point is an epoch, with its number; the orange one is the best on validation."
        parts = [Text(text), Figures([chart])]
    yield Section("movement", "Score against movement", parts)


def _cells(one: Mapping[str, Any], columns: Sequence[tuple[str, str]]) -> Iterator[Cell]:
    """Yield values of a record, which one of an older version may lack."""
    for name, form in columns:
        value = float(one.get(name, math.nan))
        if math.isnan(value):
            yield Cell("", -math.inf)
        else:
            metric = name.removeprefix("validation_")
            yield Cell(form.format(value) if form else score_text(metric, value), value)


def results(run: Run, tested: Tested) -> Section:
    """Return the section on the scores of each label, and which are confused."""
    title = "Scores of each label"
    found = _evaluation(run, tested)
    if found is None:
        return Section("classes", title, [Text(NO_DATA)])
    if not found.labels:
        return Section("classes", title, [Text("The run predicts numbers, not labels.")])
    score = score_text(found.metric, found.scores[found.metric])
    text = f"{found.metric.replace('_', ' ')} {score} on {texts_in_words(found.examples)}"
    text += f" of {printable(Path(found.data).name)}"
    if found.interval is not None:
        text += f", 95 % interval {_bounds(found.metric, found.interval)}"
    parts: list[Part] = [Text(text + ".")]
    units = "words" if run.task.per_word else "texts"
    chart = confusion_chart(found.labels, found.confusion, units)
    if chart is not None:
        parts.append(Figures([chart]))
    elif found.confusion.ndim == 2:
        parts.append(_confused(found, units))
    heads = ["label", "precision", "recall", "F1", "support"]
    rows = [
        [
            Cell(printable(str(one.label))),
            *(Cell(f"{value:.1%}", value) for value in (one.precision, one.recall, one.f1)),
            Cell(f"{one.support:,}", one.support),
        ]
        for one in found.classes
    ]
    parts.append(Table("Precision, recall and F1", heads, rows))
    return Section("classes", title, parts)


def _evaluation(run: Run, tested: Tested) -> Evaluation | None:
    """Return the evaluation on the data that was given, or on the test split that a run holds."""
    if tested.data is not None:
        return tested.data.evaluation
    if "test" not in run.held_out:
        return None
    held = run.held_out["test"]
    parts = [one for one in (run.lexical, *(o.lexical for o in run.others)) if one is not None]
    logits = run.task.average(held.joined(parts))
    counts = run.task.confusion(logits, held.targets) if run.labels else torch.zeros(0).numpy()
    scores = run.metrics["test"]
    return Evaluation(
        "the test split",
        len(held.lengths),
        run.task.metric,
        scores,
        [*run.labels, *run.task.others],
        counts,
        interval=run.task.interval(scores[run.task.metric], len(held.lengths)),
    )


def _confused(found: Evaluation, units: str) -> Table:
    """Return the pairs of labels that are confused most."""
    pairs = [
        (int(found.confusion[row, column]), row, column)
        for row, column in zip(*found.confusion.nonzero(), strict=True)
        if row != column
    ]
    pairs.sort(key=lambda one: -one[0])
    names = [printable(str(label)) for label in found.labels]
    rows = [
        [Cell(names[row]), Cell(names[column]), Cell(f"{count:,}", count)]
        for count, row, column in pairs[:CONFUSED]
    ]
    caption = f"Labels that are confused most, of {len(names):,}"
    return Table(caption, ["true label", "predicted", units], rows)


def shown_texts(run: Run, tested: Tested) -> Section:
    """Return the section on single texts and what their words do."""
    title, parts = "Texts and what their words do", list[Part]()
    if not has_shown_texts(run):
        parts.append(Text("Texts are shown for runs that give each single text one label."))
    elif tested.data is None:
        parts.append(Text(NO_DATA))
    else:
        if tested.other_data is not None and has_shown_texts(tested.other_data.run):
            parts.append(_changed(tested.data, tested.other_data, tested.name))
        else:
            parts.append(
                Text(
                    "Which texts the tuned vectors label differently from frozen ones, and the "
                    f"words that did it, take a second run: {tested.how_to_compare}."
                )
            )
        about = (
            "A word is marked by how much the log-odds of the predicted label fall if the model "
            "reads the text without it: words in bold speak for that label, words in italics "
            "against it. At 1.0 the odds change by a factor of 2.7."
        )
        wrong, close = mistakes(tested.data), uncertain(tested.data)
        parts += [
            Texts("Given another label, the most certain ones first", about, wrong),
            Texts("Closest to the border between two labels", "", close),
        ]
    return Section("texts", title, parts)


def _changed(own: Judged, other: Judged, name: str) -> Part:
    found, gained, lost = changed_texts(own, other)
    rival = f"{printable(name)} ({printable(str(other.run.settings['strategy']))})"
    about = (
        f"Only this run is right about {texts_in_words(gained)}, only {rival} about {lost:,}. A "
        "word is marked by how much more it speaks for the new label in this run than in that "
        "one, in log-odds."
    )
    return Texts(f"Labelled differently from {printable(name)}", about, found)


def _bounds(metric: str, bounds: Sequence[float]) -> str:
    return " to ".join(score_text(metric, one, 1) for one in bounds)
