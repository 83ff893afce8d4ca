"""The bound on the memory that a file may take for its size, of every kind and entrance."""

from __future__ import annotations

import os

from ..errors import FinetuneEmbedError, VectorFileError

__all__ = ["refuse_bomb"]

#: A file may take this many times its bytes. Text of vectors compresses about 2.3 to 1, tables of
#: labels 20 to 1, so only bombs exceed this.
MOST = 200
FLOOR = 1 << 26  # below 64 MB nothing is a bomb


def refuse_bomb(
    packed: int,
    expanded: int,
    where: str | os.PathLike[str],
    error: type[FinetuneEmbedError] = VectorFileError,
) -> None:
    """Refuse data that takes too much memory for its size.

    Args:
        packed: the bytes that the data takes in the file.
        expanded: the bytes that it takes in memory, or a part of it that is known to.
        where: the file, for the message.
        error: what is raised.
    """
    if expanded > max(MOST * packed, FLOOR):
        raise error(
            f"{packed:,} bytes expand to {expanded:,} or more, over {MOST} to 1",
            where=where,
            remedy="if you trust it, unpack it, or read it with the library that wrote it",
        )
