"""Runs of a comparison, each kept as a line of a file once it is finished."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..training.runtime.progress import CountBar

__all__ = ["Trial", "Trials"]


@dataclass(frozen=True)
class Trial:
    """What one run came to.

    Attributes:
        strategy: as spelled.
        lr: the learning rate.
        seed: of everything that is random.
        diverged: whether the loss became infinite; then nothing else is known.
        metric: the name of the score.
        validation: the score there, of the best epoch.
        test: the score there.
        best_epoch: counted from 0.
        seconds: that the run took.
        rows_moved: rows of the table that changed.
        median_movement: of those, relative to their length.
        neighbour_overlap: the share of nearest neighbours that frequent words kept.
        word_pairs: Spearman's correlation with people's scores, by data set.
        outcomes: what each test text adds to the numerator of the score, and to the denominator.
    """

    strategy: str
    lr: float
    seed: int
    diverged: bool = False
    metric: str = ""
    validation: float = -1.0
    test: float = -1.0
    best_epoch: int = -1
    seconds: float = 0.0
    rows_moved: int = 0
    median_movement: float = 0.0
    neighbour_overlap: float = 1.0
    word_pairs: Mapping[str, float] = field(default_factory=dict)
    outcomes: tuple[list[float], list[float]] = ([], [])

    @property
    def parts(self) -> npt.NDArray[np.float64]:
        """The outcomes as `(texts, 2)`."""
        return np.array(self.outcomes, np.float64).T


Key = tuple[str, float, int]


class Trials:
    """Finished runs, and the file they are kept in, if any.

    A line appears whole: what a killed process has left of one is cut off.

    Args:
        run: makes a run of a strategy, a learning rate and a seed.
        bar: told of each run.
        path: the file, read and added to.

    Raises:
        DataError: a line of the file is damaged.
    """

    def __init__(
        self, run: Callable[[str, float, int], Trial], bar: CountBar, path: Path | None
    ) -> None:
        self._run, self._bar, self._path = run, bar, path
        self._known: dict[Key, Trial] = {}
        if path is not None and path.exists():
            for trial in _read(path):
                self._known[trial.strategy, trial.lr, trial.seed] = trial

    def get(self, strategy: str, lr: float, seed: int) -> Trial:
        """Return a run, making and keeping it if it is not known."""
        key = (strategy, lr, seed)
        self._bar.begin(f"{strategy}, lr={lr:g}, seed={seed}")
        if key not in self._known:
            self._known[key] = self._run(*key)
            self._keep(self._known[key])
        self._bar.advance()
        return self._known[key]

    def _keep(self, trial: Trial) -> None:
        if self._path is None:
            return
        line = json.dumps(asdict(trial)).encode() + b"\n"
        with open(self._path, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> list[Trial]:
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    trials = []
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            told: dict[str, Any] = json.loads(line)
            trials.append(Trial(**told))
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{path}:{number}: this is no run of a comparison ({error}); remove the line, and "
                "it is run again"
            ) from error
    return trials
