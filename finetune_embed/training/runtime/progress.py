"""Progress bars, shown only on request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self

from ..tasks import score_text

__all__ = ["BudgetBar", "CountBar", "ProgressBar"]


def _columns() -> Sequence[Any]:
    """Return the columns: the bar gets the room that is left, and only the note is cut."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        ProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.table import Column
    from rich.text import Text

    class Note(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(task.fields["note"], no_wrap=True, overflow="ellipsis")

    return (
        TextColumn("{task.description}"),
        BarColumn(None, table_column=Column(ratio=1)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        Note(),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
    )


def _by_clock(clock: Callable[[], float]) -> Any:
    """Return a kind of progress whose bars follow a clock."""
    from rich.progress import Progress

    class ByClock(Progress):
        def get_renderables(self) -> Iterable[Any]:
            for task in self.tasks:
                task.completed = min(clock(), task.total or 0)
            yield from super().get_renderables()

    return ByClock


class _Bar:
    """A bar with a title and a note; one that is not shown does nothing."""

    def __init__(
        self,
        shown: bool,
        title: str,
        total: int | None,
        completed: int = 0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._bar: Any = None
        if shown:
            from rich.console import Console
            from rich.progress import Progress

            kind = Progress if clock is None else _by_clock(clock)
            self._bar = kind(*_columns(), console=Console(stderr=True), expand=True)
            self._task = self._bar.add_task(title, total=total, completed=completed, note="")

    @property
    def is_shown(self) -> bool:
        """Whether the bar is shown."""
        return self._bar is not None

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
        scored: what the scores are of, where that is not the whole model.
    """

    def __init__(
        self,
        shown: bool,
        epochs: int,
        steps: int | None,
        epoch: int = 0,
        step: int = 0,
        scored: str = "",
    ) -> None:
        super().__init__(shown, f"epoch {epoch}/{epochs}", steps, step)
        self._epochs, self._scored = epochs, scored

    def epoch(self, record: dict[str, Any], metric: str) -> None:
        """Show the record of a finished epoch."""
        if self._bar is not None:
            score = score_text(metric, record[f"validation_{metric}"], 1)
            note = f"validation {metric.replace('_', ' ')} {score}{self._scored}, "
            note += f"loss {record['train_loss']:.4f}"
            description = f"epoch {record['epoch'] + 1}/{self._epochs}"
            completed = record["step"]
            self._bar.update(self._task, description=description, note=note, completed=completed)

    def finish(self, steps: int) -> None:
        """Show that a run is over after a number of steps, perhaps early."""
        if self._bar is not None:
            self._bar.update(self._task, total=steps, completed=steps)


class CountBar(_Bar):
    """Shows how many runs of a comparison, or steps of a report, are done.

    Args:
        shown: whether the bar is shown.
        total: the number of them at most.
    """

    def __init__(self, shown: bool, total: int) -> None:
        super().__init__(shown, "", total)

    def begin(self, note: str) -> None:
        """Show a note about the current run."""
        if self._bar is not None:
            self._bar.update(self._task, note=note)

    def add(self, count: int) -> None:
        """Add to the total; a negative number takes what is not needed from it."""
        if self._bar is not None:
            self._bar.update(self._task, total=self._bar.tasks[self._task].total + count)


class BudgetBar(_Bar):
    """Shows how many seconds of a budget are used.

    Args:
        shown: whether the bar is shown.
        seconds: the budget.
        used: returns the seconds that are used.
    """

    def __init__(self, shown: bool, seconds: float, used: Callable[[], float]) -> None:
        super().__init__(shown, "seconds", max(1, round(seconds)), clock=used)

    def begin(self, note: str) -> None:
        """Show a note about the current run."""
        if self._bar is not None:
            self._bar.update(self._task, note=note)
