"""The runs of `compare` and of `autotune`: one table, one data set, settings that differ."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from ..data import DataSource, Splits
from ..errors import DataError, Option, StrategyError
from ..table import EmbeddingTable
from ..training.finetune import tune_on
from ..training.keywords import settings_from
from ..training.open_inputs import (
    open_data,
    open_vectors,
    source_name,
    with_test,
    with_validation,
)
from ..training.resolve import resolve
from ..training.run.run import Run
from ..training.runtime.processes import Processes
from ..training.settings import Settings

__all__ = ["Engine", "check_settings"]


def check_settings(
    function: str, given: Mapping[str, Any], excluded: Collection[str], instead: str
) -> Settings:
    """Return the settings that `compare` or `autotune` is called with, checked.

    Args:
        function: the name of the function.
        given: the keywords.
        excluded: the settings of `finetune` that it does not have.
        instead: which settings to pass to `finetune` with one of these.

    Raises:
        StrategyError: a setting is out of range, or one that the function does not have.
        DataError: there are several processes.
    """
    for name in excluded:
        if name in given:
            raise StrategyError(
                f"{function} does not have the setting {name}",
                remedy=f"pass it to finetune, with {instead}",
            )
    settings = resolve(settings_from(function, given))
    if Processes(settings.device).count > 1:
        raise DataError(
            f"{function} runs in one process", remedy="start it without accelerate and torchrun"
        )
    return settings


@dataclass(frozen=True)
class Engine:
    """Makes runs on inputs that are opened once.

    Attributes:
        function: the function that makes the runs.
        given: the settings of all of them, as keywords of `finetune`.
        settings: the same, resolved.
        named: the names of the vectors and the data set.
        table: the table.
        source: what identifies the file that it is from.
        opened: the data set.
        data: the same with a test split, if there is one or one is held out.
        numbers: whether labels are numbers.
    """

    function: str
    given: Mapping[str, Any]
    settings: Settings
    named: Mapping[str, str]
    table: EmbeddingTable
    source: Mapping[str, str]
    opened: Splits
    data: Splits
    numbers: bool

    @classmethod
    def open(
        cls,
        function: str,
        vectors: str | os.PathLike[str] | EmbeddingTable,
        dataset: DataSource,
        given: Mapping[str, Any],
        settings: Settings,
        default_test: float | None = None,
    ) -> Engine:
        """Open the inputs.

        Args:
            function: see the attributes.
            vectors: as for `finetune`.
            dataset: as for `finetune`, held in memory.
            given: the settings of all runs.
            settings: those of the call, resolved.
            default_test: the share of training examples held out for a test split where there is
                none, and the settings name no share.

        Raises:
            FinetuneEmbedError: something cannot be read.
        """
        opened, numbers = open_data(dataset, settings)
        if opened.streamed:
            raise DataError(
                f"{function} needs the data in memory",
                where=opened.name,
                remedy=("load it without ", Option("streaming", True)),
            )
        share = default_test if settings.test is None else settings.test
        data = with_test(opened, numbers, settings, share)
        table, source = open_vectors(vectors, settings)
        named = {"vectors": source_name(vectors), "data": source_name(dataset)}
        return cls(function, given, settings, named, table, source, opened, data, numbers)

    def splits(self, seed: int) -> Splits:
        """Return the data with a validation split, that of a seed where it has none."""
        return with_validation(self.opened, self.data, self.numbers, self.settings, seed)

    def run(self, changes: Mapping[str, Any], splits: Splits) -> Run:
        """Make a run.

        Args:
            changes: its settings beside those of all runs.
            splits: its data.

        Raises:
            DivergenceError: the loss diverged.
        """
        settings = resolve(settings_from(self.function, {**self.given, **changes}))
        return tune_on(self.table, self.source, splits, settings, self.named)
