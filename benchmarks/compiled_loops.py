"""What each compiled loop gains over the Python or torch code that does without it.

    python benchmarks/compiled_loops.py --vectors glove.6B.100d.txt --texts imdb/train.parquet
        --train imdb sst2 [--heads bag cnn] [--runs 5]

Each line is an operation that a user waits for, once with every loop and once without the loop that
is named, in turns: medians, ranges, and how many times as long it takes without. For training it
also has the time that is spent in the loop's own calls, which is where a small part of a run shows.
`all` is a run without any compiled loop.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy as np
import polars as pl

import finetune_embed as fe
from finetune_embed.formats.common import kernels as files
from finetune_embed.lexical import counts
from finetune_embed.lexical.chars import CharTfidf
from finetune_embed.lexical.ngrams import NgramTfidf
from finetune_embed.optim import adam, bag
from finetune_embed.optim import kernels as steps
from finetune_embed.vocabulary import tokenization, tokenize_texts

KEPT = 20_000
CONVENTIONS = ("glove", "cased", "whitespace")
#: The loops of a training step that have a fallback of their own.
STEP_LOOPS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        steps.group_rows,
        steps.nonzero_rows,
        steps.row_squares,
        adam.adam_rows,
    )
}

Call = Callable[[], Any]
Without = Callable[[], contextlib.AbstractContextManager[Any]]
Times = dict[str, float]


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give an attribute another value for a while."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def without(*modules: ModuleType) -> Iterator[None]:
    """Do without all compiled loops of some modules."""
    with contextlib.ExitStack() as stack:
        for module in modules:
            stack.enter_context(replaced(module, "native", None))
        yield


@contextlib.contextmanager
def everywhere(function: Callable[..., Any], other: Callable[..., Any]) -> Iterator[None]:
    """Replace a function in every module of the package that has imported it."""
    with contextlib.ExitStack() as stack:
        for module in [m for name, m in sys.modules.items() if name.startswith("finetune_embed")]:
            for name, value in list(vars(module).items()):
                if value is function:
                    stack.enter_context(replaced(module, name, other))
        yield


def current(name: str) -> Callable[..., Any]:
    """Return what the package has under the name of a loop of a step now."""
    found = getattr(adam, name, None) or getattr(steps, name)
    return cast(Callable[..., Any], found)


@contextlib.contextmanager
def clocked(spent: Times) -> Iterator[None]:
    """Add up the time in each loop of a step, in `spent`, whatever it is done with."""

    def clock(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += time.perf_counter() - started

        return timed

    with contextlib.ExitStack() as stack:
        for name in STEP_LOOPS:
            function = current(name)
            stack.enter_context(everywhere(function, clock(name, function)))
        yield


@contextlib.contextmanager
def without_step_loop(name: str) -> Iterator[None]:
    """Do without one compiled loop of a training step."""
    if name == "bag":  # the gradient of means by rows
        with replaced(bag, "is_native", lambda *tensors: False):
            yield
    else:
        function = STEP_LOOPS[name]

        def slowly(*args: Any, **kwargs: Any) -> Any:
            groups = next((i for i, one in enumerate(args) if isinstance(one, steps.Groups)), None)
            if groups is not None:  # sums of groups are compiled only: another loop's work
                values = 2 if name == "adam_rows" else 0
                sums = steps.sum_groups(args[values], args[groups])
                args = (*args[:values], sums, *args[values + 1 : groups], None, *args[groups + 1 :])
            with without(steps):
                return function(*args, **kwargs)

        with everywhere(function, slowly):
            yield


def seconds(call: Call) -> float:
    """Return the wall time of a call; nobody else's bytes wait for the disk when it starts."""
    os.sync()
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def cell(times: list[float]) -> str:
    """Return the median and the range of some times."""
    return f"{statistics.median(times):8.3f} s ({min(times):.3f} to {max(times):.3f})"


def beside(operation: str, loop: str, call: Call, slow: Without, runs: int) -> None:
    """Print a line: an operation with all loops, and without one."""
    compiled, python = [], []
    for _ in range(runs):
        compiled.append(seconds(call))
        with slow():
            python.append(seconds(call))
    ratio = statistics.median(python) / statistics.median(compiled)
    print(f"{operation:<34}{loop:<14}{cell(compiled)}  {cell(python)} {ratio:7.2f}x", flush=True)


def vector_files(glove: str, folder: Path, runs: int) -> None:
    """Print the lines of reading and writing vector files."""
    table = fe.load_glove(glove)
    some = table.index_to_key[:KEPT]
    text, binary = folder / "w.txt", folder / "w.bin"
    fe.save_word2vec(table, binary, binary=True)
    slow = partial(without, files)
    print(f"\n{Path(glove).name}, {len(table):,} x {table.vector_size}")
    beside("read text", "parse text", partial(fe.load_vectors, glove), slow, runs)
    kept = f"read text, keep {KEPT:,} words"
    beside(kept, "parse text", partial(fe.load_vectors, glove, some), slow, runs)
    beside("read binary", "parse binary", partial(fe.load_vectors, binary), slow, runs)
    kept = f"read binary, keep {KEPT:,} words"
    beside(kept, "parse binary", partial(fe.load_vectors, binary, some), slow, runs)
    beside("write text", "format text", partial(fe.save_glove, table, text), slow, runs)
    write_binary = partial(fe.save_word2vec, table, binary, binary=True)
    beside("write binary", "format binary", write_binary, slow, runs)


def vocabulary_and_ids(texts: list[str], convention: str) -> None:
    """Count the tokens of texts, and encode the texts."""
    fe.Vocabulary.from_texts(texts, fe.Tokenizer.named(convention)).encode(texts)


def texts(path: str, runs: int) -> None:
    """Print the lines of tokenizing, counting and encoding texts."""
    given = pl.read_parquet(path)["text"].to_list()
    print(f"\n{Path(path).parent.name}, {len(given):,} texts")
    for name in CONVENTIONS:
        encode = partial(vocabulary_and_ids, given, name)
        beside(
            f"vocabulary and ids, {name}",
            "tokenization",
            encode,
            partial(without, tokenization),
            runs,
        )


def lexical_features(path: str, runs: int) -> None:
    """Print the lines of counting words, pairs of words and characters."""
    found = tokenize_texts(pl.read_parquet(path)["text"].to_list(), fe.Tokenizer())
    numbers, lengths = found.numbers.astype(np.int64) + 2, found.lengths.astype(np.int64)
    words = ["", "", *found.tokens]
    slow = partial(without, counts)
    most = 10_000_000
    pairs = partial(NgramTfidf.fit_transform, numbers, lengths, len(words), 2, most)
    beside("TF-IDF of words and pairs", "counts", pairs, slow, runs)
    characters = partial(CharTfidf.fit_transform, numbers, lengths, words, most)
    beside("TF-IDF of characters", "counts", characters, slow, runs)


def training(glove: str, data: Path, head: str, runs: int) -> None:
    """Print the lines of a training run, without each loop in turn."""
    table = fe.load_vectors(glove)
    options: dict[str, Any] = {"head": head, "epochs": 2, "seed": 0}

    def train() -> None:
        fe.finetune(table, str(data), **options)

    def spent_in() -> Times:
        spent: Times = defaultdict(float)
        with clocked(spent):
            train()
        return spent

    print(f"\nfinetune on {data.name}, head {head}, 2 epochs")
    train()
    used = {name for name, time in spent_in().items() if time}
    loops = [name for name in STEP_LOOPS if name in used]
    for name in [*loops, *(["bag"] if head == "bag" else [])]:
        slow = partial(without_step_loop, name)
        beside("training run", name, train, slow, runs)
        if name in loops:
            compiled = [spent_in()[name] for _ in range(runs)]
            with slow():
                python = [spent_in()[name] for _ in range(runs)]
            ratio = statistics.median(python) / statistics.median(compiled)
            print(f"{'  in the loop':<48}{cell(compiled)}  {cell(python)} {ratio:7.2f}x")
    beside("training run", "tokenization", train, partial(without, tokenization), runs)
    beside("training run", "all of a step", train, partial(without, steps), runs)
    beside("training run", "all", train, partial(without, steps, tokenization, files), runs)


def main() -> None:
    """Print the lines of what is given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--vectors", required=True, help="a GloVe text file")
    parser.add_argument("--texts", help="a Parquet file with a column text")
    parser.add_argument(
        "--train", nargs="*", type=Path, default=[], help="folders of Parquet files"
    )
    parser.add_argument(
        "--heads", nargs="*", default=["bag", "cnn"], help="one for each of --train"
    )
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    if None in (counts.native, files.native, steps.native, tokenization.native):
        raise SystemExit("the compiled loops are not in use; see finetune-embed --version")
    print(f"{'operation':<34}{'without':<14}{'compiled':<28}  {'without the loop'}")
    with tempfile.TemporaryDirectory() as folder:
        vector_files(options.vectors, Path(folder), options.runs)
    if options.texts:
        texts(options.texts, options.runs)
        lexical_features(options.texts, options.runs)
    for data, head in zip(options.train, options.heads, strict=False):
        training(options.vectors, data, head, options.runs)


if __name__ == "__main__":
    main()
