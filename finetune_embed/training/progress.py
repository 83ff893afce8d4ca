"""A progress bar that is shown only when asked for."""

from __future__ import annotations

from types import TracebackType
from typing import Any

__all__ = ["CountBar", "ProgressBar"]


class ProgressBar:
    """Shows steps and epochs on the terminal; a silent one does nothing.

    Args:
        shown: whether anything is shown.
        epochs: epochs of the run.
        steps: steps in an epoch, None where nobody knows.
        done: epochs that are done already.
    """

    def __init__(self, shown: bool, epochs: int, steps: int | None, done: int = 0) -> None:
        self._bar: Any = None
        if shown:
            self._bar = _rich_bar()
            self._task = self._bar.add_task(
                f"epoch {done}/{epochs}",
                total=None if steps is None else epochs * steps,
                completed=done * (steps or 0),
                told="",
            )
        self._epochs = epochs
        self._steps = steps

    def __enter__(self) -> ProgressBar:
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
        """Count one step."""
        if self._bar is not None:
            self._bar.advance(self._task)

    def epoch(self, record: dict[str, Any], metric: str) -> None:
        """Show the record of a finished epoch."""
        if self._bar is not None:
            done = record["epoch"] + 1
            told = (
                f"loss {record['train_loss']:.4f}, "
                f"validation {metric.replace('_', ' ')} {record[f'validation_{metric}']:.1%}"
            )
            self._bar.update(
                self._task,
                description=f"epoch {done}/{self._epochs}",
                told=told,
                **({} if self._steps is None else {"completed": done * self._steps}),
            )

    def finish(self) -> None:
        """Fill the bar: the run has stopped early."""
        if self._bar is not None and self._steps is not None:
            self._bar.update(self._task, completed=self._epochs * self._steps)


class CountBar:
    """Shows how many of so many things are done; a silent one does nothing.

    Args:
        shown: whether anything is shown.
        total: how many there are, at the most.
    """

    def __init__(self, shown: bool, total: int) -> None:
        self._bar: Any = _rich_bar() if shown else None
        self._total = total
        if self._bar is not None:
            self._task = self._bar.add_task("", total=total, told="")

    def __enter__(self) -> CountBar:
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

    def begin(self, told: str) -> None:
        """Show what is being done."""
        if self._bar is not None:
            self._bar.update(self._task, told=told)

    def advance(self) -> None:
        """Count one."""
        if self._bar is not None:
            self._bar.advance(self._task)

    def skip(self, count: int) -> None:
        """Take some from the total that turned out not to be needed."""
        self._total -= count
        if self._bar is not None:
            self._bar.update(self._task, total=self._total)


def _rich_bar() -> Any:
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
        TextColumn("{task.fields[told]}"),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=False)
