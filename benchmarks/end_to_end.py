"""From a GloVe text file and a data set to a tuned, exported file, beside fastText and model2vec.

    python benchmarks/end_to_end.py glove.6B.100d.txt DIR --peers peers/bin/python --json runs.jsonl

DIR has a folder for each data set (20newsgroups, imdb, banking77, sst2, trec6) with train, test and
perhaps validation files in Parquet, columns text and label. `benchmarks/peers.py` says how to make
the environment of the peers. `--json` keeps a line for each run and finished runs are not
repeated, so you can run the benchmark in parts (`--sets`, `--tools`, `--seeds`).

Equal for all tools: the examples of the three splits (a seeded tenth of the training examples is
the validation split of a data set without one), their shuffled order, two threads, the time of the
process from start to end, and the accuracy of the predicted labels of the test split, which no tool
sees while it is timed. fastText splits texts at blanks only, so it gets the tokens of `Tokenizer`,
lower-cased like the words of GloVe: its best case. Making them is not timed, nor is adding the
header line that it requires in a vector file. It gets every row of that file, as a user would give
it. It can't stop early, so its settings were chosen by validation accuracy beforehand (`--search
fasttext`), and only the run with them is timed. model2vec has its defaults and its early stopping,
and splits lower-cased texts into words as BERT's tokenizer does before it looks for pieces: with
our tokenizer it had the same accuracy in more time.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from accuracy import report
from runs import Record, Runs

import finetune_embed as fe

Settings = dict[str, Any]

SETS = ("20newsgroups", "imdb", "banking77", "sst2", "trec6")
TOOLS = ("ours", "fasttext", "model2vec", "fasttext-bigrams")  # the last on imdb, no vectors
SEARCH_SEED = 100  # of the runs that settings are chosen by; none of the seeds that are reported
THREADS = "2"
SPLITS = ("train", "validation", "test")


def _ours(
    lr: float, epochs: int, batch_size: int, head: str = "bag", table: float = 1, **more: Any
) -> Settings:
    strategy = "FullTune" if table == 1 else f"DiscriminativeLR(embedding={table:g})"
    shared = {"lr": lr, "epochs": epochs, "batch_size": batch_size, "head": head}
    return {**shared, "strategy": strategy, "schedule": "linear", **more}


#: What each tool is run with on each set, chosen by validation accuracy; see `--search`.
CHOSEN: dict[str, dict[str, Settings]] = {
    "ours": {
        "20newsgroups": _ours(1e-1, 3, 512, table=5),
        "imdb": _ours(3e-2, 3, 512, table=2, word_dropout=0.3),
        "banking77": _ours(1e-2, 10, 32, table=3, word_dropout=0.1),
        "sst2": _ours(1e-3, 8, 64, "cnn"),
        "trec6": _ours(2e-3, 10, 32, "cnn", word_dropout=0.1),
    },
    "fasttext": {
        "20newsgroups": {"epoch": 15, "lr": 0.5},
        "imdb": {"epoch": 15, "lr": 1.0},
        "banking77": {"epoch": 25, "lr": 0.1},
        "sst2": {"epoch": 5, "lr": 0.1},
        "trec6": {"epoch": 5, "lr": 1.0},
    },
    "fasttext-bigrams": {"imdb": {"epoch": 10, "lr": 0.25, "wordNgrams": 2, "dim": 10}},
    "model2vec": {name: {} for name in SETS},
}
#: The settings that `--search` tries.
GRID: dict[str, dict[str, tuple[Any, ...]]] = {
    "ours": {
        "lr": (1e-3, 2e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        "epochs": (3, 6, 8, 10),
        "batch_size": (32, 64, 256, 512),
        "head": ("bag", "bag(hidden=100)", "cnn"),
        "strategy": ("FullTune", *(f"DiscriminativeLR(embedding={n})" for n in (2, 3, 5))),
        "schedule": ("linear",),
        "word_dropout": (0.0, 0.1, 0.3),
    },
    "fasttext": {"epoch": (5, 15, 25, 50), "lr": (0.05, 0.1, 0.25, 0.5, 1.0)},
    "fasttext-bigrams": {
        "epoch": (5, 10),
        "lr": (0.1, 0.25, 0.5),
        "wordNgrams": (2,),
        "dim": (10, 100),
    },
    "model2vec": {},
}


class Case:
    """One data set as every tool is given it.

    Attributes:
        data: folder with train and validation files.
        test: the test file beside it.
        lines: the splits as fastText wants them.
    """

    def __init__(self, source: Path, work: Path) -> None:
        self.name = source.name
        folder = work / source.name
        self.data, self.test = folder / "data", folder / "test.parquet"
        self.lines = {name: folder / f"{name}.txt" for name in SPLITS}
        self._make(source, folder)
        self.labels = {
            "validation": pl.read_parquet(self.data / "validation.parquet")["label"].to_list(),
            "test": pl.read_parquet(self.test)["label"].to_list(),
        }

    def _make(self, source: Path, folder: Path) -> None:
        (folder / "data").mkdir(parents=True)
        rows = pl.read_parquet(source / "train.parquet").select("text", "label")
        rows = rows.sample(fraction=1, shuffle=True, seed=0)
        if (source / "validation.parquet").is_file():
            held_out = pl.read_parquet(source / "validation.parquet")
        else:
            held_out, rows = rows[: len(rows) // 10], rows[len(rows) // 10 :]
        splits = (rows, held_out, pl.read_parquet(source / "test.parquet"))
        tokenizer = fe.Tokenizer()
        for name, split in zip(SPLITS, splits, strict=True):
            parent = folder if name == "test" else folder / "data"
            split.select("text", "label").write_parquet(parent / f"{name}.parquet")
            with (folder / f"{name}.txt").open("w") as file:
                for text, label in split.select("text", "label").iter_rows():
                    print(f"__label__{label}", *tokenizer.tokenize(text), file=file)

    def file(self, split: str, tool: str) -> Path:
        """Return the file of a split that a tool predicts."""
        if tool.startswith("fasttext"):
            return self.lines[split]
        return self.test if split == "test" else self.data / f"{split}.parquet"


class Bench:
    """Runs the tools on one vector file."""

    def __init__(self, vectors: Path, work: Path, peers: Path | None) -> None:
        self.vectors, self.peers, self.work = vectors, peers, work
        self.with_header = work / f"{vectors.name}.vec"
        if peers is not None:
            _add_header(vectors, self.with_header)

    def run(self, case: Case, tool: str, seed: int, settings: Settings) -> Record:
        """Train once in a process of its own; return seconds and what was predicted rightly."""
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            output = Path(folder) / "out"
            command = self._command(case, tool, seed, settings, output)
            os.sync()  # what others wrote is not for this run to wait for
            started = time.perf_counter()
            _call(command)
            seconds = time.perf_counter() - started
            right = {
                split: np.array(self._predict(case, tool, split, output)) == np.array(labels)
                for split, labels in case.labels.items()
            }
        return {
            "seconds": round(seconds, 3),
            **{split: float(rows.mean()) for split, rows in right.items()},
            "right": np.packbits(right["test"]).tobytes().hex(),
        }

    def _command(
        self, case: Case, tool: str, seed: int, settings: Settings, output: Path
    ) -> list[str]:
        if tool == "ours":
            command = [sys.executable, "-m", "finetune_embed", "train", "--quiet", "--json"]
            command += ["--vectors", str(self.vectors), "--data", str(case.data)]
            command += ["--seed", str(seed), "-o", str(output)]
            for name, value in settings.items():
                command += [f"--{name.replace('_', '-')}", str(value)]
            return command
        given: Settings = {"seed": seed, **settings}
        if tool == "model2vec":
            given |= {"vectors": str(self._reduced(case)), "data": str(case.data)}
        else:
            given["train"] = str(case.lines["train"])
        if tool == "fasttext":
            given |= {"pretrainedVectors": str(self.with_header), "dim": self._dim()}
        return self._peer(tool, "train", output, json.dumps(given))

    def _reduced(self, case: Case) -> Path:
        """Return a file of the vectors of words that occur in a data set."""
        path = self.work / case.name / self.vectors.name
        if not path.exists():
            words = {word for file in case.lines.values() for word in file.read_text().split()}
            fe.save_glove(fe.load_vectors(self.vectors, keys=words), path)
        return path

    def _predict(self, case: Case, tool: str, split: str, output: Path) -> list[str]:
        if tool == "ours":
            texts = pl.read_parquet(case.file(split, tool))["text"].to_list()
            return [str(label) for label in fe.load(output).predict(texts)]
        predicted = _call(self._peer(tool, "predict", output, str(case.file(split, tool))))
        return predicted.splitlines()

    def _peer(self, tool: str, action: str, output: Path, argument: str) -> list[str]:
        if self.peers is None:
            raise SystemExit(f"{tool} needs --peers, the Python of the peers' environment")
        script = str(Path(__file__).with_name("peers.py"))
        return [str(self.peers), script, tool.partition("-")[0], action, str(output), argument]

    def _dim(self) -> int:
        with self.with_header.open() as file:
            return int(file.readline().split()[1])


def _call(command: list[str]) -> str:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, THREADS)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # modules are compiled once, as after pip
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr[-2000:]}")
    return done.stdout


def _add_header(source: Path, target: Path) -> None:
    """Write a vector file again, with the header line that fastText wants."""
    with source.open("rb") as file:
        dim = file.readline().count(b" ")
        words = 1 + sum(1 for _ in file)
        file.seek(0)
        with target.open("wb") as out:
            out.write(f"{words} {dim}\n".encode())
            shutil.copyfileobj(file, out)


def trials(tool: str, count: int) -> list[Settings]:
    """Return the settings of a tool's grid; of a larger one, as many, drawn by a seed."""
    grid = GRID[tool]
    found = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    print(f"{tool}: {min(count, len(found))} of {len(found):,} settings", flush=True)
    if len(found) > count:
        drawn = np.random.default_rng(SEARCH_SEED).choice(len(found), count, replace=False)
        found = [found[at] for at in drawn]
    return found


def search(bench: Bench, case: Case, tool: str, count: int) -> None:
    """Print the validation accuracy of settings of the grid, and the best of them."""
    found = []
    for settings in trials(tool, count):
        try:
            record = bench.run(case, tool, SEARCH_SEED, settings)
        except RuntimeError as error:  # fastText gives up where its numbers overflow
            print(f"{case.name} {tool} {settings}: {str(error)[-200:]}", flush=True)
            continue
        found.append((record["validation"], settings))
        seconds = f"{record['seconds']:6.1f} s"
        print(f"{case.name} {tool} {record['validation']:.2%} {seconds} {settings}", flush=True)
    best, settings = max(found, key=lambda pair: pair[0])
    print(f"{case.name} {tool} best of {len(found)}: {best:.2%} {settings}", flush=True)


def main() -> None:
    """Run what is missing, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--peers", type=Path, help="Python of the peers' environment")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--tools", nargs="+", default=TOOLS, choices=TOOLS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file of runs, read and added to")
    parser.add_argument("--search", choices=TOOLS, help="try settings of a tool instead")
    parser.add_argument("--trials", type=int, default=20, help="how many settings to try")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        run_missing(options, Path(work))


def run_missing(options: argparse.Namespace, work: Path) -> None:
    """Run what is missing, with intermediate files in a folder, and print the report."""
    bench = Bench(options.vectors, work, options.peers)
    runs = Runs(options.json)
    for name in options.sets:
        case = Case(options.data / name, work)
        if options.search:
            search(bench, case, options.search, options.trials)
            continue
        records = []
        for seed, tool in product(range(options.seeds), options.tools):
            if name not in CHOSEN[tool]:
                continue
            settings = CHOSEN[tool][name]
            key = {"set": name, "tool": tool, "seed": seed, "settings": settings}
            key |= {"vectors": options.vectors.name}
            record = runs.get(key, partial(bench.run, case, tool, seed, settings))
            records.append(record)
        print("\n".join(report(name, records, len(case.labels["test"]))), flush=True)


if __name__ == "__main__":
    main()
