"""Progress bars, shown only on request."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from ..tasks import score_text

__all__ = ["CountBar", "ProgressBar"]


class _Bar:
    """A bar with a title and a note; one that is not shown does nothing."""

    def __init__(self, shown: bool, title: str, total: int | None, completed: int = 0) -> None:
        self._bar: Any = None
        if shown:
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                TextColumn,
                TimeElapsedColumn,
            )

            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[note]}"),
                TimeElapsedColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=False)
            self._task = self._bar.add_task(title, total=total, completed=completed, note="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self) -> None:
        """Count one."""
        if self._bar is not None:
            self._bar.advance(self._task)


class ProgressBar(_Bar):
    """Shows steps and epochs on the terminal.

    Args:
        shown: whether the bar is shown.
        epochs: the number of epochs.
        steps: the number of steps of the run, None if unknown.
        epoch: the number of finished epochs.
        step: the number of finished steps.
    """

    def __init__(
        self, shown: bool, epochs: int, steps: int | None, epoch: int = 0, step: int = 0
    ) -> None:
        super().__init__(shown, f"epoch {epoch}/{epochs}", steps, step)
        self._epochs = epochs

    def epoch(self, record: dict[str, Any], metric: str) -> None:
        """Show the record of a finished epoch."""
        if self._bar is not None:
            note = (
                f"loss {record['train_loss']:.4f}, "
                f"validation {metric.replace('_', ' ')} "
                f"{score_text(metric, record[f'validation_{metric}'], 1)}"
            )
            description = f"epoch {record['epoch'] + 1}/{self._epochs}"
            completed = record["step"]
            self._bar.update(self._task, description=description, note=note, completed=completed)

    def finish(self, steps: int) -> None:
        """Show that a run is over after a number of steps, perhaps early."""
        if self._bar is not None:
            self._bar.update(self._task, total=steps, completed=steps)


class CountBar(_Bar):
    """Shows how many of a number of runs are done.

    Args:
        shown: whether the bar is shown.
        total: the number of runs at most.
    """

    def __init__(self, shown: bool, total: int) -> None:
        super().__init__(shown, "", total)

    def begin(self, note: str) -> None:
        """Show a note about the current run."""
        if self._bar is not None:
            self._bar.update(self._task, note=note)

    def skip(self, count: int) -> None:
        """Take runs that are not needed from the total."""
        if self._bar is not None:
            self._bar.update(self._task, total=self._bar.tasks[self._task].total - count)
