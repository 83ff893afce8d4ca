"""From a GloVe text file and real reviews to a tuned file, on the command line.

    python benchmarks/pros_cons.py glove.6B.50d.txt DIR

DIR has the pros-and-cons reviews: train, validation and test files with columns text and label.
Prints the accuracy over seeds, the wall time of the command, and whether every row outside the
training vocabulary is bit-identical in the imported and the exported table.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl

import finetune_embed as fe

STRATEGIES = ("Freeze", "UnfreezeAfter(epochs=2)", "DiscriminativeLR(embedding=0.3)", "FullTune")


def train(vectors: str, data: str, strategy: str, seed: int, folder: Path) -> tuple[float, float]:
    """Run the command line once; return test accuracy and wall seconds of the whole process."""
    command = [
        sys.executable,
        "-m",
        "finetune_embed",
        "train",
        "--head",
        "bag",
        "--vectors",
        vectors,
    ]
    command += ["--data", data, "--strategy", strategy, "--seed", str(seed), "--quiet", "--json"]
    started = time.perf_counter()
    done = subprocess.run([*command, "-o", str(folder)], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)["test"]["accuracy"], time.perf_counter() - started


def rows_that_differ(base: fe.EmbeddingTable, folder: Path) -> tuple[int, int]:
    """Return how many rows outside the vocabulary there are, and how many of them differ."""
    tuned = fe.load_vectors(folder / "embedding.safetensors")
    seen = set(pl.read_parquet(folder / "words.parquet")["word"].to_list())
    outside = [i for i, word in enumerate(base.index_to_key) if word not in seen]
    before = np.ascontiguousarray(base.vectors[outside]).view(np.uint32)
    after = np.ascontiguousarray(tuned.vectors[outside]).view(np.uint32)
    same_words = tuned.index_to_key[: len(base)] == base.index_to_key
    return len(outside), int((before != after).any(axis=1).sum()) if same_words else len(outside)


def main() -> None:
    """Print a line for each strategy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors")
    parser.add_argument("data")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    base = fe.load_vectors(options.vectors)
    print(f"{'strategy':<34}{'test':>14}{'wall':>8}   rows outside the vocabulary that differ")
    for strategy in STRATEGIES:
        with tempfile.TemporaryDirectory() as folder:
            runs = [
                train(options.vectors, options.data, strategy, seed, Path(folder) / str(seed))
                for seed in range(options.seeds)
            ]
            outside, differ = rows_that_differ(base, Path(folder) / "0")
        accuracy = [run[0] for run in runs]
        spread = statistics.stdev(accuracy) if len(accuracy) > 1 else 0.0
        wall = statistics.median(run[1] for run in runs)
        print(
            f"{strategy:<34}{statistics.mean(accuracy):>7.2%} ± {100 * spread:.2f}"
            f"{wall:>6.1f} s   {differ:,} of {outside:,}",
            flush=True,
        )


if __name__ == "__main__":
    main()
