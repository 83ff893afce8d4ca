"""Time and memory of a whole drift report.

    python benchmarks/drift.py [--rows 400000] [--size 300] [--moved 1.0]

The base is opened in place, as `load_vectors` opens a safetensors file; the tuned table is in
memory. Peak memory is that of the process, both tables included.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import finetune_embed as fe


def made(rows: int, size: int, moved: float, folder: Path) -> fe.EmbeddingTable:
    """Write a base table, and return one of which a share of the rows moved."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((rows, size), np.float32)
    vectors[:, : size // 3] *= 2
    words = [f"w{row}" for row in range(rows)]
    fe.save_safetensors(fe.EmbeddingTable(words, vectors), folder / "base.safetensors")
    at = np.sort(rng.choice(rows, int(moved * rows), replace=False))
    for first in range(0, len(at), 10_000):
        some = at[first : first + 10_000]
        vectors[some] += 0.1 * rng.standard_normal((len(some), size), np.float32)
    return fe.EmbeddingTable(words, vectors)


def main() -> None:
    """Print the time of each part of the report and the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--moved", type=float, default=1.0, help="share of the rows that moved")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tuned = made(args.rows, args.size, args.moved, Path(folder))
        base = fe.load_vectors(Path(folder) / "base.safetensors")
        wall, started = time.perf_counter(), time.process_time()
        drift = fe.drift(base, tuned)
        for name, part in (
            ("movement of each row", lambda: drift),
            ("geometry", lambda: drift.geometry),
            ("neighbours kept, sampled", drift.neighbours),
            ("farthest words", lambda: drift.top(5)),
        ):
            part()
            now = time.process_time()
            print(f"{name:<28}{now - started:>8.1f} s of CPU")
            started = now
        print(f"{'all':<28}{time.perf_counter() - wall:>8.1f} s")
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, kilobytes elsewhere
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    print(f"{'peak memory':<28}{peak:>8,.0f} MiB")


if __name__ == "__main__":
    main()
