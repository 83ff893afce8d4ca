"""What the recipes share: their options, and the line that they print."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finetune_embed.demo import REVIEWS, VECTORS


@dataclass(frozen=True)
class Options:
    """The options of a recipe; with `--smoke`, the included demo."""

    vectors: Path
    data: Path
    seeds: int
    smoke: bool
    more: Mapping[str, Path | None] = field(default_factory=dict)

    def folder(self, name: str) -> Path:
        """Return the folder of a data set."""
        return REVIEWS if self.smoke else self.data / name

    @property
    def epochs(self) -> int | None:
        """One epoch with `--smoke`; else None, what the recipe says."""
        return 1 if self.smoke else None


def read_options(
    description: str | None, arguments: Sequence[str] | None = None, **more: str
) -> Options:
    """Read `--vectors`, `--data`, `--seeds` and `--smoke`, and `more` files by name and help."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vectors", type=Path, help="a vector file")
    parser.add_argument("--data", type=Path, help="a folder with a folder for each data set")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--smoke", action="store_true", help="seconds, on the included demo")
    for name, help in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path, help=help)
    given = parser.parse_args(arguments)
    files = {name: getattr(given, name) for name in more}
    if given.smoke:
        return Options(VECTORS, REVIEWS.parent, 1, True, files)
    if given.vectors is None or given.data is None:
        parser.error("give --vectors FILE and --data DIR, or --smoke")
    return Options(given.vectors, given.data, given.seeds, False, files)


def over_seeds(what: str, options: Options, score: Callable[[int], float]) -> float:
    """Print the mean of a score over the seeds, its deviation and CPU minutes; return the mean."""
    started = time.process_time()
    scores = [score(seed) for seed in range(options.seeds)]
    minutes = (time.process_time() - started) / 60 / options.seeds
    deviation = 100 * statistics.stdev(scores) if len(scores) > 1 else 0.0
    mean = statistics.fmean(scores)
    seeds = f"{options.seeds} seeds, {minutes:.2f} CPU minutes each"
    print(f"{what}: {mean:.1%} ± {deviation:.1f} ({seeds})", flush=True)
    return mean
