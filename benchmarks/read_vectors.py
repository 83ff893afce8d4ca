"""Reading and writing vector files beside gensim and polars, in one run.

python benchmarks/read_vectors.py glove.6B.50d.txt glove.6B.100d.txt

Ours and the peer take turns; each figure is the median of the runs, with their range. Every file
was read before, so that the disk's cache is warm for all. Ours flushes what it writes to the disk
before it returns, gensim does not. Peak memory is that of a process of its
own (`peak_memory.py`), above what it had after the imports.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from gensim.models import KeyedVectors

import finetune_embed as fe

HERE = Path(__file__).parent
KEPT = 20_000
LARGE = (400_000, 300)

Call = Callable[[], Any]


def seconds(call: Call) -> float:
    """Return the wall time of a call; nobody else's bytes wait for the disk when it starts."""
    os.sync()
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def cell(times: list[float]) -> str:
    """Return the median and the range of some times."""
    return f"{statistics.median(times):8.3f} s ({min(times):.3f} to {max(times):.3f})"


def against(name: str, ours: Call, peers: dict[str, Call], runs: int) -> None:
    """Print a line of the table: ours, and each peer with how many times ours it takes."""
    own: list[float] = []
    others: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(runs):
        own.append(seconds(ours))
        for peer, call in peers.items():
            others[peer].append(seconds(call))
    line = f"{name:<34}{cell(own)}"
    for peer, times in others.items():
        line += f"   {peer} {cell(times)} {statistics.median(times) / statistics.median(own):5.1f}x"
    print(line, flush=True)


def polars_reads(path: str, size: int) -> Call:
    """Return a call that reads a text file by polars alone, its schema given."""
    schema = {"word": pl.String} | {str(column): pl.Float32 for column in range(size)}
    return lambda: pl.read_csv(
        path, has_header=False, separator=" ", quote_char=None, schema=pl.Schema(schema)
    )


def one_file(glove: str, folder: Path, runs: int) -> None:
    """Print the lines for one GloVe text file."""
    table = fe.load_glove(glove)
    keyed = table.to_keyed_vectors()
    some = table.index_to_key[:KEPT]
    more = 2 * runs + 1
    print(f"\n{Path(glove).name}: {table!r}, medians (and ranges) of {runs} runs, binary {more}")
    text, binary = str(folder / "w.txt"), str(folder / "w.bin")
    read = KeyedVectors.load_word2vec_format
    gensim_text = partial(read, glove, binary=False, no_header=True)
    gensim_binary = partial(read, binary, binary=True)
    against(
        "read text",
        lambda: fe.load_vectors(glove),
        {"gensim": gensim_text, "polars.read_csv": polars_reads(glove, table.vector_size)},
        runs,
    )
    against(
        f"read text, keep {KEPT:,} words",
        lambda: fe.load_vectors(glove, keys=some),
        {"gensim, all": gensim_text},
        runs,
    )
    against(
        "write word2vec text",
        lambda: fe.save_word2vec(table, text),
        {"gensim": lambda: keyed.save_word2vec_format(text, binary=False)},
        runs,
    )
    against(
        "write word2vec binary",
        lambda: fe.save_word2vec(table, binary, binary=True),
        {"gensim": lambda: keyed.save_word2vec_format(binary, binary=True)},
        more,
    )
    against(
        "read word2vec binary",
        lambda: fe.load_vectors(binary),
        {"gensim": gensim_binary},
        more,
    )
    against(
        f"read binary, keep {KEPT:,} words",
        lambda: fe.load_vectors(binary, keys=some),
        {"gensim, all": gensim_binary},
        more,
    )


def peak(path: str | Path, words: Path | None = None) -> str:
    """Return what `peak_memory.py` prints of reading a file."""
    kept = [] if words is None else [str(words)]
    command = [sys.executable, str(HERE / "peak_memory.py"), str(path), *kept]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def memory(gloves: list[str], folder: Path) -> None:
    """Print peak memory, also of a text file of over 1 GB, and how fast a saved table opens."""
    words = folder / "words.txt"
    table = fe.load_glove(gloves[0])
    words.write_text("\n".join(table.index_to_key[:KEPT]))
    print(f"\nPeak memory above the imports, of all words and of {KEPT:,}")
    for glove in gloves:
        print(f"{Path(glove).name:<34}{peak(glove)}; {peak(glove, words)}", flush=True)
    rows, size = LARGE
    drawn = np.random.default_rng(0).standard_normal(LARGE, np.float32)
    keys = (table.index_to_key + [f"word{i}" for i in range(rows)])[:rows]
    made = fe.EmbeddingTable(keys, drawn)
    large, saved = folder / "made.300d.txt", folder / "made.300d.safetensors"
    fe.save_glove(made, large)
    name = f"made, {rows:,} x {size}, {large.stat().st_size / 1e9:.2f} GB"
    print(f"{name:<34}{peak(large)}; {peak(large, words)}", flush=True)
    fe.save_safetensors(made, saved)
    del made, drawn
    print(f"\nReopening a saved table of {rows:,} x {size}, {saved.stat().st_size / 1e6:.0f} MB")
    by_number, by_word = [], []
    for _ in range(9):
        by_number.append(seconds(lambda: np.array(fe.load_vectors(saved).vectors[rows // 2])))
        by_word.append(seconds(lambda: np.array(fe.load_vectors(saved)["the"])))
    print(f"{'first row by number':<34}{cell(by_number)}\n{'first word':<34}{cell(by_word)}")
    mapped = fe.load_vectors(saved).vectors
    print(f"{'the table is a view of the file':<34}{not mapped.flags.owndata}; {peak(saved)}")


def main() -> None:
    """Print a line for each way to read and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", nargs="+", help="GloVe text files, such as glove.6B.50d.txt")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for glove in options.vectors:
            one_file(glove, Path(folder), options.runs)
        memory(options.vectors, Path(folder))


if __name__ == "__main__":
    main()
