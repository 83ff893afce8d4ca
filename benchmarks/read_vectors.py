"""Reading and writing vector files beside gensim, in one run.

python benchmarks/read_vectors.py glove.6B.50d.txt
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gensim.models import KeyedVectors

import finetune_embed as fe


def seconds(call: Callable[[], Any], runs: int) -> list[float]:
    """Return the wall time of each of several calls."""
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return sorted(times)


def row(name: str, ours: Callable[[], Any], peer: Callable[[], Any] | None, runs: int) -> None:
    """Print the medians of ours and of the peer as a line of a table."""
    own = seconds(ours, runs)
    told = f"{name:<44}{statistics.median(own):>8.2f} s ({own[0]:.2f} to {own[-1]:.2f})"
    if peer is not None:
        others = seconds(peer, max(1, runs // 2))
        factor = statistics.median(others) / statistics.median(own)
        told += f"   gensim {statistics.median(others):>6.2f} s   {factor:>5.1f}x"
    print(told, flush=True)


def main() -> None:
    """Print a line for each way to read and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", help="a GloVe text file, such as glove.6B.50d.txt")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    glove, runs = options.vectors, options.runs
    table = fe.load_glove(glove)
    keyed = table.to_keyed_vectors()
    some = table.index_to_key[:20_000]
    print(
        f"{glove}: {table!r}; medians (and range) of {runs} runs, gensim of {max(1, runs // 2)}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        text, binary = str(Path(folder) / "w.txt"), str(Path(folder) / "w.bin")
        ours = str(Path(folder) / "t.safetensors")
        read_text = KeyedVectors.load_word2vec_format
        row(
            "read GloVe text",
            lambda: fe.load_vectors(glove),
            lambda: read_text(glove, binary=False, no_header=True),
            runs,
        )
        row("read GloVe text, 20,000 words", lambda: fe.load_vectors(glove, keys=some), None, runs)
        row(
            "write word2vec text",
            lambda: fe.save_word2vec(table, text),
            lambda: keyed.save_word2vec_format(text, binary=False),
            runs,
        )
        row(
            "write word2vec binary",
            lambda: fe.save_word2vec(table, binary, binary=True),
            lambda: keyed.save_word2vec_format(binary, binary=True),
            runs,
        )
        row(
            "read word2vec binary",
            lambda: fe.load_vectors(binary),
            lambda: read_text(binary, binary=True),
            runs,
        )
        row("write safetensors", lambda: fe.save_safetensors(table, ours), None, runs)
        row("open safetensors", lambda: fe.load_vectors(ours), None, runs)


if __name__ == "__main__":
    main()
