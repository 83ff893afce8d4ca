"""Run every config on local data with several seeds and print the tables of recipes/README.md.

    python recipes/run_all.py --vectors glove.6B.50d.txt --data DIR --seeds 3
    python recipes/run_all.py --vectors glove.6B.100d.txt --data DIR --tasks

The first runs `configs/`, the second `tasks/`. DIR holds a folder for each data set (`sst2`,
`banking77`, `trec6`, ...), each with files named by split; for `configs/` with columns `text` and
`label`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import yaml

import finetune_embed as fe

CONFIGS = Path(__file__).parent / "configs"
TASKS = Path(__file__).parent / "tasks"


def run(config: Path, vectors: str, data: Path, seeds: int) -> list[fe.Run]:
    """Run one config with the seeds 0 to `seeds - 1`."""
    settings: dict[str, Any] = yaml.safe_load(config.read_text())
    for name in ("vectors", "data"):
        settings.pop(name)  # those of the arguments are used
    local = {**settings, "text": "text", "label": "label"}
    name = config.name.split("-")[0]
    return [fe.finetune(vectors, data / name, **{**local, "seed": seed}) for seed in range(seeds)]


def task_row(config: Path, vectors: str, data: Path, seeds: int) -> str:
    """Run one config of `tasks/` with the seeds 0 to `seeds - 1`, and return its row."""
    settings: dict[str, Any] = yaml.safe_load(config.read_text())
    settings.pop("vectors")
    folder = data / settings.pop("data")
    started = time.process_time()
    runs = [fe.finetune(vectors, folder, **settings, seed=seed) for seed in range(seeds)]
    minutes = (time.process_time() - started) / 60 / seeds
    metric = runs[0].task.metric
    scores = spread([run.metrics["test"][metric] for run in runs])
    return f"| `{config.name}` | {metric.replace('_', ' ')} | {scores} | {minutes:.1f} |"


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
    parser.add_argument("--tasks", action="store_true", help="those of tasks/, not of configs/")
    options = parser.parse_args()
    if options.tasks:
        print("| config | score | test | CPU minutes |")
        print("|---|---|---|---|")
        for config in sorted(TASKS.glob("*.yaml")):
            print(task_row(config, options.vectors, options.data, options.seeds), flush=True)
        return
    print("| data | strategy | validation | test | rows moved | median movement | seconds |")
    print("|---|---|---|---|---|---|---|")
    for config in sorted(CONFIGS.rglob("*.yaml")):
        runs = run(config, options.vectors, options.data, options.seeds)
        print(row(config, runs), flush=True)


if __name__ == "__main__":
    command_line()
