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
from ..errors import DataError, FinetuneEmbedError
from ..formats import load_vectors
from ..table import EmbeddingTable
from ..training.finetune import open_vectors
from ..training.run.load import load
from ..training.run.run import Run
from ..training.run.stored import reading
from ..training.settings import Settings

__all__ = ["Given", "Source", "base_of", "given", "reading_of"]

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
    """

    name: str
    run: Run | None = None
    search: Mapping[str, Any] | None = None
    comparison: Mapping[str, Any] | None = None
    settings: Mapping[str, Any] | None = None
    path: Path | None = None


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
    return Given(name, run, search, path=folder / REPORT)


def base_of(run: Run, base: Any) -> tuple[EmbeddingTable | None, str]:
    """Return the table that a run was tuned from, or why it is not known.

    Args:
        run: the run.
        base: the table, or its file, if the caller gives it; else the one that the run remembers
            is used, or the file that it names, if that is there and has the same SHA-256.
    """
    table, why = _found(run, base)
    if table is not None and table.vector_size != run.table.vector_size:
        sizes = f"{table.vector_size} dimensions, and those of the run {run.table.vector_size}"
        return None, f"the vectors that it was tuned from have {sizes}"
    return table, why


def _found(run: Run, base: Any) -> tuple[EmbeddingTable | None, str]:
    if base is not None:
        return base if isinstance(base, EmbeddingTable) else load_vectors(base), ""
    if run.drift is not None:
        return run.drift.base, ""
    source, wanted = str(run.settings["vectors"]), run.record.get("source_sha256")
    if not wanted or not os.path.exists(source):
        return None, "the vectors that it was tuned from are not where they were"
    options = {name: run.settings[name] for name in ("limit", "vector_size", "member")}
    try:
        table, found = open_vectors(source, Settings(**options))
    except (FinetuneEmbedError, OSError) as error:
        return None, f"the vectors that it was tuned from cannot be read ({error})"
    if found.get("source_sha256") != wanted:
        return None, "where the vectors were that it was tuned from there are others now"
    return table, ""


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
