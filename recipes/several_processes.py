"""Several processes share every batch: on the GPUs of a machine, or on its CPU cores.

    torchrun --nproc-per-node 2 recipes/several_processes.py --vectors glove.6B.100d.txt --data DIR
    torchrun --nproc-per-node 2 recipes/several_processes.py --smoke

The script is what it would be for one process. `batch_size` counts over all processes, so the
result is that of one process up to rounding. The main process prints the test accuracy on SST-2.

With GloVe 6B 100d, 2 processes, 3 seeds: 80.9% ± 0.9.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence

from common import over_seeds, read_options

import finetune_embed as fe


def main(arguments: Sequence[str] | None = None) -> float:
    """Print and return the test accuracy."""
    options = read_options(__doc__, arguments)

    def accuracy(seed: int) -> float:
        run = fe.finetune(
            options.vectors,
            options.folder("sst2"),
            head="bag",
            strategy="UnfreezeAfter(epochs=2)",  # frozen at the start: no gradient is exchanged
            epochs=options.epochs or 15,
            seed=seed,
        )
        return float(run.metrics["test"]["accuracy"])

    main_process = os.environ.get("RANK", "0") == "0"
    with contextlib.nullcontext() if main_process else contextlib.redirect_stdout(io.StringIO()):
        return over_seeds("test accuracy", options, accuracy)


if __name__ == "__main__":
    main()
