"""The table that a run was tuned from, found again."""

from __future__ import annotations

import os
from typing import Any

from ..errors import FinetuneEmbedError
from ..formats import load_vectors
from ..table import EmbeddingTable
from .finetune import open_vectors
from .run.run import Run
from .settings import Settings

__all__ = ["base_of"]


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
