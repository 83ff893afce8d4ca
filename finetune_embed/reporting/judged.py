"""A run on labelled texts: what it makes of them, found once for all sections."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from ..errors import DataError, shell_word
from ..training.run.evaluation import Evaluation
from ..training.run.file_names import CONFIG
from ..training.run.labelled import Labelled
from ..training.run.run import Evidence, Run

__all__ = ["Judged", "Tested", "check_comparable", "how_to_compare"]


@dataclass(frozen=True, eq=False)
class Judged:
    """A run on labelled texts.

    Attributes:
        run: the run.
        data: the texts.
    """

    run: Run
    data: Labelled

    @cached_property
    def outputs(self) -> Evidence:
        """The logits `(units, C)`, the number of tokens of each text, and the logits of parts."""
        return self.run.evidence(self.data.texts)

    @cached_property
    def evaluation(self) -> Evaluation:
        """The scores on the texts."""
        return self.run.evaluate_labelled(self.data, self.outputs)

    @cached_property
    def targets(self) -> torch.Tensor:
        """The targets of all units."""
        return self.data.targets(self.outputs[1])

    @cached_property
    def chances(self) -> torch.Tensor:
        """The probability of each label for each unit, `(units, C)`."""
        return self.run.task.probabilities(self.outputs[0])

    @property
    def outcomes(self) -> npt.NDArray[np.float64] | None:
        """What each text adds to the score; None for scores that are no such sums."""
        return self.run.task.outcomes(self.outputs[0], self.targets, self.outputs[1])


@dataclass(frozen=True, eq=False)
class Tested:
    """What there is to test a run on.

    Attributes:
        data: the run on labelled texts that the caller gave; None without any.
        other: a run to compare it with; None without one.
        name: what to call that.
        how_to_compare: how to get what takes a second run, one with a frozen table.
    """

    data: Judged | None = None
    other: Run | None = None
    name: str = ""
    how_to_compare: str = ""

    @cached_property
    def other_data(self) -> Judged | None:
        """The other run on the same texts."""
        if self.data is None or self.other is None:
            return None
        return Judged(self.other, self.data.data)


def check_comparable(run: Run, other: Run) -> None:
    """Check that two runs can be compared text by text.

    Raises:
        DataError: they have other labels, or another score.
    """
    ours, its = ([*map(str, one.labels), one.task.metric] for one in (run, other))
    if ours != its:
        raise DataError(
            "the run to compare with has other labels or another score",
            option="against",
            remedy="compare runs on the same data",
        )


def how_to_compare(run: Run, folder: Path | None) -> str:
    """Return how to get a second run to compare a run with, one with a frozen table.

    That is a command where one can repeat the run: its vectors and data are files or folders that
    are there, and no setting is an object of Python, which is written as `<its name>`.

    Args:
        run: the run.
        folder: its folder; None where it has none.
    """
    settings = run.settings
    inputs_exist = all(os.path.exists(str(settings[name])) for name in ("vectors", "data"))
    has_objects = any(isinstance(one, str) and one.startswith("<") for one in settings.values())
    if folder is None or has_objects or not inputs_exist:
        return 'run finetune again with strategy="Freeze", and pass that run with against='
    config = shell_word(str(folder / CONFIG))
    return (
        f"finetune-embed train --config {config} --strategy Freeze -o frozen, then report with "
        "--against frozen"
    )
