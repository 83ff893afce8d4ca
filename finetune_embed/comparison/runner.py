"""The runs of a comparison, and what is measured in each."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..errors import DivergenceError
from ..evaluation import neighbour_overlap
from ..strategies import Strategy
from ..training.run.run import Run
from .inputs import Inputs
from .trials import Trial

__all__ = ["Runner"]

#: Neighbours are compared for so many frequent words, among so many; so many of each.
WORDS, AMONG, NEIGHBOURS = 1_000, 20_000, 10


class Runner:
    """Makes the runs of a comparison, and measures what is not part of a run."""

    def __init__(self, strategies: Mapping[str, Strategy], inputs: Inputs) -> None:
        self._strategies, self._inputs = strategies, inputs

    def run(self, strategy: str, lr: float, seed: int) -> Trial:
        """Make a run and return its figures."""
        engine = self._inputs.engine
        changes = {"strategy": self._strategies[strategy], "lr": lr, "seed": seed}
        try:
            run = engine.run(changes, engine.splits(seed))
        except DivergenceError:
            return Trial(strategy, lr, seed, diverged=True)
        metric, metrics = run.task.metric, run.metrics
        assert run.outcomes is not None
        above, below = run.outcomes.T.tolist()
        return Trial(
            strategy,
            lr,
            seed,
            metric=metric,
            validation=metrics["validation"][metric],
            test=metrics["test"][metric],
            best_epoch=metrics["best_epoch"],
            seconds=metrics["seconds"],
            rows_moved=metrics["drift"]["rows_moved"],
            median_movement=metrics["drift"]["median_movement"],
            neighbour_overlap=self._overlap(run),
            word_pairs=self._inputs.correlations(run.table),
            outcomes=(above, below),
        )

    def _overlap(self, run: Run) -> float:
        if not run.metrics["drift"]["rows_moved"]:
            return 1.0
        order = np.argsort(-run.vocab.counts, kind="stable")
        words = [run.vocab.index_to_key[i] for i in order[:AMONG] if i >= run.vocab.first_word]
        return neighbour_overlap(
            self._inputs.engine.table, run.table, words[:WORDS], among=words, topn=NEIGHBOURS
        )
