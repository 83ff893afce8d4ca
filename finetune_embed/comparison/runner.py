"""The runs of a comparison, and what is measured of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..data import Splits
from ..errors import DivergenceError
from ..evaluation import evaluate_word_pairs, neighbour_overlap
from ..evaluation.word_pairs import Pair
from ..strategies import Strategy
from ..table import EmbeddingTable
from ..training.finetune import finetune
from ..training.run.run import Run
from .trials import Trial

__all__ = ["Runner"]

WORDS, AMONG, NEIGHBOURS = 1_000, 20_000, 10  # frequent words, among how many, how many of each


class Runner:
    """Makes the runs of a comparison, and measures what is not part of a run."""

    def __init__(
        self,
        strategies: Mapping[str, Strategy],
        base: EmbeddingTable,
        splits: Splits,
        settings: Mapping[str, Any],
        pairs: Mapping[str, Sequence[Pair]],
    ) -> None:
        self._strategies = strategies
        self._base, self._splits, self._settings, self._pairs = base, splits, settings, pairs

    def run(self, strategy: str, lr: float, seed: int) -> Trial:
        """Return what a run comes to."""
        try:
            run = finetune(
                self._base,
                self._splits,
                strategy=self._strategies[strategy],
                lr=lr,
                seed=seed,
                **self._settings,
            )
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
            word_pairs={
                name: evaluate_word_pairs(run.table, pairs).spearman
                for name, pairs in self._pairs.items()
            },
            outcomes=(above, below),
        )

    def _overlap(self, run: Run) -> float:
        if not run.metrics["drift"]["rows_moved"]:
            return 1.0
        order = np.argsort(-run.vocab.counts, kind="stable")
        words = [run.vocab.index_to_key[i] for i in order[:AMONG] if i >= run.vocab.first_word]
        return neighbour_overlap(self._base, run.table, words[:WORDS], among=words, topn=NEIGHBOURS)
