"""What importing from `finetune_embed` costs beside `import torch`, in fresh processes, in turns.

python benchmarks/import_cost.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

RUNS = 9


#: To read and write vector files; for a training loop of one's own.
FILES = "from finetune_embed import load_vectors, save_safetensors"
LOOP = "from finetune_embed import RowAdamW, Vocabulary, load_vectors, to_embedding"


def seconds(statement: str) -> float:
    """Return the wall time of a fresh interpreter that imports something."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print the medians, their spread and the median of the ratios."""
    statements = ("import torch", FILES, LOOP)
    for statement in statements:
        seconds(statement)  # a warm-up: files into the cache
    rounds = [[seconds(statement) for statement in statements] for _ in range(RUNS)]
    for position, statement in enumerate(statements):
        times = sorted(one[position] for one in rounds)
        ratio = statistics.median(one[position] / one[0] for one in rounds)
        print(
            f"median {statistics.median(times):.2f} s ({times[0]:.2f} to {times[-1]:.2f}, "
            f"{RUNS} runs), {ratio:.2f} times torch's: {statement}"
        )


if __name__ == "__main__":
    main()
