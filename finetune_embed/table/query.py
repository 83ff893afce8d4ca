"""A query for similar words: words and vectors, added and subtracted."""

from __future__ import annotations

import numbers
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from string import ascii_lowercase
from typing import Any

import numpy as np

from ..errors import Either, VocabularyError, printable
from .lazy_rows import Vectors

__all__ = ["missing_word", "query_items", "query_vector"]

NEAR = 3  # words that an error suggests
FEWEST, MOST = 4, 40  # letters of a word that may be misspelt


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


def missing_word(
    word: str, where: str, words: Iterable[str], has: Callable[[str], bool]
) -> VocabularyError:
    """Return the error for a word that a table lacks, with near words that it has.

    Args:
        word: the word.
        where: the table, for the message.
        words: the words of the table.
        has: whether the table has a word.
    """
    near = [form for form in _forms(word) if has(form)]
    if len(near) < NEAR:
        near += [one for one in _misspelt(word, words, has) if one not in near]
    near = near or list(islice(_tagged(word, words), NEAR))
    shown = " or ".join(f"'{printable(one)}'" for one in near[:NEAR])
    use = f"use {shown}, which it has, or " if near else ""
    give = f"give {shown}, which it has" if near else "give a word of the file"
    return VocabularyError(
        f"'{printable(word)}' is not in {where}",
        value=word,
        remedy=Either(
            f"{use}leave out such words: [word for word in words if word in table]", give
        ),
    )


def _forms(word: str) -> list[str]:
    """Return other forms of a word, the most likely first."""
    plain = unicodedata.normalize("NFC", word.strip())
    lower = plain.lower()
    bare = "".join(c for c in unicodedata.normalize("NFKD", lower) if not unicodedata.combining(c))
    forms = [plain, lower, plain.capitalize(), plain.upper(), plain.title(), bare]
    for one in (plain, lower):
        forms += [re.sub(r"[\s_-]+", mark, one) for mark in ("_", "-", " ", "")]
    forms += [f"/c/en/{re.sub(r'[ -]+', '_', lower)}", f"\u2581{plain}", f"\u2581{lower}"]
    return [form for form in dict.fromkeys(forms) if form not in ("", word)]


def _misspelt(word: str, words: Iterable[str], has: Callable[[str], bool]) -> list[str]:
    """Return the words that are one mistyped, missing, extra or swapped letter away, as in a table.

    The table's order is usually that of frequency.
    """
    near: set[str] = set()
    for one in dict.fromkeys((word.strip(), word.strip().lower())):
        if not FEWEST <= len(one) <= MOST:
            return []
        letters = sorted({*ascii_lowercase, *one})
        parts = [(one[:at], one[at:]) for at in range(len(one) + 1)]
        near |= {a + b[1:] for a, b in parts if b}
        near |= {a + b[1] + b[0] + b[2:] for a, b in parts if len(b) > 1}
        near |= {a + letter + b[1:] for a, b in parts if b for letter in letters}
        near |= {a + letter + b for a, b in parts for letter in letters}
    found = {one for one in near - {word} if has(one)}
    return [*filter(found.__contains__, words)] if found else []


def _tagged(word: str, words: Iterable[str]) -> Iterator[str]:
    """Yield words that are a word with a tag or a prefix, such as `dog_NN` or `/c/en/dog`."""
    lower = word.strip().lower()
    marks = ("_", "|", "/", "::", "#")
    starts = tuple(f"{lower}{mark}" for mark in marks)
    ends = tuple(f"{mark}{lower}" for mark in ("/", ":"))
    for one in words:
        low = one.lower()
        if lower and (low.startswith(starts) or low.endswith(ends)):
            yield one
