"""Which settings `autotune` tries next: a pure function of what was tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..training.choose import CLASSIFIER

__all__ = ["FROZEN", "cost_of", "first_changes", "more_seeds"]

Settings = Mapping[str, Any]

#: What `finetune` chooses with a head that is left out.
OF_THE_HEAD = ("lexical", "epochs", "lr", "schedule", "batch_size")
FROZEN: Settings = {"strategy": "Freeze"}
#: About how many times as long as the first run a run with a change takes.
_COSTS = {"filters=100": 1.6, "widths=(2, 3, 4)": 1.5}


def first_changes(start: Settings, given: Settings, has_labels: bool) -> Iterator[Settings]:
    """Yield changes to the settings of the first run, the most promising first.

    Settings that are given are not changed, and all but a frozen table have a seed of their own:
    models of an ensemble gain from every difference between them.

    Args:
        start: the settings of the first run.
        given: those of them that the caller gave.
        has_labels: whether labels are predicted with the task's own loss.
    """
    seed = start["seed"]
    for change in _changes(start, has_labels):
        if not given.keys().isdisjoint(change):
            continue
        if "head" in change:  # it is trained as the first one was
            kept = {name: start[name] for name in OF_THE_HEAD if name not in given}
            change = {**kept, **change}
        if change.get("strategy") != FROZEN["strategy"]:
            seed += 1
            change = {**change, "seed": seed}
        yield change


def _changes(start: Settings, has_labels: bool) -> Iterator[Settings]:
    is_default = start["head"] == CLASSIFIER
    more_filters = {"head": f"{CLASSIFIER}(filters=100)"}
    if is_default:
        yield more_filters
    yield FROZEN
    yield {}
    if is_default:  # the best of these on validation of SST-2, TREC, Banking77 and MR
        yield more_filters
    yield {"strategy": "DiscriminativeLR(embedding=3)"}
    yield {"word_dropout": 0.1}
    if is_default:
        yield {"head": f"{CLASSIFIER}(widths=(2, 3, 4))"}
    yield {"lr": 2 * start["lr"]}
    yield {**FROZEN, "lr": 3 * start["lr"]}
    if is_default:
        yield {"head": f"{CLASSIFIER}(dropout=0.5)"}
        yield {"head": "bag(hidden=100)"}
    yield {"lr": start["lr"] / 2}
    if has_labels:
        yield {"label_smoothing": 0.1}
    yield {"optimizer": "adagrad", "lr": 0.05}
    if start["batch_size"] > 1:
        yield {"batch_size": start["batch_size"] // 2}
    yield {"epochs": 2 * start["epochs"]}


def more_seeds(ranked: list[Settings], seed: int) -> Iterator[Settings]:
    """Yield settings again with fresh seeds: the better half of them, then the better half of that.

    Args:
        ranked: the settings that were tried, the best first.
        seed: the first fresh seed.
    """
    while ranked:
        ranked = ranked[: (len(ranked) + 1) // 2]
        for settings in ranked:
            yield {**settings, "seed": seed}
            seed += 1
        if len(ranked) == 1:
            return


def cost_of(settings: Settings, start: Settings) -> float:
    """Return about how many times as long as the first run a run takes."""
    head = str(settings.get("head", ""))
    cost = next((cost for part, cost in _COSTS.items() if part in head), 1.0)
    cost *= 0.8 if settings.get("strategy") == FROZEN["strategy"] else 1.0
    cost *= settings.get("epochs", start["epochs"]) / start["epochs"]
    cost *= (start["batch_size"] / settings.get("batch_size", start["batch_size"])) ** 0.8
    return float(cost)
