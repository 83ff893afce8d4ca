"""Ids that exist already, such as those of a Hugging Face tokenizer, and counts that are none."""

from __future__ import annotations

from collections.abc import Mapping
from operator import index
from typing import Any

import numpy as np

from ..errors import Option, VocabularyError

__all__ = ["check_counts", "check_vocabulary", "row_of_token", "tokens_of_ids"]

LARGEST_GAP = 1_000_000  # ids without a token that may be named
LIKE_IDS = 10  # so many counts that are 0, 1, 2, ... are ids: counts of real texts repeat


def tokens_of_ids(ids: Any) -> list[str]:
    """Return the tokens of ids that are given as `{token: id}`, in the order of their ids.

    Raises:
        VocabularyError: there are none, a token is not a string, an id is not a whole number of 0
            or more, two tokens share one, or an id below the largest has no token.
    """
    if not isinstance(ids, Mapping):
        raise VocabularyError(
            f"must be a dict of token: id, not {type(ids).__name__}",
            option="ids",
            value=...,
            remedy="of a Hugging Face tokenizer, pass tokenizer.get_vocab()",
        )
    if not ids:
        raise VocabularyError("holds no token", option="ids", value={})
    by_id: dict[int, str] = {}
    for token, given in ids.items():
        number = _id_of(token, given)
        if number in by_id:
            raise VocabularyError(
                f"the tokens {by_id[number]!r} and {token!r} have the same id, {number}",
                value=number,
                remedy="keep one of them",
            )
        by_id[number] = token
    missing = max(by_id) + 1 - len(by_id)
    if missing > LARGEST_GAP and missing > 10 * len(by_id):
        raise VocabularyError(
            f"the id of {by_id[max(by_id)]!r} is {max(by_id):,}, far beyond the {len(by_id):,} "
            "tokens: it is not the number of a row",
            value=max(by_id),
        )
    if missing:
        first = next(number for number in range(len(by_id) + 1) if number not in by_id)
        raise VocabularyError(
            f"{len(by_id):,} tokens have ids up to {max(by_id):,}, so {missing:,} ids have no "
            f"token, the first is {first:,}",
            value=first,
            remedy="name them: ids | {f'<unused {i}>': i for i in set(range(max(ids.values()))) - "
            "set(ids.values())}",
        )
    return [by_id[number] for number in range(len(by_id))]


def _id_of(token: Any, given: Any) -> int:
    """Return the id of a token as an integer."""
    if not isinstance(token, str):
        raise VocabularyError(
            f"the token {token!r} is a {type(token).__name__}, not a string", value=token
        )
    try:
        number = -1 if isinstance(given, bool) else index(given)
    except TypeError:
        number = -1
    if number < 0:
        raise VocabularyError(
            f"the id of {token!r} is {given!r}, not a whole number of 0 or more", value=given
        )
    return number


def row_of_token(tokens: list[str], token: Any, option: str) -> int | None:
    """Return the id of the token for padding or for unknown tokens; None if there is none.

    Raises:
        VocabularyError: the token has no id.
    """
    if token is None:
        return None
    if token not in tokens:
        raise VocabularyError(
            "is not one of the tokens",
            option=option,
            value=token,
            remedy=("pass the token that has the id, or leave ", Option(option), " out"),
        )
    return tokens.index(token)


def check_counts(counts: Any) -> None:
    """Check that what should be `{token: count}` is that, and not `{token: id}`.

    Raises:
        VocabularyError: it is not a dict, a count is not a whole number of 0 or more, or the counts
            of `LIKE_IDS` tokens or more are 0, 1, 2, ... in any order, or 1, 2, 3, ... in this one.
    """
    if not isinstance(counts, Mapping):
        raise VocabularyError(
            f"counts must be a dict of token: count, not {type(counts).__name__}",
            remedy="count the tokens of texts: Vocabulary.from_texts(texts)",
        )
    values = counts.values()
    kinds = set(map(type, values))
    if not all(issubclass(kind, (int, np.integer)) and kind is not bool for kind in kinds):
        bad = next(n for n in values if not isinstance(n, (int, np.integer)) or n is True)
        raise VocabularyError(f"a count is {bad!r}, not a whole number", value=bad)
    if not counts:
        return
    if min(values) < 0:
        raise VocabularyError(f"a count is {min(values)}, below 0", value=min(values))
    size = len(counts)
    from_zero = size >= LIKE_IDS and max(values) == size - 1 and len(set(values)) == size
    if from_zero or (size >= LIKE_IDS and list(values) == list(range(1, size + 1))):
        raise VocabularyError(
            f"the counts of {size:,} tokens are all different, and go from "
            f"{f'0 to {size - 1:,}' if from_zero else f'1 to {size:,}'}: they are ids",
            remedy="pass ids to Vocabulary.from_ids(ids, pad=..., unk=...)",
        )


def check_vocabulary(vocab: Any) -> None:
    """Check that a vocabulary is one.

    Raises:
        VocabularyError: it is another object, such as a dict of ids.
    """
    if not hasattr(vocab, "key_to_index") or not hasattr(vocab, "word_ids"):
        raise VocabularyError(
            f"vocab must be a Vocabulary, not {type(vocab).__name__}",
            remedy="for a dict of token: id, pass Vocabulary.from_ids(ids, pad=..., unk=...)",
        )
