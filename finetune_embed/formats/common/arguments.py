"""Checks of the arguments that all loaders share: `limit` and `keys`."""

from __future__ import annotations

from collections.abc import Collection

from ...errors import Either, Option, VectorFileError
from ...table import as_bytes

__all__ = ["check_limit", "read_first", "wanted_bytes", "wanted_keys"]


def read_first(rows: int) -> Either:
    """Return the remedy that reads the first rows of a damaged file."""
    return Either(
        ("read its first rows: load_vectors(path, ", Option("limit", rows), ")"),
        f"write its first rows to a file: finetune-embed convert FILE NEW_FILE --limit {rows}",
    )


def check_limit(limit: int | None) -> None:
    """Check a limit on the number of rows.

    Raises:
        VectorFileError: it is below 1.
    """
    if limit is not None and limit < 1:
        raise VectorFileError(
            "must be 1 or more",
            option="limit",
            value=limit,
            remedy=("leave ", Option("limit"), " out to read all rows"),
        )


def wanted_bytes(keys: Collection[str] | None) -> frozenset[bytes] | None:
    """Return the words to read, as bytes in a file; None for all words."""
    wanted = wanted_keys(keys)
    if wanted is None:
        return None
    return frozenset(word for key in wanted if (word := as_bytes(key)) is not None)


def wanted_keys(keys: Collection[str] | None) -> frozenset[str] | None:
    """Return the words to read as a set; None for all words.

    Raises:
        VectorFileError: `keys` is a single string, or contains anything but strings.
    """
    if keys is None:
        return None
    if isinstance(keys, str):
        raise VectorFileError(
            "is a single string",
            option="keys",
            value=keys,
            remedy=("pass a list of words: ", Option("keys", [keys])),
        )
    try:
        wanted = frozenset(keys)
    except TypeError as error:
        raise VectorFileError(
            (Option("keys"), f" is not a collection of words ({error})"),
            value=keys,
            remedy="pass a list of words, such as list(vocab.key_to_index)",
        ) from error
    odd = [key for key in wanted if not isinstance(key, str)]
    if odd:
        raise VectorFileError(
            (Option("keys"), f" contains {odd[0]!r}, which is not a string"),
            value=odd[0],
            remedy="pass a list of words",
        )
    return wanted
