"""The table that a run was tuned from, found again."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from ..errors import DataError, FinetuneEmbedError
from ..files import STDIN
from ..table import EmbeddingTable
from .open_inputs import open_vectors
from .run.run import Run
from .settings import Settings

__all__ = ["Base", "base_of"]

SHA256 = "source_sha256"


class Base(NamedTuple):
    """The table that a run was tuned from.

    Attributes:
        table: the table; None if it is not known.
        why: why it is not known; empty if it is.
        warning: that the caller gave another table than that of the run; empty if it is not known
            to be another.
    """

    table: EmbeddingTable | None
    why: str = ""
    warning: str = ""


def base_of(run: Run, base: Any) -> Base:
    """Return the table that a run was tuned from, or why it is not known.

    Args:
        run: the run.
        base: the table, or its file, if the caller gives it; else the one that the run remembers
            is used, or the file that it names, if that is there and has the same SHA-256.

    Raises:
        DataError: the table that the caller gives has other dimensions than the run.
        FinetuneEmbedError: its file cannot be read.
    """
    if base is not None:
        return _given(run, base)
    found = Base(run.drift.base) if run.drift is not None else _named(run)
    if found.table is not None and found.table.vector_size != run.table.vector_size:
        sizes = f"{found.table.vector_size} dimensions, and those of the run "
        sizes += str(run.table.vector_size)
        return Base(None, f"the vectors that it was tuned from have {sizes}")
    return found


def _given(run: Run, base: Any) -> Base:
    """Return a table that the caller gives."""
    if isinstance(base, EmbeddingTable):
        table, sha256 = base, base.metadata.get(SHA256)
    else:
        table, source = open_vectors(base, Settings())
        sha256 = source.get(SHA256)
    if table.vector_size != run.table.vector_size:
        raise DataError(
            f"has {table.vector_size} dimensions, and the run has {run.table.vector_size}",
            option="base",
            value=base,
        )
    wanted = run.record.get(SHA256)
    warning = ""
    if wanted and sha256 and sha256 != wanted:
        warning = "The vectors that were given as those before tuning have another SHA-256 than "
        warning += "those that the run was tuned from."
    return Base(table, "", warning)


def _named(run: Run) -> Base:
    """Return the table in the file that a run names.

    The run may be a stranger's, who can name any file: so nothing of what is in it is shown.
    """
    source, wanted = str(run.settings["vectors"]), run.record.get(SHA256)
    is_there = source != STDIN and (os.path.isfile(source) or os.path.isdir(source))
    if not wanted or not is_there:
        return Base(None, "the vectors that it was tuned from are not where they were")
    options = {name: run.settings[name] for name in ("limit", "vector_size", "member")}
    try:
        table, found = open_vectors(source, Settings(**options))
    except (FinetuneEmbedError, OSError):
        return Base(None, "the vectors that it was tuned from cannot be read")
    if found.get(SHA256) != wanted:
        return Base(None, "the file that it was tuned from has changed")
    return Base(table)
