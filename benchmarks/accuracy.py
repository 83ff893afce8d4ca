"""Accuracies of runs beside each other: means, spread, and the interval of a difference."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt
from runs import Record

__all__ = ["interval", "report"]

PEERS = ("fasttext", "model2vec")  # those that are given vectors


def interval(
    ours: npt.NDArray[np.bool_], peer: npt.NDArray[np.bool_], draws: int = 2000
) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two accuracies.

    Seeds are drawn anew, and within each draw the test examples, which are the same for all runs.

    Args:
        ours: whether each run has each test example right, `(seeds, N)`.
        peer: the same, of another tool.
        draws: how often to draw.
    """
    rng = np.random.default_rng(0)
    examples = ours.shape[1]
    differences = []
    for _ in range(draws):
        a, b = (
            runs[rng.integers(0, len(runs), len(runs))].mean(axis=0, dtype=np.float32)
            for runs in (ours, peer)
        )
        weights = np.bincount(rng.integers(0, examples, examples), minlength=examples)
        differences.append(float((a - b) @ weights) / examples)
    low, high = np.percentile(differences, (2.5, 97.5))
    return float(low), float(high)


def _rights(records: Iterable[Record], count: int) -> npt.NDArray[np.bool_]:
    rows = [np.frombuffer(bytes.fromhex(record["right"]), np.uint8) for record in records]
    return np.unpackbits(np.stack(rows), axis=1, count=count).astype(bool)


def report(name: str, records: list[Record], examples: int) -> Iterator[str]:
    """Yield the lines of one data set, a line a tool."""
    tools = dict.fromkeys(record["tool"] for record in records)
    found = {tool: [r for r in records if r["tool"] == tool] for tool in ("ours", *tools)}
    yield f"\n{name}, {examples:,} test texts"
    ours = statistics.median(r["seconds"] for r in found["ours"]) if found["ours"] else None
    for tool, runs in found.items():
        if not runs:
            continue
        accuracy, seconds = [r["test"] for r in runs], [r["seconds"] for r in runs]
        spread = statistics.stdev(accuracy) if len(runs) > 1 else 0.0
        median = statistics.median(seconds)
        ratio = f"{median / ours:6.1f}x" if ours else ""
        yield (
            f"{tool:<18}{statistics.mean(accuracy):7.2%} ± {100 * spread:4.2f}{median:8.1f} s "
            f"({min(seconds):.1f} to {max(seconds):.1f}){ratio}   {len(runs)} seeds, validation "
            f"{statistics.mean(r['validation'] for r in runs):.2%}, {runs[0]['settings']}"
        )
    peers = [tool for tool in PEERS if found.get(tool)]
    for peer in peers if ours is not None else ():
        a, b = (_rights(found[tool], examples) for tool in ("ours", peer))
        low, high = interval(a, b)
        yield (
            f"ours - {peer}: {100 * (a.mean() - b.mean()):+.2f} points "
            f"({100 * low:+.2f} to {100 * high:+.2f})"
        )
