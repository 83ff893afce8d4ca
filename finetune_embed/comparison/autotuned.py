"""`Autotuned`: what a search has found, and what it tried."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import DataError, Option
from ..evaluation.grid import Grid
from ..training.run.evaluation import FEW
from ..training.run.file_names import METRICS
from ..training.run.load import load
from ..training.run.record import check_same
from ..training.run.run import Run
from ..training.run.stored import reading
from ..training.run.text_files import write_text_file
from ..training.tasks import score_text
from .members import Beside

__all__ = ["Autotuned", "Tried"]

REPORT = "autotune.json"

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Tried:
    """What came of some settings.

    Attributes:
        settings: what `finetune` is given for it, besides the settings that were given.
        score: the score on validation; None if the run diverged.
        loss: the loss on validation, which chooses.
        seconds: the time of the run.
        is_chosen: whether its model is one of those that were chosen.
        metric: the name of the score.
        changed: the names of those of `settings` that differ from what a first run chooses.
    """

    settings: Settings
    score: float | None
    loss: float | None
    seconds: float
    is_chosen: bool
    metric: str = ""
    changed: tuple[str, ...] = ()

    def cells(self) -> list[str]:
        """Return its row of the printed table."""
        shown = ", ".join(f"{name}={self.settings[name]}" for name in self.changed)
        score = "diverged" if self.score is None else score_text(self.metric, self.score)
        loss = "" if self.loss is None else f"{self.loss:.4f}"
        mark = "*" if self.is_chosen else " "
        return [f"{mark} {score:>8}", loss, f"{self.seconds:.1f}", shown or "a first run"]

    def __str__(self) -> str:
        return "  ".join(self.cells())


@dataclass(frozen=True)
class Autotuned:
    """The run with the best settings, and what was tried. Prints as a table.

    Attributes:
        run: the run; an ensemble of several models where that was better.
        settings: for each of its models, what `finetune` is given for it; see `Tried`.
        tried: all settings that were tried, in order.
        beside: what the run scores on test, and beside it a first run, the same with a frozen table
            and the words alone.
        metric: the name of the score.
        folds: the number of validation splits that settings were judged on.

    Example:
        >>> best = fe.autotune("glove.6B.50d.txt", "reviews", budget="60s")  # doctest: +SKIP
        >>> best.metric, best.run.labels  # doctest: +SKIP
        ('accuracy', ['negative', 'positive'])
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
            tried = tuple(
                Tried(**{**one, "changed": tuple(one["changed"])}) for one in found["tried"]
            )
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

    def lines(self) -> list[str | Grid]:
        """Return the lines and tables of the printed result."""
        name, texts = self.metric.replace("_", " "), self.run.metrics["texts"]
        where = f"{texts['validation']:,} validation text{'s' * (texts['validation'] != 1)}"
        if self.folds > 1:
            where = f"{self.folds} validation splits, since one has only {where}"
        split = self.beside[0].split
        narrow = " (with so few texts, those of differences are too narrow)"
        heads = [f"  {name[:8]:>8}", "loss", "seconds", "what is not as in a first run"]
        return [
            f"{len(self.tried)} tried, each judged on {where}",
            "chosen, and marked *: those that together have the least validation loss",
            "",
            Grid(heads, [one.cells() for one in self.tried], (0, 3), widths=(10, 7, 7, 0)),
            "",
            f"{name} on the {texts[split]:,} {split} texts, with 95 % intervals"
            f"{narrow if texts[split] < FEW else ''}",
            *(one.text(self.metric) for one in self.beside),
            "",
            str(self.run),
        ]

    def __str__(self) -> str:
        return "\n".join(map(str, self.lines()))


def _another_run(folder: Path) -> DataError:
    return DataError(
        "the folder holds a run, and no search that made it",
        where=folder,
        remedy=("choose another ", Option("output_dir"), ", or ", Option("overwrite", True)),
    )
