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

from text_classification import main, read_config

CONFIGS = Path(__file__).parent / "configs"


def run(config: Path, vectors: str, data: Path, seeds: int) -> list[dict[str, Any]]:
    """Run one config with the seeds 0 to `seeds - 1`."""
    name = config.name.split("-")[0]
    local = [f"data={data / name}", "text=text", "label=label", f"vectors={vectors}"]
    return [main(read_config(config, [*local, f"seed={seed}"])) for seed in range(seeds)]


def spread(values: list[float]) -> str:
    """Return mean and standard deviation in percent."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.1%} ± {deviation * 100:.1f}"


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
        print(
            f"| {config.name.split('-')[0]} | `{runs[0]['strategy']}` "
            f"| {spread([r['validation_accuracy'] for r in runs])} "
            f"| {spread([r['test_accuracy'] for r in runs])} "
            f"| {statistics.median(r['rows_moved'] for r in runs):,.0f} "
            f"| {statistics.median(r['median_movement'] for r in runs):.1%} "
            f"| {statistics.median(r['seconds'] for r in runs):.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    command_line()
