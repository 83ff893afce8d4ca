"""Multi-label classification and tagging on real input, the table frozen and tuned.

    python benchmarks/tasks.py glove.6B.100d.txt DIR

DIR holds goemotions_multi (columns text, labels), ud_en_ewt_pos and conll2003_ner (columns tokens,
tags), in itself or in folders of it. Prints test scores as mean and standard deviation over seeds.
`--json` keeps a line for each run; what is in it is not run again.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from runs import Record, Runs

import finetune_embed as fe

STRATEGIES = ("Freeze", "FullTune")


@dataclass(frozen=True)
class Job:
    """A data set, a head for it, and the scores to print."""

    data: str
    text: str
    label: str
    head: str
    epochs: int
    scores: tuple[str, ...]


TAGS, LABELS = ("entity_f1", "accuracy", "macro_f1"), ("micro_f1", "macro_f1", "accuracy")
JOBS = (
    Job("goemotions_multi", "text", "labels", "bag(hidden=100)", 5, LABELS),
    Job("ud_en_ewt_pos", "tokens", "tags", "bilstm", 8, TAGS[1:]),
    Job("ud_en_ewt_pos", "tokens", "tags", "cnn_tagger", 8, TAGS[1:]),
    Job("conll2003_ner", "tokens", "tags", "bilstm", 8, TAGS),
    Job("conll2003_ner", "tokens", "tags", "cnn_tagger", 8, TAGS),
)


def spread(values: list[float]) -> str:
    """Return mean and standard deviation in percent."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):6.2f} ± {100 * deviation:4.2f}"


def train(base: fe.EmbeddingTable, folder: Path, job: Job, strategy: str, seed: int) -> Record:
    """Train once; return the test scores and the seconds."""
    started = time.perf_counter()
    run = fe.finetune(
        base,
        folder,
        text=job.text,
        label=job.label,
        head=job.head,
        strategy=strategy,
        epochs=job.epochs,
        batch_size=32,
        seed=seed,
    )
    scores = {name: run.metrics["test"][name] for name in job.scores}
    return {**scores, "seconds": round(time.perf_counter() - started, 1)}


def main() -> None:
    """Print a line for each data set, head and strategy."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help='such as "conll2003_ner bilstm FullTune"')
    parser.add_argument("--json", type=Path, help="file of runs, read and added to")
    options = parser.parse_args()
    runs, base = Runs(options.json), fe.load_vectors(options.vectors)
    for job in JOBS:
        folder = next(path for path in sorted(options.data.rglob(job.data)) if path.is_dir())
        for strategy in STRATEGIES:
            if options.only not in f"{job.data} {job.head} {strategy}":
                continue
            found = []
            for seed in range(options.seeds):
                key = {"set": job.data, "head": job.head, "strategy": strategy, "seed": seed}
                key |= {"epochs": job.epochs, "vectors": options.vectors.name}
                found.append(runs.get(key, partial(train, base, folder, job, strategy, seed)))
            shown = "  ".join(f"{n} {spread([one[n] for one in found])}" for n in job.scores)
            seconds = statistics.median(one["seconds"] for one in found)
            print(f"{job.data:<18}{job.head:<17}{strategy:<10}{shown}  {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
