"""Run every config on local data with several seeds and print the table of recipes/README.md.

    python recipes/run_all.py --vectors glove.6B.50d.txt --data DIR --seeds 3

DIR holds a folder for each data set (`sst2`, `banking77`, `trec6`), each with files named by
split and columns `text` and `label`.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import yaml

import finetune_embed as fe

CONFIGS = Path(__file__).parent / "configs"


def run(config: Path, vectors: str, data: Path, seeds: int) -> list[fe.Run]:
    """Run one config with the seeds 0 to `seeds - 1`."""
    settings: dict[str, Any] = yaml.safe_load(config.read_text())
    for name in ("vectors", "data"):
        settings.pop(name)  # those of the arguments are used
    local = {**settings, "text": "text", "label": "label"}
    name = config.name.split("-")[0]
    return [fe.finetune(vectors, data / name, **{**local, "seed": seed}) for seed in range(seeds)]


def spread(values: list[float]) -> str:
    """Return mean and standard deviation in percent."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.1%} ± {deviation * 100:.1f}"


def row(config: Path, runs: list[fe.Run]) -> str:
    """Return the row of a config in the table."""
    metrics = [run.metrics for run in runs]
    moved = [one["drift"]["rows_moved"] for one in metrics]
    movement = [one["drift"]["median_movement"] for one in metrics]
    cells = (
        config.name.split("-")[0],
        f"`{runs[0].settings['strategy']}`",
        spread([one["validation"]["accuracy"] for one in metrics]),
        spread([one["test"]["accuracy"] for one in metrics]),
        f"{statistics.median(moved):,.0f}",
        f"{statistics.median(movement):.1%}",
        f"{statistics.median(one['seconds'] for one in metrics):.1f}",
    )
    return f"| {' | '.join(cells)} |"


def command_line() -> None:
    """Run all configs and print a Markdown table."""
    parser = argparse.ArgumentParser(description="Run every config and print a table.")
    parser.add_argument("--vectors", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    print("| data | strategy | validation | test | rows moved | median movement | seconds |")
    print("|---|---|---|---|---|---|---|")
    for config in sorted(CONFIGS.rglob("*.yaml")):
        runs = run(config, options.vectors, options.data, options.seeds)
        print(row(config, runs), flush=True)


if __name__ == "__main__":
    command_line()
