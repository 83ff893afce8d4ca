"""A query for similar words: words and vectors, added and subtracted."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import VocabularyError
from .patched_rows import Vectors

__all__ = ["query_items", "query_vector"]


def query_items(query: Any) -> list[Any]:
    """Return the words and vectors of a query, given as one item or a list."""
    if isinstance(query, str):
        return [query]
    if isinstance(query, np.ndarray) and query.ndim == 1 and query.dtype.kind not in "UO":
        return [query]
    items = list(query)
    return [query] if items and isinstance(items[0], numbers.Real) else items


def query_vector(
    positive: list[Any], negative: list[Any], size: int, vector_of: Callable[[str], Vectors]
) -> Vectors:
    """Return the sum of the positive items minus the negative ones, float32 `(size,)`.

    Args:
        positive: words and vectors to add.
        negative: words and vectors to subtract.
        size: the number of values in a vector.
        vector_of: returns the vector of a word.

    Raises:
        VocabularyError: there are no items, or a vector has the wrong shape.
    """
    if not positive and not negative:
        raise VocabularyError(
            "the query is empty",
            remedy="pass a word or a vector, such as table.most_similar('king')",
        )
    query = np.zeros(size, np.float32)
    for sign, items in ((1.0, positive), (-1.0, negative)):
        for item in items:
            vector = np.asarray(vector_of(item) if isinstance(item, str) else item, np.float32)
            if vector.shape != query.shape:
                raise VocabularyError(
                    f"a query vector has the shape {vector.shape}, but the table needs "
                    f"{query.shape}",
                    value=vector.shape,
                )
            query += sign * vector
    return query
