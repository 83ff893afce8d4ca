"""What a run gains over another: one text for runs, searches and comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..comparison.statistics import bootstrap, interval
from ..errors import printable
from ..training.run.evaluation import texts_in_words
from ..training.run.run import Run
from ..training.tasks import ADDS_UP, LOWER, NO_SHARES, score_text
from .judged import Tested
from .parts import Tile

__all__ = [
    "gain_in_search",
    "gain_interval",
    "gain_of_run",
    "gain_text",
    "gain_tile",
    "ratio",
    "unknown_gain",
]

FROZEN = "gain over a frozen table"


def gain_text(metric: str, difference: float, digits: int = 1) -> str:
    """Return how much better a score is than another, as text: above 0 if it is better.

    Args:
        metric: the name of the score.
        difference: the score less the other.
        digits: the digits of a share, which is in points of a hundred.
    """
    gain = -difference if metric in LOWER else difference
    if metric not in NO_SHARES:
        return f"{100 * gain:+.{digits}f}"
    return f"{'-' if gain < 0 else '+'}{score_text(metric, abs(gain))}"


def gain_interval(metric: str, bounds: Sequence[float], digits: int = 1) -> str:
    """Return the interval of a difference as that of the gain."""
    ends = bounds[::-1] if metric in LOWER else bounds
    return " to ".join(gain_text(metric, one, digits) for one in ends)


def gain_tile(
    title: str,
    metric: str,
    difference: float,
    bounds: Sequence[float] | None,
    how: str,
    note: str,
) -> Tile:
    """Return a gain as a figure that is read first.

    Args:
        title: what it is the gain over.
        metric: the name of the score.
        difference: the score less the other.
        bounds: the 95 % interval of the difference; None if it is not known.
        how: what the interval is over.
        note: what else to know.
    """
    unit = "" if metric in NO_SHARES else " points"
    notes = [f"95 % interval {gain_interval(metric, bounds)}, {how}"] if bounds else []
    notes += [note, *["lower is better"] * (metric in LOWER)]
    return Tile(title, gain_text(metric, difference) + unit, "; ".join(notes))


def gain_in_search(metric: str, search: Mapping[str, Any]) -> Tile | None:
    """Return the gain over a frozen table that a search has found; None if it has not."""
    rivals = {one["name"]: one for one in search["beside"]}
    frozen, result = rivals.get("a frozen table"), rivals.get("the result")
    if frozen is None or result is None:
        return None
    return gain_tile(
        FROZEN,
        metric,
        result["score"] - frozen["score"],
        frozen["gain"],
        "paired by text",
        f"a frozen table scores {score_text(metric, frozen['score'])}",
    )


def gain_of_run(run: Run, tested: Tested) -> Tile | None:
    """Return what is known of the gain of a run over another; None without another."""
    if tested.other is not None:
        return _gain_over(run, tested.other, tested)
    if not run.metrics["drift"]["rows_moved"] and run.settings["strategy"] == "Freeze":
        return Tile(FROZEN, "none", "this is the run with a frozen table")
    return None


def unknown_gain(tested: Tested) -> Tile:
    """Return how to get to know the gain."""
    return Tile(FROZEN, "not known", f"it takes a second run: {tested.how_to_compare}")


def ratio(outcomes: npt.NDArray[np.float64]) -> float:
    """Return the score of texts from what each of them adds to it, `(N, 2)`."""
    return float(outcomes[:, 0].sum() / max(outcomes[:, 1].sum(), 1e-9))


def _gain_over(run: Run, other: Run, tested: Tested) -> Tile:
    """Return the gain over another run, with its interval where the score is a sum over texts."""
    frozen = other.settings["strategy"] == "Freeze"
    title = FROZEN if frozen else f"gain over {printable(tested.name)}"
    metric, bounds, how = run.task.metric, None, ""
    first, second = None, None
    if tested.data is not None and tested.other_data is not None:
        first, second = tested.data.outcomes, tested.other_data.outcomes
        own, its = (one.evaluation.scores[metric] for one in (tested.data, tested.other_data))
        on = texts_in_words(len(tested.data.data.texts))
    else:
        if run.record["data_sha256"] == other.record["data_sha256"]:
            first, second = run.outcomes, other.outcomes
        on = "test" if "test" in run.metrics and "test" in other.metrics else "validation"
        own, its = (one.metrics[on][metric] for one in (run, other))
    if first is not None and second is not None:
        drawn = bootstrap({"run": first[None], "other": second[None]})
        own, its = ratio(first), ratio(second)
        bounds = interval(drawn["run"] - drawn["other"])
        how = f"paired over {texts_in_words(len(first))}"
        note = f"that one scores {score_text(metric, its)}"
    else:
        note = f"{score_text(metric, own)} and {score_text(metric, its)} on {on}"
        if metric not in ADDS_UP:
            note += "; without an interval, since this score is not a sum over texts"
        elif tested.data is None:
            note += "; pass labelled data (--data) for an interval"
    return gain_tile(title, metric, own - its, bounds, how, note)
