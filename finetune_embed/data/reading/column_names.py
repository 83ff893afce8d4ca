"""The names of the columns of a data set, which must differ."""

from __future__ import annotations

import os
from collections.abc import Sequence

from ...errors import DataError

__all__ = ["refuse_duplicates"]


def refuse_duplicates(names: Sequence[str], where: str | os.PathLike[str]) -> None:
    """Check that no two columns have the same name; columns without one don't count.

    Raises:
        DataError: two have.
    """
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice is not None:
        raise DataError(
            f"two columns have the name {twice!r}",
            where=where,
            value=twice,
            remedy="give each column a name of its own",
        )
