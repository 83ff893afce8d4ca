"""What a table and a run lose when they are shrunk: size, accuracy and word similarity.

python benchmarks/shrink.py VECTORS DATA PAIRS

VECTORS is a file such as glove.6B.100d.txt, DATA a folder with train.parquet and test.parquet, and
PAIRS a folder of word pairs with scores, such as EN-WS-353-ALL.tsv and EN-SIMLEX-999.tsv. Tunes
once without settings, then shrinks the run in several ways, saves and loads each, and scores the
test split. Sizes are those of the files. Then the table as it was, likewise; its word similarity is
Spearman's correlation with the scores, on the pairs that are found.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import finetune_embed as fe

RUNS: list[dict[str, Any]] = [
    {"dtype": "int8"},
    {"words": 20_000, "dtype": "int8"},
    {"words": 20_000, "dtype": "pq"},
    {"words": 20_000, "dim": 50, "dtype": "int8"},
    {"words": 10_000, "dtype": "pq"},
    {"words": 10_000, "by": "norm", "dtype": "pq"},
    {"words": 5_000, "dtype": "pq"},
]
TABLES: list[dict[str, Any]] = [
    {"dtype": "float16"},
    {"dtype": "int8"},
    {"dtype": "pq"},
    {"dim": 50},
    {"all_but_top": 3},
    {"dim": 50, "all_but_top": 3},
    {"words": 20_000},
    {"words": 20_000, "remap": True},
    {"words": 20_000, "dim": 50, "all_but_top": 3, "dtype": "int8"},
]


def size_of(path: Path) -> str:
    """Return the megabytes of a file or a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return f"{sum(file.stat().st_size for file in files) / 1e6:9.2f} MB"


def described(options: dict[str, Any]) -> str:
    """Return how something was shrunk."""
    return ", ".join(f"{name}={value}" for name, value in options.items()) or "as it was"


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name in ("vectors", "data", "pairs"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    pairs = {path.stem: fe.read_word_pairs(path) for path in sorted(arguments.pairs.glob("*.tsv"))}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "run")
        fe.finetune(arguments.vectors, arguments.data, output_dir=place)
        run = fe.load(place)
        print(f"{'run':46s} {'size':>12s}  accuracy  seconds")
        for options in [{}, *RUNS]:
            start = time.perf_counter()
            if options:
                place = Path(folder, "small")
                fe.shrink(run, **options).save(place)
            seconds = time.perf_counter() - start
            score = fe.load(place).evaluate(arguments.data).scores["accuracy"]
            print(f"{described(options):46s} {size_of(place)}  {score:8.2%}  {seconds:7.1f}")
        table, file = fe.load_vectors(arguments.vectors), Path(folder, "table")
        print(f"\n{'table':46s} {'size':>12s}  {'  '.join(pairs)}  seconds")
        for options in [{}, *TABLES]:
            start = time.perf_counter()
            fe.save_safetensors(fe.shrink(table, **options) if options else table, file)
            seconds = time.perf_counter() - start
            small = fe.load_vectors(file)
            found = [fe.evaluate_word_pairs(small, known) for known in pairs.values()]
            scores = [
                f"{one.spearman:.3f} ({one.found:,})".rjust(len(name))
                for name, one in zip(pairs, found, strict=True)
            ]
            print(f"{described(options):46s} {size_of(file)}  {'  '.join(scores)}  {seconds:7.1f}")


if __name__ == "__main__":
    main()
