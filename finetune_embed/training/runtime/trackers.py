"""TensorBoard and the other trackers of Hugging Face Accelerate."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import DataError, Option, missing_extra, optional_packages
from ..run.file_names import TRACKERS

__all__ = ["Trackers"]


class Trackers:
    """Reports the figures of a run to trackers while it trains.

    Args:
        names: trackers that Accelerate supports, such as `tensorboard` or `wandb`.
        folder: the folder of the run; trackers write files to its folder `trackers`.
        settings: the settings of the run, reported once.

    Raises:
        DataError: a tracker is not known or not installed, or needs a folder and there is none.
        MissingPackageError: Accelerate or TensorBoard is not installed.
    """

    def __init__(
        self, names: Sequence[str], folder: Path | None, settings: Mapping[str, Any]
    ) -> None:
        self._trackers: list[Any] = []
        if not names:
            return
        with optional_packages("accelerate", extra="trackers"):
            from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

        known = {str(name): kind for name, kind in LOGGER_TYPE_TO_CLASS.items()}
        available = {str(name) for name in get_available_trackers()}
        plain = {name: _plain(value) for name, value in settings.items()}
        for name in names:
            if name == "tensorboard" and name not in available:
                raise missing_extra(name, "trackers")
            if name not in known or name not in available:
                there = ", ".join(sorted(available & known.keys())) or "none"
                why = "is not installed" if name in known else "is not known"
                raise DataError(
                    f"the tracker {name!r} {why}",
                    value=name,
                    remedy=("pass ", Option("trackers", ...), f" of these: {there}"),
                )
            options: dict[str, Any] = {}
            if known[name].requires_logging_directory:
                if folder is None:
                    raise DataError(
                        f"the tracker {name!r} writes files",
                        value=name,
                        remedy=("pass ", Option("output_dir", ...)),
                    )
                options["logging_dir"] = folder / TRACKERS
                if os.path.islink(folder / TRACKERS):
                    raise DataError(
                        "is a link, and a run writes to no other folder",
                        where=folder / TRACKERS,
                        remedy="remove it",
                    )
            tracker = known[name]("finetune_embed", **options)
            if hasattr(tracker, "start"):
                tracker.start()
            tracker.store_init_configuration(plain)
            self._trackers.append(tracker)

    def __bool__(self) -> bool:
        return bool(self._trackers)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Report the figures after a step; those in a mapping as `name/figure`."""
        flat = {}
        for name, value in values.items():
            if isinstance(value, Mapping):
                flat.update({f"{name}/{part}": one for part, one in value.items()})
            else:
                flat[name] = value
        for tracker in self._trackers:
            tracker.log(flat, step=step)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Finish the trackers, which write what they still hold."""
        for tracker in self._trackers:
            tracker.finish()


def _plain(value: Any) -> Any:
    """Return a setting as trackers accept it: a number, a string or a bool."""
    return value if isinstance(value, (str, int, float, bool)) else json.dumps(value)
