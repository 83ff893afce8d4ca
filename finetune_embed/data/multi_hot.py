"""Lists with a 0 or 1 for each possible label, where lists of labels are expected."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from ..errors import DataError, Either

__all__ = ["check_not_multi_hot"]


def check_not_multi_hot(lists: Sequence[Sequence[Any]], column: str, where: str) -> None:
    """Check that lists hold the labels of a text, not a 0 or 1 for each possible label.

    Raises:
        DataError: all lists have the same length, two or more, and hold only 0 and 1: read as
            labels, some would be there twice, or every text would have both.
    """
    size = len(lists[0]) if lists else 0
    if size < 2 or any(len(labels) != size for labels in lists):
        return
    if not all(label in (0, 1) for label in chain.from_iterable(lists)):
        return
    if all(sum(labels) == 1 for labels in lists):
        raise DataError(
            f"each list in {column!r} is a 1 among {size - 1} 0: it marks one of {size} labels",
            where=where,
            value=list(lists[0]),
            remedy=(
                "write that label instead",
                Either(
                    f": dataset.map(lambda example: {{{column!r}: "
                    f"list(example[{column!r}]).index(1)}})",
                    f", such as {{{column!r}: 'sport'}}",
                ),
            ),
        )
    raise DataError(
        f"the lists in {column!r} look like a 0 or 1 for each of {size} labels",
        where=where,
        value=list(lists[0]),
        remedy=(
            "write the labels of each text instead",
            Either(
                f": dataset.map(lambda example: {{{column!r}: [name for name, is_set in "
                f"zip(names, example[{column!r}]) if is_set]}})",
                f", such as {{{column!r}: ['sport', 'news']}}",
            ),
        ),
    )
