"""What `import finetune_embed` costs beside `import torch`, in fresh processes, in turns.

python benchmarks/import_cost.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 9


def seconds(module: str) -> float:
    """Return the wall time of a fresh interpreter that imports a module."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print the medians, their spread and the median of the ratios."""
    modules = ("torch", "finetune_embed")
    for module in modules:
        seconds(module)  # a warm-up: files into the cache
    pairs = [(seconds("torch"), seconds("finetune_embed")) for _ in range(RUNS)]
    for position, module in enumerate(modules):
        times = sorted(pair[position] for pair in pairs)
        print(
            f"import {module:<16} median {statistics.median(times):.2f} s "
            f"({times[0]:.2f} to {times[-1]:.2f}, {RUNS} runs)"
        )
    ratios = [ours / torchs for torchs, ours in pairs]
    print(f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
