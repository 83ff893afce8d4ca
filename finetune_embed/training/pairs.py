"""Pairs of texts: what they are given as, and which heads take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from ..errors import DataError, Either
from ..heads import takes_pairs
from .build_model import Head

__all__ = ["both_of", "check_pairs"]


def both_of(pairs: Sequence[Any]) -> list[Any]:
    """Return the texts of pairs, the first and the second of each in turn.

    Raises:
        DataError: one is not a pair of texts.
    """
    for at, pair in enumerate(pairs):
        is_pair = isinstance(pair, (list, tuple)) and len(pair) == 2
        if not is_pair or not all(isinstance(one, (str, list)) for one in pair):
            raise DataError(
                f"the run takes pairs of texts, and item {at} (counted from 0) is not one",
                value=pair,
                remedy=Either(
                    "give two texts for each: predict([(first, second), ...])",
                    "give a file with the columns of both: --data FILE",
                ),
            )
    return [text for pair in pairs for text in pair]


def check_pairs(model: nn.Module, head: Head) -> None:
    """Check that a head that takes pairs of texts is known as one, and takes them packed.

    Raises:
        DataError: it is not.
    """
    if takes_pairs(model) and not (takes_pairs(head) and getattr(model, "packed", False)):
        raise DataError(
            f"{type(model).__name__} takes pairs of texts, so it must have packed = True, and the "
            "function that makes it pairs = True",
            value=head,
            remedy=f"set these attributes, or pass the class itself: head={type(model).__name__}",
        )
