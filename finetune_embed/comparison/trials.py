"""The runs of a comparison, each kept as one line of a file once it is finished."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..files import errors_of_writing
from ..training.run.stored import Shape, check_shape, is_count, is_flag, is_number, is_text
from ..training.runtime.progress import CountBar

__all__ = ["Trial", "Trials"]


@dataclass(frozen=True)
class Trial:
    """The figures of one run.

    Attributes:
        strategy: the strategy in text form.
        lr: the learning rate.
        seed: the seed.
        diverged: whether the loss diverged; then nothing else is known.
        metric: the name of the score.
        validation: the validation score of the best epoch.
        test: the test score.
        best_epoch: the best epoch, counted from 0.
        seconds: the duration of the run.
        rows_moved: the number of rows that changed.
        median_movement: their median movement relative to their norm.
        neighbour_overlap: the share of nearest neighbours that frequent words kept.
        word_pairs: Spearman's correlation with human scores, by data set.
        outcomes: what each test text adds to the numerator and the denominator of the score.
        strategy_sha256: what the strategy is beyond its text form, such as the words of a lexicon.
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
    strategy_sha256: str = ""

    @property
    def parts(self) -> npt.NDArray[np.float64]:
        """The outcomes as `(texts, 2)`."""
        return np.array(self.outcomes, np.float64).T


_SHAPE: Shape = {
    **dict.fromkeys(("strategy", "metric", "strategy_sha256"), is_text),
    **dict.fromkeys(("seed", "rows_moved"), is_count),
    **dict.fromkeys(("lr", "validation", "test", "best_epoch", "seconds"), is_number),
    **dict.fromkeys(("median_movement", "neighbour_overlap"), is_number),
    "diverged": is_flag,
    "word_pairs": {str: is_number},
    "outcomes": [[is_number]],
}
Key = tuple[str, float, int, str]


class Trials:
    """Finished runs, and the file they are kept in, if any.

    A line that a killed process left unfinished is removed.

    Args:
        run: makes a run from a strategy, a learning rate and a seed.
        bar: shows each run.
        path: the file to read and append to.
        objects: what each strategy is beyond its text form, empty if the text says all.
        begin: called before the first run is kept, where the file is of a comparison that this one
            replaces.

    Raises:
        DataError: a line of the file is damaged.
    """

    def __init__(
        self,
        run: Callable[[str, float, int], Trial],
        bar: CountBar,
        path: Path | None,
        objects: Mapping[str, str] = MappingProxyType({}),
        begin: Callable[[], None] | None = None,
    ) -> None:
        self._run, self._bar, self._path, self._objects = run, bar, path, objects
        self._begin = begin
        self._known: dict[Key, Trial] = {}
        if path is not None and begin is None and path.exists():
            for trial in _read(path):
                key = (trial.strategy, trial.lr, trial.seed, trial.strategy_sha256)
                self._known[key] = trial

    @property
    def are_kept(self) -> bool:
        """Whether the file is one to continue."""
        return self._path is not None and self._begin is None

    def get(self, strategy: str, lr: float, seed: int) -> Trial:
        """Return a run; make and keep it if it is not known."""
        what = self._objects.get(strategy, "")
        key = (strategy, lr, seed, what)
        self._bar.begin(f"{strategy}, lr={lr:g}, seed={seed}")
        if key not in self._known:
            self._known[key] = replace(self._run(strategy, lr, seed), strategy_sha256=what)
            self._keep(self._known[key])
        self._bar.advance()
        return self._known[key]

    def _keep(self, trial: Trial) -> None:
        if self._path is None:
            return
        if self._begin is not None:
            self._begin()
            self._begin = None
        line = json.dumps(asdict(trial)).encode() + b"\n"
        with errors_of_writing(self._path), open(self._path, "ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _read(path: Path) -> list[Trial]:
    with errors_of_writing(path):
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(path, whole)
    trials = []
    for number, line in enumerate(data[:whole].splitlines(), 1):
        try:
            fields: dict[str, Any] = json.loads(line)
            check_shape(fields, _SHAPE)
            trials.append(Trial(**fields))
        except (ValueError, TypeError, RecursionError) as error:
            raise DataError(
                f"the line is not a run of a comparison ({error})",
                where=f"{path}:{number}",
                remedy="remove the line, and the run is made again",
            ) from error
    return trials
