"""What a delta of a tuned table takes, and what a table half way back to its base is worth.

    python benchmarks/deltas.py glove.6B.100d.txt DIR/banking77 DIR/sst2 [--seeds 3]

Each DIR is a data set with train and test files in Parquet, and perhaps validation; without one, a
tenth of the training examples is set aside. The first set gives the sizes and times. On each, the
table of a run is moved between its base and where tuning ended, `base + share * (tuned - base)`,
the rest of the model unchanged: the test accuracy for every share, and for the share that is best
on validation. `--head-only` leaves the lexical part of the model out.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict, load_dataset
from datasets.utils.logging import disable_progress_bar

import finetune_embed as fe

SHARES = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5)


def main() -> None:
    """Print sizes and times, then the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=int, default=5, help="of which the median time is printed")
    parser.add_argument("--head-only", action="store_true")
    options = parser.parse_args()
    disable_progress_bar()
    for number, folder in enumerate(options.data):
        data = splits_of(folder)
        runs = []
        for seed in range(options.seeds):
            lexical = False if options.head_only else None
            runs.append(fe.finetune(options.vectors, data, seed=seed, lexical=lexical))
            if not number and not seed:
                sizes(options.vectors, runs[0].table, options.runs)
        base = fe.load_vectors(options.vectors)
        shares(folder.name, [accuracies(base, run, data) for run in runs])


def splits_of(folder: Path) -> DatasetDict:
    """Return the splits of a data set, with one for validation."""
    files = {path.stem: str(path) for path in folder.glob("*.parquet")}
    data = load_dataset("parquet", data_files=files)
    if "validation" not in data:
        parts = data["train"].train_test_split(test_size=0.1, seed=0)
        data["train"], data["validation"] = parts["train"], parts["test"]
    return data


def sizes(vectors: Path, tuned: fe.EmbeddingTable, runs: int) -> None:
    """Print the sizes of deltas, and how long it takes to save and to apply them."""
    base, loading = timed(partial(fe.load_vectors, vectors), runs)
    with tempfile.TemporaryDirectory() as folder:
        table, path = Path(folder, "tuned"), Path(folder, "delta")
        fe.save_safetensors(tuned, table)
        text, whole = vectors.stat().st_size, table.stat().st_size
        print(f"{vectors.name}: {text:,} bytes; the tuned table as safetensors: {whole:,} bytes")
        print(f"loading {vectors.name}: {loading:.2f} s")
        for dtype in ("float32", "int8"):
            _, saving = timed(partial(fe.save_delta, base, tuned, path, dtype), runs)
            size, delta = path.stat().st_size, fe.load_delta(path)
            applied, applying = timed(partial(fe.apply_delta, base, path), runs)
            off = float(abs(applied.vectors - tuned.vectors).max())
            exact = applied.vectors.tobytes() == tuned.vectors.tobytes()
            print(
                f"{dtype}: {len(delta.rows):,} rows changed, {len(delta.words):,} new words; "
                f"{size:,} bytes, {size / whole:.2%} of the table, {size / text:.2%} of "
                f"{vectors.name}; saved in {saving:.2f} s, applied to the loaded base in "
                f"{applying:.2f} s, {'every bit equal' if exact else f'off by {off:.4f} at most'}"
            )


def timed(call: Callable[[], Any], runs: int) -> tuple[Any, float]:
    """Return what a call returns, and its median time."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        found = call()
        times.append(time.perf_counter() - started)
    return found, statistics.median(times)


def accuracies(
    base: fe.EmbeddingTable, run: fe.Run, data: DatasetDict
) -> dict[float, tuple[float, float]]:
    """Return the accuracy on validation and test for each share of what tuning changed."""
    weight = run.model.get_parameter(str(run.record["embedding"]))
    settings, end = run.settings, weight.detach().clone()
    start = fe.to_embedding(
        base, run.vocab, oov=settings["oov"], seed=settings["seed"], fallback=settings["fallback"]
    ).weight.detach()
    found = {}
    for share in SHARES:
        with torch.no_grad():
            weight.copy_(end if share == 1 else start + share * (end - start))
        found[share] = score(run, data["validation"]), score(run, data["test"])
    return found


def score(run: fe.Run, split: Dataset) -> float:
    """Return the accuracy of a run on a split."""
    return run.evaluate(split).scores["accuracy"]


def shares(name: str, runs: list[dict[float, tuple[float, float]]]) -> None:
    """Print the test accuracies, each with its difference to the tuned table."""
    print(f"\n{name}: test accuracy of the base and a share of what tuning changed")
    chosen = [max((run[share][0], -abs(share - 1), share) for share in SHARES)[2] for run in runs]
    rows = [(f"{share:g}", [share] * len(runs)) for share in SHARES]
    rows.append(("best on validation", chosen))
    for label, taken in rows:
        tests = [run[share][1] for run, share in zip(runs, taken, strict=True)]
        gains = [100 * (one - run[1.0][1]) for one, run in zip(tests, runs, strict=True)]
        each = ", ".join(f"{gain:+.2f}" for gain in gains)
        print(f"{label:<20}{statistics.mean(tests):>8.2%}   {each}")
    print(f"chosen: {', '.join(f'{share:g}' for share in chosen)}")


if __name__ == "__main__":
    main()
