"""TensorBoard, and whatever else Hugging Face Accelerate can report to."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from ...errors import DataError, missing_extra

__all__ = ["Trackers"]


class Trackers:
    """Where the figures of a run are reported to while it goes on.

    Args:
        names: of trackers that Accelerate knows, such as `tensorboard` or `wandb`.
        folder: the run's; those that write files do so in its folder `trackers`.
        settings: of the run, told once.

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
        try:
            from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
        except ImportError as error:
            raise missing_extra("accelerate", "trackers") from error

        known = {str(name): kind for name, kind in LOGGER_TYPE_TO_CLASS.items()}
        available = {str(name) for name in get_available_trackers()}
        told = {name: _plain(value) for name, value in settings.items()}
        for name in names:
            if name == "tensorboard" and name not in available:
                raise missing_extra(name, "trackers")
            if name not in known or name not in available:
                there = ", ".join(sorted(available & known.keys())) or "none"
                why = "is not installed" if name in known else "is not known"
                raise DataError(f"the tracker {name!r} {why}; there are here: {there}")
            options: dict[str, Any] = {}
            if known[name].requires_logging_directory:
                if folder is None:
                    raise DataError(
                        f"the tracker {name!r} writes files; pass output_dir=... with it"
                    )
                options["logging_dir"] = folder / "trackers"
            tracker = known[name]("finetune_embed", **options)
            if hasattr(tracker, "start"):
                tracker.start()
            tracker.store_init_configuration(told)
            self._trackers.append(tracker)

    def __bool__(self) -> bool:
        return bool(self._trackers)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Report figures as they are after a step."""
        for tracker in self._trackers:
            tracker.log(dict(values), step=step)

    def __enter__(self) -> Trackers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the trackers write what they still hold."""
        for tracker in self._trackers:
            tracker.finish()


def _plain(value: Any) -> Any:
    """Return a setting as trackers take it: a number, a text or a truth value."""
    return value if isinstance(value, (str, int, float, bool)) else json.dumps(value)
