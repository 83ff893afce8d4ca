"""Few labelled texts: 20, 100 and 500 of SST-2, with a frozen table, a tuned one, and the default.

    python recipes/low_data.py --vectors glove.6B.100d.txt --data DIR
    python recipes/low_data.py --smoke

Each seed draws its own texts, the same number of each class. A tenth of them is held out to choose
the best epoch; the test is on the whole test split. DIR/sst2 has train.parquet and test.parquet.

Test accuracy with GloVe 6B 100d, 3 seeds: of 20 texts 55.3% ± 4.2, 54.8% ± 3.0 and 54.8% ± 3.0; of
100 64.5% ± 1.2, 64.7% ± 1.6 and 63.3% ± 0.7; of 500 73.1% ± 2.8, 76.5% ± 1.6 and 76.9% ± 1.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import polars
from common import Options, over_seeds, read_options

import finetune_embed as fe

MODELS: dict[str, dict[str, Any]] = {
    "frozen vectors": {"strategy": "Freeze", "lexical": False},
    "tuned vectors": {"lexical": False},
    "tuned vectors beside words": {},  # the default
}


def sample(options: Options, count: int, seed: int) -> dict[str, polars.DataFrame]:
    """Return `count` training texts, as many of each class, and the test split."""
    read = polars.read_csv if options.smoke else polars.read_parquet
    ending = "csv" if options.smoke else "parquet"
    train, test = (read(options.folder("sst2") / f"{n}.{ending}") for n in ("train", "test"))
    classes = train.partition_by("label", maintain_order=True)
    chosen = [one.sample(count // len(classes), seed=seed, shuffle=True) for one in classes]
    return {"train": polars.concat(chosen), "test": test}


def main(arguments: Sequence[str] | None = None) -> dict[tuple[int, str], float]:
    """Print and return the test accuracy of every model for every number of texts."""
    options = read_options(__doc__, arguments)
    table = fe.load_vectors(options.vectors)

    def accuracy(count: int, settings: dict[str, Any], seed: int) -> float:
        data = sample(options, count, seed)
        run = fe.finetune(table, data, epochs=options.epochs, seed=seed, **settings)
        return float(run.metrics["test"]["accuracy"])

    return {
        (count, name): over_seeds(
            f"{count} texts, {name}: test accuracy", options, partial(accuracy, count, settings)
        )
        for count in ((20,) if options.smoke else (20, 100, 500))
        for name, settings in MODELS.items()
    }


if __name__ == "__main__":
    main()
