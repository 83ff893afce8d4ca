"""The figures of a report, each a `Chart` made from plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt

from ..errors import printable
from ..training.tasks import NO_SHARES, score_text
from .svg import Axis, Chart, Point, ticks_of
from .word_map import ARROWS, Words

__all__ = [
    "MOST_CELLS",
    "against_movement",
    "bands_chart",
    "confusion_chart",
    "curves",
    "map_chart",
    "scores_chart",
    "standings_against_movement",
]

Record = Mapping[str, Any]
#: The most labels whose confusion matrix is drawn.
MOST_CELLS = 20
DOTS = 3_000  # words on the map of a file
DARKEST = 0.55  # of a cell, so that its text stays legible
MOVEMENT = "movement of the rows that moved"
LONG = 1e6  # a number on an axis that is written with an exponent
ROOM = 0.08  # of an axis, free beside the outermost values


def curves(history: Sequence[Record], metric: str, best: int) -> Iterator[Chart]:
    """Yield the losses and the validation score of each epoch.

    Args:
        history: a record for each epoch.
        metric: the name of the score.
        best: the best epoch, counted from 0.
    """
    epochs = [record["epoch"] + 1 for record in history]
    x = _epochs(epochs)
    losses = {"train_loss": ("one", "training"), "validation_loss": ("two", "validation")}
    lines = {
        kind: [
            Point(epoch, record[name], f"epoch {epoch}, {text}: {record[name]:.4f}")
            for epoch, record in zip(epochs, history, strict=True)
            if name in record
        ]
        for name, (kind, text) in losses.items()
    }
    y = _values([p.y for points in lines.values() for p in points], "loss")
    about = "Training and validation loss after each epoch."
    chart = Chart("loss", "Loss by epoch", about, x, y)
    _mark_best(chart, best + 1)
    for kind, text in losses.values():
        chart.line(lines[kind], kind, text)
    yield chart
    name = metric.replace("_", " ")
    scores = [record[f"validation_{metric}"] for record in history]
    y = _scores(scores, metric, f"validation {name}")
    about = f"Validation {name} after each epoch; the best is epoch {best + 1}."
    chart = Chart("score", f"Validation {name} by epoch", about, x, y)
    _mark_best(chart, best + 1)
    points = [
        Point(epoch, score, f"epoch {epoch}: {score_text(metric, score)}")
        for epoch, score in zip(epochs, scores, strict=True)
    ]
    chart.line(points, "one")
    yield chart


def against_movement(history: Sequence[Record], metric: str, best: int) -> Chart | None:
    """Return the validation score of each epoch against how far rows had moved.

    None if the history does not say.
    """
    known = [one for one in history if one.get("movement")]
    if not known:
        return None
    name = metric.replace("_", " ")
    scores = [one[f"validation_{metric}"] for one in known]
    moves = [float(one["movement"]["displacement"]) for one in known]
    x = _shares(moves, "mean movement of the words of the training texts")
    about = f"Validation {name} against the movement of rows, one point for each epoch."
    y = _scores(scores, metric, f"validation {name}")
    chart = Chart("score-movement", f"Validation {name} against movement", about, x, y)
    points = [
        Point(
            move, score, f"epoch {one['epoch'] + 1}: {score_text(metric, score)}, moved {move:.1%}"
        )
        for move, score, one in zip(moves, scores, known, strict=True)
    ]
    chart.line(points, "one")
    for at, (point, one) in enumerate(zip(points, known, strict=True)):
        if one["epoch"] == best:
            chart.dots([point], "two", 5)
        if at in (0, len(known) - 1) or one["epoch"] == best:
            chart.text(point, f"{one['epoch'] + 1}", "middle", down=-11)
    return chart


def bands_chart(bands: Sequence[Record], title: str) -> Chart:
    """Return the median movement of the rows of each band.

    Args:
        bands: the bands of a `Drift`, as plain values.
        title: what the bands are of.
    """
    count = len(bands)
    rows = [(count - at, str(band["name"])) for at, band in enumerate(bands)]
    moves = [float(band["median_movement"]) for band in bands]
    x = _shares([0, *moves], MOVEMENT)
    about = f"Median movement by {title}: " + "; ".join(
        f"{band['name']} {move:.1%}" for band, move in zip(bands, moves, strict=True)
    )
    y = Axis(0.4, count + 0.6, rows, "")
    chart = Chart("drift", f"Movement by {title}", about, x, y, 60 + 26 * count, 148, False)
    for (at, name), move, band in zip(rows, moves, bands, strict=True):
        text = f"{name}: {band['moved']:,} of {band['rows']:,} rows moved, by {move:.1%}"
        if band["moved"]:
            chart.bar(Point(0, at, text), Point(move, at), "one")
        moved = f"{move:.1%}" if band["moved"] else "none moved"
        chart.text(Point(move, at), moved, right=6)
    return chart


def confusion_chart(
    labels: Sequence[object], counts: npt.NDArray[Any], units: str = "texts"
) -> Chart | None:
    """Return the confusion matrix `(C, C)` as cells; None if there are too many labels.

    Args:
        labels: the labels.
        counts: how many units with the label of a row were given that of a column.
        units: what they are, texts or words.
    """
    size = len(labels)
    if counts.ndim != 2 or not 2 <= size <= MOST_CELLS:
        return None
    names = [_short(label, 14) for label in labels]
    x = Axis(
        0,
        size,
        [(at + 0.5, _short(name, 48 // size + 2)) for at, name in enumerate(names)],
        "predicted",
    )
    y = Axis(0, size, [(size - at - 0.5, name) for at, name in enumerate(names)], "true")
    about = f"How many {units} with the label of a row were given the label of a column."
    chart = Chart("confusion", "Confusion matrix", about, x, y, 70 + max(26 * size, 120), 90, False)
    for row, own in enumerate(counts.tolist()):
        for column, found in enumerate(own):
            share = found / (sum(own) or 1)
            text = f"{labels[row]} predicted as {labels[column]}: {found:,} ({share:.1%})"
            low = Point(column, size - row - 1, text)
            chart.cell(low, Point(column + 1, size - row), DARKEST * share)
            if size <= MOST_CELLS // 2 or found:
                chart.text(Point(column + 0.5, size - row - 0.5), f"{found:,}", "middle")
    return chart


def scores_chart(rows: Sequence[tuple[str, float, Sequence[float] | None]], metric: str) -> Chart:
    """Return scores with their intervals, one below the other.

    Args:
        rows: names, scores and 95 % intervals, if they are known.
        metric: the name of the score.
    """
    count = len(rows)
    name = metric.replace("_", " ")
    values = [value for _, score, bounds in rows for value in (score, *(bounds or ()))]
    x = _scores(values, metric, f"test {name}")
    y = Axis(
        0.4, count + 0.6, [(count - at, _short(row[0], 26)) for at, row in enumerate(rows)], ""
    )
    about = f"Test {name} with 95 % intervals: " + "; ".join(
        f"{row[0]} {score_text(metric, row[1])}" for row in rows
    )
    chart = Chart("strategies", f"Test {name}", about, x, y, 60 + 26 * count, 150, False)
    for at, (who, score, bounds) in enumerate(rows):
        text = f"{who}: {score_text(metric, score)}"
        if bounds:
            low, high = bounds
            text += f" ({score_text(metric, low)} to {score_text(metric, high)})"
            chart.stroke(Point(low, count - at, text), Point(high, count - at), "whisker")
        chart.dots([Point(score, count - at, text)], "one" if at else "two", 5)
    return chart


def standings_against_movement(standings: Sequence[Record], metric: str) -> Chart:
    """Return the test score of each strategy against how far it moved rows."""
    name = metric.replace("_", " ")
    scores = [value for one in standings for value in (one["test"], *one["test_interval"])]
    moves = [float(one["median_movement"]) for one in standings]
    x = _shares([0, *moves], MOVEMENT)
    y = _scores(scores, metric, f"test {name}")
    about = f"Test {name} of each strategy against the median movement of rows."
    chart = Chart("strategies-movement", f"Test {name} against movement", about, x, y)
    taken: list[tuple[float, float]] = []
    for one, move in zip(standings, moves, strict=True):
        low, high = one["test_interval"]
        text = f"{one['strategy']}: {score_text(metric, one['test'])}, moved {move:.1%}"
        chart.stroke(Point(move, low, text), Point(move, high), "whisker")
        point = Point(move, one["test"], text)
        chart.dots([point], "one", 5)
        at = chart.place(point)
        while any(abs(at[0] - a) < 110 and abs(at[1] - b) < 12 for a, b in taken):
            at = (at[0], at[1] + 12)
        taken.append(at)
        is_right = at[0] > chart.width * 0.5
        kind, right = ("end", -8) if is_right else ("", 8)
        chart.text(point, _short(one["strategy"], 26), kind, right, at[1] - chart.place(point)[1])
    return chart


def map_chart(words: Words) -> Chart:
    """Return the map of words after tuning, with the paths of those that moved farthest."""
    farthest = words.farthest(ARROWS, with_letters=True)
    (left, bottom), (right, top) = words.view(farthest)
    about = "Words on the first two principal axes of the vectors before and after together; the "
    about += "arrows are the paths of " + ", ".join(printable(words.words[at]) for at in farthest)
    x, y = (
        Axis(low, high, [], f"{title} axis, {share:.0%} of the variance")
        for low, high, title, share in (
            (left, right, "first", words.shares[0]),
            (bottom, top, "second", words.shares[1]),
        )
    )
    chart = Chart("words", "Words before and after", about, x, y, 340, 8)
    every = max(1, len(words.words) // DOTS)
    for a, b in words.after[::every].tolist():
        if left <= a <= right and bottom <= b <= top:
            chart.dots([Point(a, b)], "word", 1)
    for at in farthest:
        start, end = Point(*words.before[at].tolist()), Point(*words.after[at].tolist())
        chart.stroke(start, end, "arrow")
        chart.dots([end], "two", 2.6)
        is_right = chart.place(end)[0] > 0.7 * chart.width
        kind, room = ("end", -6) if is_right else ("", 6)
        chart.text(end, _short(words.words[at]), kind, room)
    return chart


def _mark_best(chart: Chart, epoch: int) -> None:
    """Draw a line through the best epoch."""
    chart.stroke(Point(epoch, chart.y.low, "best epoch"), Point(epoch, chart.y.high), "best")


def _epochs(epochs: Sequence[int]) -> Axis:
    low, high = (epochs[0], epochs[-1]) if len(epochs) > 1 else (epochs[0] - 1, epochs[0] + 1)
    ticks = [(tick, f"{tick:.0f}") for tick in ticks_of(low, high, 8, whole=True)]
    if len(epochs) == 1:
        ticks = [(epochs[0], f"{epochs[0]}")]
    return Axis(low - 0.02 * (high - low), high, ticks, "epoch")


def _values(values: Sequence[float], title: str, is_share: bool = False) -> Axis:
    known = [one for one in values if math.isfinite(one)] or [0.0]
    low, high = min(known), max(known)
    room = ROOM * (high - low) or 0.05 * abs(high) or 0.5
    low, high = low - room, high + room
    return Axis(low, high, _ticks(low, high, is_share), title)


def _scores(values: Sequence[float], metric: str, title: str) -> Axis:
    return _values(values, title, is_share=metric not in NO_SHARES)


def _shares(values: Sequence[float], title: str) -> Axis:
    """Return an axis from 0, with room for a text at the end."""
    high = max((one for one in values if math.isfinite(one)), default=0.0) * 1.2 or 0.01
    return Axis(0, high, _ticks(0, high, is_share=True), title)


def _ticks(low: float, high: float, is_share: bool) -> list[tuple[float, str]]:
    """Return round values with their texts: all in one form, with the digits that differ."""
    ticks, factor = ticks_of(low, high, 5), 100 if is_share else 1
    step = factor * (ticks[1] - ticks[0]) if len(ticks) > 1 else 1.0
    size = factor * max(map(abs, ticks), default=0.0) or 1.0
    place = math.floor(math.log10(step) + 1e-9)
    form = f".{max(0, -place)}f"
    if size >= LONG or place < -6:
        form = f".{max(0, math.floor(math.log10(size) + 1e-9) - place)}e"
    return [(one, f"{factor * one:{form}}{'%' * is_share}") for one in ticks]


def _short(text: object, length: int = 16) -> str:
    found = printable(str(text))
    return found if len(found) <= length else found[: length - 1] + "…"
