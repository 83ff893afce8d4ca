"""`Autotuned`: what a search has found, and what it tried."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, Option
from ..training.run.file_names import METRICS
from ..training.run.load import load
from ..training.run.record import check_same
from ..training.run.run import Run, write_text_file
from ..training.run.stored import reading
from ..training.tasks import score_text
from .members import Beside

__all__ = ["Autotuned", "Tried"]

REPORT = "autotune.json"

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Tried:
    """What came of some settings.

    Attributes:
        settings: the settings that differ from those of a first run.
        score: the score on validation; None if the run diverged.
        loss: the loss on validation, which chooses.
        seconds: the time of the run.
        is_chosen: whether its model is one of those that were chosen.
        metric: the name of the score.
    """

    settings: Settings
    score: float | None
    loss: float | None
    seconds: float
    is_chosen: bool
    metric: str = ""

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value}" for name, value in self.settings.items())
        if self.score is None:
            return f"diverged{'':>18}{self.seconds:7.1f} s    {shown}"
        mark = "+" if self.is_chosen else " "
        scores = f"{score_text(self.metric, self.score):>7}  loss {self.loss:7.4f}"
        return f"{scores}{self.seconds:8.1f} s  {mark} {shown or 'as a first run'}"


@dataclass(frozen=True)
class Autotuned:
    """The run with the best settings, and what was tried. Prints as a table.

    Attributes:
        run: the run; an ensemble of several models where that was better.
        settings: for each of its models, the settings that differ from those of a first run.
        tried: all settings that were tried, in order.
        beside: what the run scores on test, and beside it a first run, the same with a frozen table
            and the words alone.
        metric: the name of the score.
        folds: the number of validation splits that settings were judged on.
    """

    run: Run
    settings: tuple[Settings, ...]
    tried: tuple[Tried, ...]
    beside: tuple[Beside, ...]
    metric: str
    folds: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain values."""
        return {
            "settings": [dict(one) for one in self.settings],
            "metric": self.metric,
            "folds": self.folds,
            "tried": [{**vars(one), "settings": dict(one.settings)} for one in self.tried],
            "beside": [asdict(one) for one in self.beside],
            "metrics": dict(self.run.metrics),
        }

    @classmethod
    def read(cls, folder: Path, given: Settings, head: Any) -> Autotuned | None:
        """Return the result that a folder holds; None if it holds none.

        Args:
            folder: the folder.
            given: the settings of the search and the names of its inputs, as plain values.
            head: the head that was given, if it was an object.

        Raises:
            DataError: the search had other settings, the run is not that of a search, or a file is
                damaged.
        """
        if not (folder / METRICS).is_file():
            return None
        run = load(folder, head)
        if not (folder / REPORT).is_file():
            raise _another_run(folder)
        with reading(folder / REPORT):
            found = json.loads((folder / REPORT).read_bytes())
            tried = tuple(Tried(**one) for one in found["tried"])
            rivals = tuple(map(Beside.read, found["beside"]))
            settings, before = tuple(found["settings"]), dict(found["given"])
            metric, folds = str(found["metric"]), int(found["folds"])
            scores = found["metrics"]
        if scores != run.metrics:
            raise _another_run(folder)
        check_same(folder, before, given)
        return cls(run, settings, tried, rivals, metric, folds)

    def write(self, folder: Path, given: Settings) -> None:
        """Write the run and `autotune.json` to a folder that the caller has locked."""
        self.run.write(folder)
        report = json.dumps({**self.to_dict(), "given": dict(given)}, indent=2)
        write_text_file(folder / REPORT, report)

    def __str__(self) -> str:
        name = self.metric.replace("_", " ")
        where = "validation" if self.folds == 1 else f"{self.folds} validation splits"
        tried = [f"{name} on {where}; + is chosen", *map(str, self.tried)]
        split = self.beside[0].split
        scores = [f"{name} on {split}, with 95 % intervals over its texts"]
        scores += [one.text(self.metric) for one in self.beside]
        return "\n".join([*tried, "", *scores, "", str(self.run)])


def _another_run(folder: Path) -> DataError:
    return DataError(
        "the folder holds a run, and no search that made it",
        where=folder,
        remedy=("choose another ", Option("output_dir"), ", or ", Option("overwrite", True)),
    )
