"""Published references run again: deep averaging networks and convolutional networks.

    python benchmarks/published.py glove.6B.100d.txt DIR --json published.jsonl

DIR has a folder for each data set (mr, sst2, sst5, trec6, imdb). Prints our accuracy on the test
split, over seeds, beside the figure of the paper. They are not the same experiment, which is why
the vectors of both stand in the table:

- We have GloVe 6B in 100 dimensions; the papers have 300, of GloVe (Iyyer et al. 2015) or of
  word2vec (Kim 2014).
- Stanford's treebank (sst2, sst5) is used as sentences only; both papers train on its phrases too.
- mr is one split of ten; the papers report cross-validation.
- We train with RowAdamW and choose the epoch by validation accuracy, on a tenth of the training
  split where a set has no validation split; Iyyer et al. have Adagrad, Kim has Adadelta and a
  bound on the norm of the last layer's weights.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from runs import Record, Runs

import finetune_embed as fe
from finetune_embed.data import open_splits

DAN = "bag(hidden=300, layers=3)"
GLOVE_300, WORD2VEC_300 = "GloVe 300d", "word2vec 300d"


@dataclass(frozen=True)
class Reference:
    """A model of a paper, as we spell it, and what the paper reports.

    Attributes:
        name: the model.
        vectors: what the paper started from.
        reported: the accuracy in percent by data set.
        settings: of `finetune`.
    """

    name: str
    vectors: str
    reported: dict[str, float]
    settings: dict[str, Any]


def _cnn(name: str, mr: float, sst2: float, trec6: float, **settings: Any) -> Reference:
    reported = {"mr": mr, "sst2": sst2, "trec6": trec6}
    shared = {"lr": 1e-3, "batch_size": 50, "epochs": 15, "patience": 4}
    return Reference(f"CNN-{name}", WORD2VEC_300, reported, shared | settings)


REFERENCES = (
    Reference(
        "DAN",
        GLOVE_300,
        {"mr": 80.3, "sst5": 47.7, "sst2": 86.3, "imdb": 89.4},
        {"head": DAN, "word_dropout": 0.3, "lr": 1e-3, "epochs": 15, "patience": 4},
    ),
    _cnn("static", 81.0, 86.8, 92.8, head="cnn", strategy="Freeze"),
    _cnn("non-static", 81.5, 87.2, 93.6, head="cnn"),
    _cnn("multichannel", 81.1, 88.1, 92.2, head="cnn(channels=2)"),
)


def run(table: fe.EmbeddingTable, data: Path, seed: int, settings: dict[str, Any]) -> Record:
    """Return test and validation accuracy of one seed, and the seconds it took."""
    splits = open_splits(data)
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    dataset = {name: split for name, split in parts.items() if split is not None}
    started = time.perf_counter()
    metrics = fe.finetune(table, dataset, seed=seed, **settings).metrics
    return {
        "test": metrics["test"]["accuracy"],
        "validation": metrics["validation"]["accuracy"],
        "epoch": metrics["best_epoch"],
        "seconds": round(time.perf_counter() - started, 3),
    }


def main() -> None:
    """Run what is missing, and print a line for each model and data set."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("vectors", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", nargs="+", default=[r.name for r in REFERENCES])
    parser.add_argument("--sets", nargs="+", default=["mr", "sst5", "sst2", "trec6", "imdb"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file of runs, read and added to")
    options = parser.parse_args()
    runs, table = Runs(options.json), fe.load_vectors(options.vectors)
    print(f"ours with {options.vectors.name}")
    print(f"{'model':<18}{'data':<7}{'ours':>16}   {'paper':<20}validation   seconds")
    for reference, name in product(REFERENCES, options.sets):
        if reference.name not in options.models or name not in reference.reported:
            continue
        found = []
        for seed in range(options.seeds):
            key = {"set": name, "seed": seed, "vectors": options.vectors.name}
            key |= {"settings": reference.settings}
            one = partial(run, table, options.data / name, seed, reference.settings)
            found.append(runs.get(key, one))
        print(_line(reference, name, found), flush=True)


def _line(reference: Reference, name: str, found: list[Record]) -> str:
    test = [100 * record["test"] for record in found]
    spread = statistics.stdev(test) if len(test) > 1 else 0.0
    paper = f"{reference.reported[name]:.1f} ({reference.vectors})"
    validation = statistics.mean(100 * record["validation"] for record in found)
    seconds = statistics.median(record["seconds"] for record in found)
    return (
        f"{reference.name:<18}{name:<7}{statistics.mean(test):>8.2f} ± {spread:4.2f}    "
        f"{paper:<22}{validation:>8.2f}{seconds:>10.1f}"
    )


if __name__ == "__main__":
    main()
