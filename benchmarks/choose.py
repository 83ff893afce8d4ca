"""The settings that a first run has when none are given: which are best, on data not chosen on.

    python benchmarks/choose.py glove.6B.100d.txt DIR --json choices.jsonl

DIR has a folder for each data set, as for `first_run.py`. Every candidate is run on every data set.
For each set, the candidate is chosen that has the best mean validation accuracy on all the others,
and its test accuracy on this set is printed beside that of the defaults: what a user gets who has
other data than we had. Test splits choose nothing.

`--json` keeps a line for each run, and finished runs are not repeated.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from first_run import Case
from runs import Record, Runs

import finetune_embed as fe

HEAD = "pooled_cnn"


class Times(NamedTuple):
    """A setting that is a multiple of what the defaults choose."""

    factor: float


#: What each candidate changes of the settings that the defaults choose.
CANDIDATES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "rate x2": {"lr": Times(2)},
    "rate /2": {"lr": Times(0.5)},
    "epochs x2": {"epochs": Times(2)},
    "epochs /2": {"epochs": Times(0.5)},
    "batches x2": {"batch_size": Times(2)},
    "batches /2": {"batch_size": Times(0.5)},
    "batches and rate /2": {"batch_size": Times(0.5), "lr": Times(0.5)},
    "constant rate": {"schedule": "constant"},
    "word dropout 0.1": {"word_dropout": 0.1},
    "100 filters": {"head": f"{HEAD}(filters=100)"},
    "widths 2, 3, 4": {"head": f"{HEAD}(widths=(2, 3, 4))"},
    "dropout 0.5": {"head": f"{HEAD}(dropout=0.5)"},
    "mean and max": {"head": f"{HEAD}(pooling='mean+max')"},
    "no filters": {"head": "bag(pooling='mean+max+min')"},
    "no lexical part": {"lexical": False},
    "adagrad": {"optimizer": "adagrad(per_row=True)", "lr": 0.03},
    "sgd": {"optimizer": "sgd", "lr": 1.0},
    "table rate x3": {"strategy": "DiscriminativeLR(embedding=3)"},
}
#: What the defaults choose from the data; a candidate keeps what it does not change.
CHOSEN = ("head", "lexical", "epochs", "lr", "schedule", "batch_size")


def run(
    table: fe.EmbeddingTable, case: Case, candidate: str, chosen: dict[str, Any], seed: int
) -> Record:
    """Return the accuracies of one run, and the settings of `CHOSEN` that it had."""
    given: dict[str, Any] = dict(chosen)
    for name, value in CANDIDATES[candidate].items():
        if isinstance(value, Times):
            value = type(chosen[name])(chosen[name] * value.factor)
        given[name] = value
    tuned = fe.finetune(table, case.data, seed=seed, **given)
    evaluated = tuned.evaluate(case.test)
    return {
        "validation": tuned.metrics["validation"]["accuracy"],
        "test": evaluated.scores["accuracy"],
        "chosen": {name: tuned.settings[name] for name in CHOSEN},
    }


def choices(found: dict[str, dict[str, list[Record]]]) -> list[str]:
    """Return the report: a line for each candidate, then one for each data set."""
    sets, names = list(found), list(next(iter(found.values())))
    scores = {
        kind: np.array(
            [[np.mean([r[kind] for r in found[s][name]]) for name in names] for s in sets]
        )
        for kind in ("validation", "test")
    }
    at = names.index("defaults")
    lines = ["mean of all data sets, and the difference from the defaults with its standard error"]
    for column, name in enumerate(names):
        parts = []
        for kind in ("validation", "test"):
            values = 100 * (scores[kind][:, column] - scores[kind][:, at])
            error = values.std(ddof=1) / len(sets) ** 0.5 if len(sets) > 1 else 0.0
            mean = 100 * scores[kind][:, column].mean()
            parts.append(f"{kind} {mean:5.2f} {values.mean():+5.2f} ± {error:4.2f}")
        lines.append(f"{name:<20}{'   '.join(parts)}")
    lines.append("\nchosen by the validation splits of the other data sets")
    chosen = []
    for row, name in enumerate(sets):
        others = np.delete(scores["validation"], row, axis=0).mean(axis=0)
        best = int(others.argmax())
        chosen.append(scores["test"][row, best])
        lines.append(
            f"{name:<20}{names[best]:<20}test {chosen[-1]:.2%}, "
            f"defaults {scores['test'][row, at]:.2%}"
        )
    mean = float(np.mean(chosen))
    lines.append(f"{'mean':<40}test {mean:.2%}, defaults {scores['test'][:, at].mean():.2%}")
    return lines


def main() -> None:
    """Run what is missing, and print the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", help="all in DIR when left out")
    parser.add_argument("--candidates", nargs="+", default=list(CANDIDATES), choices=CANDIDATES)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="file of runs, read and added to")
    options = parser.parse_args()
    names = options.sets or sorted(path.name for path in options.data.iterdir() if path.is_dir())
    table, runs = fe.load_vectors(options.vectors), Runs(options.json)
    found: dict[str, dict[str, list[Record]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            case, found[name] = Case(options.data / name, Path(folder)), {}
            chosen: dict[str, Any] = {}
            for candidate in dict.fromkeys(["defaults", *options.candidates]):
                for seed in range(options.seeds):
                    key = {"set": name, "candidate": candidate, "seed": seed}
                    record = runs.get(key, partial(run, table, case, candidate, chosen, seed))
                    found[name].setdefault(candidate, []).append(record)
                    print(f"{name} {candidate}: {record['validation']:.2%}", flush=True)
                chosen = chosen or found[name]["defaults"][0]["chosen"]
    print("\n".join(choices(found)))


if __name__ == "__main__":
    main()
