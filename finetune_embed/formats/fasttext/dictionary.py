"""The dictionary of a fastText binary model. Its words stay in the file.

See `formats/fasttext/__init__.py` for the layout.
"""

from __future__ import annotations

from array import array
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .matrix import Cursor

__all__ = ["Dictionary", "read_dictionary", "spans"]

Ints = npt.NDArray[np.int64]

MAX_WORD = 1 << 17  # bytes
TAIL = 10  # bytes of a dictionary entry after its word: NUL, count, type
BLOCK = 1 << 16  # words


class Dictionary:
    """The words and labels of a model, as spans of its bytes.

    Attributes:
        data: uint8, all bytes of the file.
        starts: int64 `(size,)`, the first byte of each entry's word, words before labels.
        stops: int64 `(size,)`, the byte after each entry's word.
        nwords: the number of entries that are words.
        pruned: of a pruned model, int64 `(2, n)`: the remaining n-grams, sorted, and the row of
            each, counted from the end of the words' rows. None otherwise.
    """

    def __init__(self, data: npt.NDArray[np.uint8], starts: Ints, stops: Ints, nwords: int) -> None:
        self.data, self.starts, self.stops, self.nwords = data, starts, stops, nwords
        self.pruned: Ints | None = None

    @property
    def nlabels(self) -> int:
        """The number of entries that are labels of a supervised model."""
        return len(self.starts) - self.nwords

    def words(self, rows: Ints) -> list[bytes]:
        """Return the words of the given entries."""
        found: list[bytes] = []
        for at in range(0, len(rows), BLOCK):
            block = rows[at : at + BLOCK]
            joined = spans(self.data, self.starts[block], self.stops[block] + 1)
            found += joined.tobytes().split(b"\0")[:-1]
        return found

    def rows_of(self, words: list[bytes]) -> Ints:
        """Return the first entry of each word, int64 `(n,)`; -1 for a word without an entry."""
        hashes, entries = self._index
        wanted = np.fromiter(map(hash, words), np.int64, len(words))
        first, last = (np.searchsorted(hashes, wanted, side) for side in ("left", "right"))
        rows = np.full(len(words), -1, np.int64)
        for at in np.flatnonzero(first < last).tolist():
            for entry in entries[first[at] : last[at]].tolist():
                if self.data[self.starts[entry] : self.stops[entry]].tobytes() == words[at]:
                    rows[at] = entry
                    break
        return rows

    @cached_property
    def _index(self) -> tuple[Ints, Ints]:
        """Return the sorted hashes of all entries, and the entry of each."""
        size = len(self.starts)
        hashes = np.empty(size, np.int64)
        for at in range(0, size, BLOCK):
            block = np.arange(at, min(at + BLOCK, size))
            hashes[block] = np.fromiter(map(hash, self.words(block)), np.int64, len(block))
        entries = np.argsort(hashes, kind="stable")
        return hashes[entries], entries


def spans(data: npt.NDArray[np.uint8], starts: Ints, stops: Ints) -> npt.NDArray[np.uint8]:
    """Return the bytes of all spans, joined."""
    lengths = stops - starts
    shift = starts - (np.cumsum(lengths) - lengths)
    found: npt.NDArray[np.uint8] = data[np.arange(int(lengths.sum())) + np.repeat(shift, lengths)]
    return found


def read_dictionary(cursor: Cursor, bucket: int, unsigned: bool) -> tuple[Dictionary, int]:
    """Return the dictionary and the number of n-grams that pruning left, -1 if not pruned.

    Args:
        cursor: the place where the dictionary begins.
        bucket: the number of n-gram rows before pruning.
        unsigned: whether the file is of the first fastText, which could not prune and stores no
            number of pruned n-grams.

    Raises:
        VectorFileError: the dictionary is damaged, incomplete, or contradicts itself.
    """
    start = cursor.at
    size, nwords, nlabels = cursor.unpack("<3i", "the sizes of the dictionary")
    cursor.unpack("<q", "the number of tokens")
    (prunes,) = (-1,) if unsigned else cursor.unpack("<q", "the number of pruned n-grams")
    if min(size, nwords, nlabels) < 0 or size != nwords + nlabels or prunes < -1:
        raise cursor.error(
            f"the dictionary claims {size:,} entries, {nwords:,} words, {nlabels:,} labels and "
            f"{prunes:,} pruned n-grams, which is impossible",
            at=start,
        )
    if nwords == 0:
        raise cursor.error(
            "the dictionary has 0 words, so there are no vectors",
            at=start,
            remedy="use a model that has words",
        )
    cursor.needs(size * TAIL, f"the dictionary of {size:,} entries")
    starts, stops = _read_entries(cursor, size)
    data = np.frombuffer(cursor.data, np.uint8)
    types = data[stops + TAIL - 1]
    wrong = np.flatnonzero(types != (np.arange(size) >= nwords))
    if len(wrong):
        entry = int(wrong[0])
        raise cursor.error(
            f"entry {entry + 1:,} of the dictionary has the type {types[entry]}, but the header "
            f"promises {nwords:,} words (type 0) and then {nlabels:,} labels (type 1)",
            at=int(stops[entry]) + TAIL - 1,
            value=int(types[entry]),
        )
    negative = np.flatnonzero(data[stops + TAIL - 2] > 127)
    if len(negative):
        at = int(stops[negative[0]]) + 1
        count = int.from_bytes(cursor.data[at : at + 8], "little", signed=True)
        raise cursor.error(
            f"entry {int(negative[0]) + 1:,} of the dictionary has the count {count:,}, below 0",
            at=at,
            value=count,
        )
    dictionary = Dictionary(data, starts, stops, nwords)
    if prunes >= 0:
        dictionary.pruned = _read_pruned(cursor, prunes, bucket)
    return dictionary, prunes


def _read_entries(cursor: Cursor, size: int) -> tuple[Ints, Ints]:
    """Return where the word of each entry begins and ends."""
    buffer: Any = cursor.data.obj  # bytes or a memory map: both can find
    find, at, stops = buffer.find, cursor.at, array("q")
    for _ in range(size):
        stop = find(b"\0", at, at + MAX_WORD)
        if stop < 0:
            break
        stops.append(stop)
        at = stop + TAIL
    if len(stops) < size and at + MAX_WORD <= len(cursor.data):
        raise cursor.error(
            f"entry {len(stops) + 1:,} of {size:,} of the dictionary has no NUL within "
            f"{MAX_WORD:,} bytes",
            at=at,
        )
    if len(stops) < size or at > len(cursor.data):
        raise cursor.error(
            f"the file ends at byte {len(cursor.data):,}, within entry "
            f"{min(len(stops) + 1, size):,} of {size:,} of the dictionary",
            at=min(at, len(cursor.data)),
        )
    ends = np.frombuffer(stops, np.int64) if size else np.empty(0, np.int64)
    starts = np.concatenate([[cursor.at], ends[:-1] + TAIL]).astype(np.int64)[:size]
    cursor.at = at
    return starts, ends


def _read_pruned(cursor: Cursor, prunes: int, bucket: int) -> Ints:
    start = cursor.at
    pairs = cursor.array("<i4", 2 * prunes, f"the index of {prunes:,} pruned n-grams")
    ids, rows = pairs.reshape(-1, 2).T.astype(np.int64)
    wrong = np.flatnonzero((ids < 0) | (ids >= bucket) | (rows < 0) | (rows >= prunes))
    if len(wrong):
        pair = int(wrong[0])
        raise cursor.error(
            f"the index of pruned n-grams gives n-gram {ids[pair]:,} the row {rows[pair]:,}, but "
            f"there are {bucket:,} n-grams and {prunes:,} rows",
            at=start + 8 * pair,
        )
    order = np.argsort(ids, kind="stable")
    return np.stack([ids[order], rows[order]])
