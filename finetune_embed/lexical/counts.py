"""How often the features of texts occur in them.

Compiled loops (`_counts.c`) count; without them, numpy gives the same numbers.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .rows import Floats, Numbers, SparseRows

__all__ = ["Counts", "Pairs", "Parts", "native", "slots_of"]

native: Any = None
if not os.environ.get("FINETUNE_EMBED_NO_COMPILED"):
    with contextlib.suppress(ImportError):  # it was installed without a compiler
        from . import _counts as native

BLOCK = 1 << 18  # about how many tokens are counted at a time, which bounds the memory


class Counts(NamedTuple):
    """How often each feature occurs in each text: rows of `SparseRows`, with whole numbers.

    Attributes:
        columns: int64 `(M,)`, ascending in each row.
        counts: int64 `(M,)`, 1 or more.
        starts: int64 `(B + 1,)`, where each row starts.
    """

    columns: Numbers
    counts: Numbers
    starts: Numbers

    def weighted(self, idf: Floats) -> SparseRows:
        """Return rows of length 1, by sublinear TF-IDF.

        As in scikit-learn's `TfidfVectorizer(sublinear_tf=True)`: a feature that occurs `n` times
        in a text has `(1 + ln n) idf`, divided by the norm of the text's row.
        """
        scales = 1 + np.log(np.arange(self.counts.max(initial=0) + 1).clip(min=1))
        if native is not None:
            found = np.empty(len(self.columns), np.float32)
            native.weigh(*self, idf, scales, found)
            return SparseRows(self.columns, found, self.starts)
        texts = len(self.starts) - 1
        values = scales[self.counts] * idf[self.columns]
        rows = np.repeat(np.arange(texts), np.diff(self.starts))
        norms = np.sqrt(np.bincount(rows, values**2, texts))
        norms[norms == 0] = 1
        return SparseRows(self.columns, (values / norms[rows]).astype(np.float32), self.starts)

    def only(self, kept: npt.NDArray[np.bool_]) -> Counts:
        """Return the features of a mask `(F,)`, numbered anew."""
        found = kept[self.columns]
        starts = np.concatenate([[0], found.cumsum()])[self.starts]
        return Counts((kept.cumsum() - 1)[self.columns[found]], self.counts[found], starts)


class Pairs:
    """Words by id, and some pairs of neighbouring words.

    Args:
        size: the number `V` of ids.
        keys: int64 `(P,)`, `first * V + second` of each pair of ids, ascending.
    """

    def __init__(self, size: int, keys: Numbers) -> None:
        self.size, self.keys = size, keys

    def counts(self, ids: Numbers, lengths: Numbers) -> Counts:
        """Return how often each word and pair occurs in each text.

        Words are the first `V` features, pairs the others.

        Args:
            ids: int64 `(N,)`, the tokens of all texts, one text after the other; those of `V` or
                more are unknown words.
            lengths: int64 `(B,)`, the number of tokens of each text.
        """
        return _in_blocks(lambda tokens, lengths: self._block(ids[tokens], lengths), lengths)

    def neighbours(self, ids: Numbers, lengths: Numbers) -> tuple[Numbers, Numbers]:
        """Return the keys of all neighbours and the text that each is in."""
        text = np.repeat(np.arange(len(lengths)), lengths)
        both = text[:-1] == text[1:]
        if len(ids) and ids.max() >= self.size:
            both &= (ids[:-1] < self.size) & (ids[1:] < self.size)
        return (ids[:-1] * self.size + ids[1:])[both], text[:-1][both]

    @cached_property
    def slots(self) -> npt.NDArray[np.int32]:
        """Where compiled loops find the keys."""
        return slots_of(self.keys)

    def _block(self, ids: Numbers, lengths: Numbers) -> Counts:
        if native is not None:
            room = 2 * len(ids) if len(self.keys) else len(ids)
            given = self.keys, self.slots, self.size
            return _native(native.count_words, ids, lengths, room, given)
        text = np.repeat(np.arange(len(lengths)), lengths)
        known = ids < self.size
        texts, columns = [text[known]], [ids[known]]
        if len(self.keys):
            keys, text = self.neighbours(ids, lengths)
            column = np.searchsorted(self.keys, keys)
            known = self.keys[np.minimum(column, len(self.keys) - 1)] == keys
            texts.append(text[known])
            columns.append(self.size + column[known])
        features = self.size + len(self.keys)
        return _sorted(np.concatenate(texts), np.concatenate(columns), len(lengths), features)


class Parts(NamedTuple):
    """The parts of words.

    Attributes:
        parts: int64 `(Q,)`, those of all words, one word after the other.
        starts: int64 `(W + 1,)`, where those of each word start.
        features: the number of different parts.
    """

    parts: Numbers
    starts: Numbers
    features: int

    def counts(self, numbers: Numbers, lengths: Numbers) -> Counts:
        """Return how often each part occurs in each text.

        Args:
            numbers: int64 `(N,)`, which word each token is, one text after the other.
            lengths: int64 `(B,)`, the number of tokens of each text.
        """
        return _in_blocks(lambda tokens, lengths: self._block(numbers[tokens], lengths), lengths)

    def _block(self, numbers: Numbers, lengths: Numbers) -> Counts:
        starts = self.starts[numbers]
        size = self.starts[numbers + 1] - starts
        if native is not None:
            given = self.parts, self.starts
            return _native(native.count_parts, numbers, lengths, int(size.sum()), given)
        at = np.arange(size.sum()) + (starts - size.cumsum() + size).repeat(size)
        text = np.arange(len(lengths)).repeat(lengths).repeat(size)
        return _sorted(text, self.parts[at], len(lengths), self.features)


def slots_of(keys: npt.NDArray[Any], room: int = 0) -> npt.NDArray[np.int32]:
    """Return where compiled loops find keys of 8 bytes `(P,)` or 16 bytes `(P, 4)`.

    Args:
        keys: the keys, without duplicates.
        room: the number of keys that there may be in the end.
    """
    slots = np.empty(1 << (2 * max(len(keys), room)).bit_length(), np.int32)
    native.place(keys, slots, 1 if keys.ndim == 1 else 2)
    return slots


def _native(
    count: Callable[..., int], tokens: Numbers, lengths: Numbers, room: int, given: Sequence[Any]
) -> Counts:
    """Return what a compiled loop counts.

    Args:
        count: the loop.
        tokens: int64 `(N,)`.
        lengths: int64 `(B,)`.
        room: the most counts there may be.
        given: the other arguments of the loop.
    """
    columns, counts = np.empty(room, np.int64), np.empty(room, np.int64)
    starts = np.empty(len(lengths) + 1, np.int64)
    tokens, lengths = np.ascontiguousarray(tokens), np.ascontiguousarray(lengths)
    found = count(tokens, lengths, columns, counts, starts, *given)
    return Counts(columns[:found], counts[:found], starts)


def _sorted(texts: Numbers, columns: Numbers, rows: int, features: int) -> Counts:
    """Return how often each feature occurs in each text.

    Args:
        texts: int64 `(N,)`, the text of each occurrence.
        columns: int64 `(N,)`, the feature.
        rows: the number `B` of texts.
        features: the number `F` of features.
    """
    found, counts = np.unique(texts * features + columns, return_counts=True)
    starts = np.searchsorted(found, np.arange(rows + 1) * features)
    return Counts(found % max(features, 1), counts, starts)


def _in_blocks(count: Callable[[slice, Numbers], Counts], lengths: Numbers) -> Counts:
    """Return the counts of texts, counted in blocks.

    Args:
        count: returns the counts of some texts, from which tokens are theirs, and their lengths.
        lengths: int64 `(B,)`, the number of tokens of each text.
    """
    ends = np.concatenate([[0], lengths.cumsum()])
    if ends[-1] <= BLOCK:
        return count(slice(None), lengths)
    edges = [*np.searchsorted(ends, range(0, int(ends[-1]), BLOCK)).tolist(), len(lengths)]
    blocks = [count(slice(ends[a], ends[b]), lengths[a:b]) for a, b in pairwise(edges)]
    columns = np.concatenate([block.columns for block in blocks])
    counts = np.concatenate([block.counts for block in blocks])
    sizes = np.concatenate([np.diff(block.starts) for block in blocks])
    return Counts(columns, counts, np.concatenate([[0], sizes.cumsum()]))
