"""A first run with no settings, beside what a user would take instead: accuracy and time.

    python benchmarks/first_run.py glove.6B.100d.txt DIR --peers peers/bin/python --json runs.jsonl

DIR has a folder for each data set with train, test and perhaps validation files in Parquet, columns
text and label; a column of lists with one label each is taken too. `benchmarks/peers.py` says how
to make the environment of fastText and model2vec. `--json` keeps a line for each run, and finished
runs are not repeated, so you can run the benchmark in parts (`--sets`, `--tools`, `--seeds`).

Instead of a vector file you can give the folder of a static model, with `--tools ours model2vec`:
both then tune its pieces.

Equal for all: the examples of the three splits (a seeded tenth of the training examples is the
validation split of a data set without one), their shuffled order, two cores, the time of the
process from start to end, and the accuracy on the test split, which no tool sees. The baselines:

- `tfidf-1`, `tfidf-2`: a linear support vector machine over TF-IDF of words, or words and pairs.
  Its search for C on validation is part of its time.
- `fasttext` with the vectors, and `fasttext-bigrams` without: the best of four settings by
  validation accuracy, of which only the best one is timed. It gets the tokens of our tokenizer,
  since it splits at blanks only, and the header line that it requires.
- `model2vec`: its defaults, with early stopping, over the words of the vectors.
- `means`: logistic regression over the means of frozen vectors.

`ours` has no settings. `ours-frozen` is the same with `strategy="Freeze"`. For both, the parts of
the model are judged alone as well: the head over the vectors, and the words and pairs of words.
`autotune` has no settings either, and a budget of 60 seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from accuracy import interval, rights
from runs import Record, Runs

import finetune_embed as fe
from finetune_embed.training.lexical_part import LexicalPart

Settings = dict[str, Any]

OURS = ("ours", "autotune", "ours-frozen")
PACE = ("fasttext", "fasttext-bigrams", "model2vec", "tfidf-2")  # whose time is compared with ours
TUNED = ("ours", "autotune")  # those that are compared with the best baseline
PEERS = ("fasttext", "fasttext-bigrams", "model2vec")
BASELINES = ("tfidf-1", "tfidf-2", "means", *PEERS)
SEEDLESS = ("tfidf-1", "tfidf-2", "means")  # which give the same with every seed, and run once
SEARCH_SEED = 100  # of the runs that settings are chosen by; none of the seeds that are reported
CORES = "2"
SPLITS = ("train", "validation", "test")

#: The settings that each tool is given, of which validation chooses.
GRID: dict[str, list[Settings]] = {
    "ours": [{}],
    "ours-frozen": [{"strategy": "Freeze"}],
    "autotune": [{"budget": "60s"}],
    "tfidf-1": [{"ngrams": 1}],
    "tfidf-2": [{"ngrams": 2}],
    "means": [{}],
    "model2vec": [{}],
    "fasttext": [{"epoch": e, "lr": lr} for e in (5, 25) for lr in (0.1, 0.5)],
    "fasttext-bigrams": [
        {"epoch": e, "lr": lr, "wordNgrams": 2, "dim": 100} for e in (5, 25) for lr in (0.1, 0.5)
    ],
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
        rows = _read(source / "train.parquet").sample(fraction=1, shuffle=True, seed=0)
        if (source / "validation.parquet").is_file():
            held_out = _read(source / "validation.parquet")
        else:
            held_out, rows = rows[: len(rows) // 10], rows[len(rows) // 10 :]
        splits = (rows, held_out, _read(source / "test.parquet"))
        tokenizer = fe.Tokenizer()
        for name, split in zip(SPLITS, splits, strict=True):
            parent = folder if name == "test" else folder / "data"
            split.write_parquet(parent / f"{name}.parquet")
            with (folder / f"{name}.txt").open("w") as file:
                for text, label in split.iter_rows():
                    print(f"__label__{label}", *tokenizer.tokenize(text), file=file)

    def texts(self, split: str) -> list[str]:
        """Return the texts of a split."""
        return pl.read_parquet(self.file(split, "ours"))["text"].to_list()

    def file(self, split: str, tool: str) -> Path:
        """Return the file of a split that a tool predicts."""
        if tool.startswith("fasttext"):
            return self.lines[split]
        return self.test if split == "test" else self.data / f"{split}.parquet"


def _read(path: Path) -> pl.DataFrame:
    rows = pl.read_parquet(path)
    if "label" not in rows.columns:  # lists of labels
        rows = rows.filter(pl.col("labels").list.len() == 1)
        rows = rows.with_columns(label=pl.col("labels").list.first())
    return rows.select("text", pl.col("label").cast(pl.String))


class Bench:
    """Runs the tools on one vector file."""

    def __init__(self, vectors: Path, work: Path, peers: Path | None) -> None:
        self.vectors, self.peers, self.work = vectors, peers, work
        self.with_header = work / f"{vectors.name}.vec"
        if peers is not None and vectors.is_file():
            _add_header(vectors, self.with_header)

    def run(self, case: Case, tool: str, seed: int, settings: Settings) -> Record:
        """Train once in a process of its own; return seconds and what was predicted rightly."""
        with tempfile.TemporaryDirectory(dir=self.work) as folder:
            output = Path(folder) / "out"
            seconds = self.train(case, tool, seed, settings, output)
            right = {
                split: np.array(self._predict(case, tool, split, output)) == np.array(labels)
                for split, labels in case.labels.items()
            }
            parts = _parts(output, case) if tool.startswith("ours") else {}
        return {
            "seconds": round(seconds, 3),
            **{split: float(rows.mean()) for split, rows in right.items()},
            **parts,
            "right": np.packbits(right["test"]).tobytes().hex(),
        }

    def train(self, case: Case, tool: str, seed: int, settings: Settings, output: Path) -> float:
        """Train in a process of its own; return its seconds."""
        command = self._command(case, tool, seed, settings, output)
        os.sync()  # what others wrote is not for this run to wait for
        started = time.perf_counter()
        _call(command)
        return time.perf_counter() - started

    def best(self, case: Case, tool: str, runs: Runs) -> Settings:
        """Return the settings of a tool's grid with the best validation accuracy."""
        grid = GRID[tool]
        if len(grid) == 1:
            return grid[0]
        found = []
        for settings in grid:
            key = {**self._key(case, tool, SEARCH_SEED, settings), "search": True}
            record = runs.get(key, partial(self._searched, case, tool, settings))
            found.append((record["validation"], settings))
        return max(found, key=lambda pair: pair[0])[1]

    def _searched(self, case: Case, tool: str, settings: Settings) -> Record:
        try:
            return self.run(case, tool, SEARCH_SEED, settings)
        except RuntimeError:  # fastText gives up where its numbers overflow
            return {"validation": 0.0}

    def records(self, case: Case, tool: str, seeds: int, runs: Runs) -> list[Record]:
        """Return a tool's runs with its best settings, made where they are missing."""
        settings = self.best(case, tool, runs)
        return [
            runs.get(
                self._key(case, tool, seed, settings),
                partial(self.run, case, tool, seed, settings),
            )
            for seed in range(1 if tool in SEEDLESS else seeds)
        ]

    def _key(self, case: Case, tool: str, seed: int, settings: Settings) -> Record:
        names = {"set": case.name, "tool": tool, "seed": seed, "settings": settings}
        return {**names, "vectors": self.vectors.name}

    def _command(
        self, case: Case, tool: str, seed: int, settings: Settings, output: Path
    ) -> list[str]:
        if tool in OURS:
            command = [sys.executable, "-m", "finetune_embed"]
            command += ["autotune"] if tool == "autotune" else ["train", "--quiet"]
            command += ["--json", "--vectors", str(self.vectors), "--data", str(case.data)]
            command += ["--seed", str(seed), "-o", str(output)]
            for name, value in settings.items():
                command += [f"--{name.replace('_', '-')}", str(value)]
            return command
        given: Settings = {"seed": seed, **settings}
        if tool.startswith("fasttext"):
            given["train"] = str(case.lines["train"])
        else:
            given["data"] = str(case.data)
        if tool == "fasttext":
            given |= {"pretrainedVectors": str(self.with_header), "dim": self._dim()}
        elif tool == "model2vec":
            given["vectors"] = str(self._reduced(case))
        elif tool == "means":
            given["vectors"] = str(self.vectors)
        return self._tool(tool, "train", output, json.dumps(given))

    def _reduced(self, case: Case) -> Path:
        """Return a file of the vectors of words that occur in a data set; a folder as it is."""
        if self.vectors.is_dir():
            return self.vectors
        path = self.work / case.name / self.vectors.name
        if not path.exists():
            words = {word for file in case.lines.values() for word in file.read_text().split()}
            fe.save_glove(fe.load_vectors(self.vectors, keys=words), path)
        return path

    def _predict(self, case: Case, tool: str, split: str, output: Path) -> list[str]:
        if tool in OURS:
            return [str(label) for label in fe.load(output).predict(case.texts(split))]
        predicted = _call(self._tool(tool, "predict", output, str(case.file(split, tool))))
        return predicted.splitlines()

    def _tool(self, tool: str, action: str, output: Path, argument: str) -> list[str]:
        python: Path | str | None = self.peers if tool in PEERS else sys.executable
        if python is None:
            raise SystemExit(f"{tool} needs --peers, the Python of the peers' environment")
        script = Path(__file__).with_name("peers.py" if tool in PEERS else "baselines.py")
        return [str(python), str(script), tool.partition("-")[0], action, str(output), argument]

    def _dim(self) -> int:
        with self.with_header.open() as file:
            return int(file.readline().split()[1])


def _parts(output: Path, case: Case) -> Record:
    """Return the test accuracy of each part of a run alone."""
    run = fe.load(output)
    if run.lexical is None:
        return {}
    texts = case.texts("test")
    alone = {
        "vectors": None,
        "lexical": LexicalPart(run.lexical.classifier, vectors=0.0, lexical=1.0),
    }
    found: Record = {}
    for name, part in alone.items():
        predicted = replace(run, lexical=part).predict(texts)
        found[f"{name} alone"] = float(
            np.mean(np.array(predicted) == np.array(case.labels["test"]))
        )
    return found


def _call(command: list[str]) -> str:
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, CORES)}
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


def report(name: str, found: dict[str, list[Record]], examples: int) -> Iterator[str]:
    """Yield the lines of one data set, a line a tool."""
    yield f"\n{name}, {examples:,} test texts"
    for tool, records in found.items():
        accuracy = [record["test"] for record in records]
        spread = statistics.stdev(accuracy) if len(accuracy) > 1 else 0.0
        parts = [
            f"{part} {statistics.mean(record[part] for record in records):.1%}"
            for part in ("vectors alone", "lexical alone")
            if part in records[0]
        ]
        yield (
            f"{tool:<17}{statistics.mean(accuracy):7.2%} ± {100 * spread:4.2f}"
            f"{_seconds(records):8.1f} s  "
            f"{', '.join(parts) or records[0]['settings'] or ''}"
        )
    best = _best_baseline(found)
    for tool in TUNED:
        if best is not None and tool in found:
            low, high = _difference(found[tool], found[best], examples)
            yield f"{tool} - {best}: {100 * low:+.2f} to {100 * high:+.2f} points"
    for peer in [tool for tool in PACE if {tool, "ours"} <= found.keys()]:
        ratio = _seconds(found["ours"]) / _seconds(found[peer])
        yield f"ours takes {ratio:.2f} of the time of {peer}"


def _seconds(records: list[Record]) -> float:
    return float(statistics.median(record["seconds"] for record in records))


def _best_baseline(found: dict[str, list[Record]]) -> str | None:
    means = {
        tool: statistics.mean(record["test"] for record in records)
        for tool, records in found.items()
        if tool in BASELINES
    }
    return max(means, key=lambda tool: means[tool]) if means else None


def _difference(
    ours: Iterable[Record], peer: Iterable[Record], examples: int
) -> tuple[float, float]:
    return interval(rights(ours, examples), rights(peer, examples))


def summary(found: dict[str, dict[str, list[Record]]], examples: dict[str, int]) -> Iterator[str]:
    """Yield the means over the data sets, and on how many of them ours are ahead beyond chance."""
    tools = list(dict.fromkeys(tool for records in found.values() for tool in records))
    yield f"\nmean over {len(found)} data sets"
    for tool in tools:
        if all(tool in records for records in found.values()):
            scores = [np.mean([one["test"] for one in records[tool]]) for records in found.values()]
            yield f"{tool:<17}{np.mean(scores):7.2%}"
    best = {name: _best_baseline(records) for name, records in found.items()}
    for tool in TUNED:
        if None in best.values() or not all(tool in records for records in found.values()):
            continue
        bounds = {
            name: _difference(records[tool], records[str(best[name])], examples[name])
            for name, records in found.items()
        }
        not_below = [name for name, (_, high) in bounds.items() if high >= 0]
        above = [name for name, (low, _) in bounds.items() if low > 0]
        yield f"{tool} is not below the best baseline of a set, beyond chance, on {len(not_below)}"
        yield f"and above it on {len(above)}: {', '.join(above)}"


def main() -> None:
    """Run what is missing, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--peers", type=Path, help="Python of the peers' environment")
    parser.add_argument("--sets", nargs="+", help="all in DIR when left out")
    parser.add_argument("--tools", nargs="+", default=(*OURS, *BASELINES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file of runs, read and added to")
    options = parser.parse_args()
    sets = options.sets or sorted(path.name for path in options.data.iterdir() if path.is_dir())
    runs, found, examples = Runs(options.json), {}, {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(options.vectors, Path(folder), options.peers)
        for name in sets:
            case = Case(options.data / name, Path(folder))
            examples[name] = len(case.labels["test"])
            found[name] = {
                tool: bench.records(case, tool, options.seeds, runs) for tool in options.tools
            }
            print("\n".join(report(name, found[name], examples[name])), flush=True)
    print("\n".join(summary(found, examples)))


if __name__ == "__main__":
    main()
