"""Looking the words of a vocabulary up in a large table, with each step of `fallback` but subwords.

python benchmarks/look_up.py [--runs 5]
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

import finetune_embed as fe
from finetune_embed.vocabulary import STEPS, look_up

ROWS, KNOWN, UNKNOWN = 400_000, 40_000, 10_000


def main() -> None:
    """Print the median and the range."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    table = fe.EmbeddingTable([f"word{i}" for i in range(ROWS)], np.zeros((ROWS, 2), np.float32))
    words = [f"word{7 * i}" for i in range(KNOWN)] + [f"(Zord{i}" for i in range(UNKNOWN)]
    assert "word1" in table  # the index is built
    times = []
    for _ in range(options.runs):
        started = time.perf_counter()
        found = look_up(table, words, STEPS[:-1])
        times.append(time.perf_counter() - started)
    print(
        f"{len(words):,} words, {int(found.is_found.sum()):,} of them in a table of {ROWS:,}: "
        f"median {statistics.median(times):.3f} s ({min(times):.3f} to {max(times):.3f})"
    )


if __name__ == "__main__":
    main()
