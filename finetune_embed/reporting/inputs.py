"""What a report is of: a run, a comparison or a search, in memory or as a folder."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..comparison import Autotuned, Comparison
from ..comparison.autotuned import REPORT
from ..comparison.folder import SETTINGS
from ..comparison.report import COMPARISON
from ..errors import DataError
from ..training.run.load import load
from ..training.run.run import Run
from ..training.run.stored import reading

__all__ = ["Given", "Source", "given", "reading_of"]

Source = Run | Autotuned | Comparison | str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Given:
    """What a report is of.

    Attributes:
        name: its name, that of the folder.
        run: the run; None of a comparison.
        search: what `autotune` tried, as plain values; None of others.
        comparison: what `compare` found, as plain values; None of others.
        settings: what a comparison was started with.
        path: the file that the plain values are from.
        folder: the folder of the run, as it was given; None of a run in memory.
    """

    name: str
    run: Run | None = None
    search: Mapping[str, Any] | None = None
    comparison: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] | None = None
    path: Path | None = None
    folder: Path | None = None


def given(source: Source) -> Given:
    """Return what a report is of.

    Raises:
        DataError: the folder holds neither a run nor a comparison, or a file is damaged.
    """
    if isinstance(source, Run):
        return Given("run", source)
    if isinstance(source, Autotuned):
        return Given("search", source.run, _plain(source.to_dict()))
    if isinstance(source, Comparison):
        return Given("comparison", comparison=_plain(source.to_dict()))
    folder = Path(source)
    name = Path(os.path.abspath(folder)).name
    if (folder / COMPARISON).is_file():
        settings = _json(folder / SETTINGS) if (folder / SETTINGS).is_file() else None
        path = folder / COMPARISON
        return Given(name, comparison=_json(path), settings=settings, path=path)
    if (folder / SETTINGS).is_file():
        raise DataError(
            "the folder holds a comparison that has not finished",
            where=folder,
        )
    run = load(folder)
    search = _json(folder / REPORT) if (folder / REPORT).is_file() else None
    return Given(name, run, search, path=folder / REPORT, folder=folder)


def reading_of(found: Given) -> contextlib.AbstractContextManager[None]:
    """Turn what damaged plain values raise into an error that names their file."""
    return contextlib.nullcontext() if found.path is None else reading(found.path)


def _json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file.

    Raises:
        DataError: it is damaged.
    """
    with reading(path):
        found = json.loads(path.read_bytes())
        if not isinstance(found, dict):
            raise ValueError("it is not a mapping")
    return found


def _plain(values: Any) -> dict[str, Any]:
    """Return values as a JSON file would hold them."""
    return dict(json.loads(json.dumps(values, default=str)))
