"""What a function takes that writes or changes a table or a run: either, or the path of one."""

from __future__ import annotations

import os

from ...errors import DataError
from ...files import PathOrFile
from ...formats import load_vectors
from ...formats.common.run_folder import is_run
from ...table import EmbeddingTable
from .load import load
from .run import Run

__all__ = ["Source", "opened", "opened_run"]

Source = EmbeddingTable | Run | PathOrFile


def opened(source: Source) -> EmbeddingTable | Run:
    """Return a table or a run, opened if it is given by its path.

    Args:
        source: a table; a run; the folder of a finished run, which is that run; or anything else
            that `load_vectors` takes, which is a table.

    Raises:
        FinetuneEmbedError: it cannot be opened.
    """
    if isinstance(source, (EmbeddingTable, Run)):
        return source
    if isinstance(source, (str, os.PathLike)) and is_run(source):
        return load(source)
    return load_vectors(source)


def opened_run(source: Source) -> Run:
    """Return a run, opened if it is given by its path; see `opened`.

    Raises:
        DataError: it is not a run.
    """
    if isinstance(source, Run):
        return source
    if isinstance(source, EmbeddingTable) or not isinstance(source, (str, os.PathLike)):
        raise DataError(
            "this needs a run, with its head, and is given vectors",
            value=source,
            remedy="give a run or its folder; vectors alone are written by save_static",
        )
    return load(source)
