"""Millions of words without a Python object each: packed into bytes, found by hash. numpy only.

A list of a million strings and a dict of their rows take 150 MB; the bytes, the position of each
word, and a sorted array of hashes take 35 MB.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import overload

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError

__all__ = ["PackedWords", "Rows", "append_words", "as_bytes", "rows_by_word", "starts_with"]

Rows = npt.NDArray[np.int64]

BLOCK = 1 << 16  # words decoded at a time
FEW = 4  # words that are found faster one after the other
_hash = hash  # of a word; a test replaces it with one that collides


class PackedWords(Sequence[str]):
    """Words held as bytes and positions, decoded on access.

    Bytes that are not UTF-8 become lone surrogates (PEP 383), so different bytes are different
    words.

    Args:
        data: the bytes of all words, one after another.
        offsets: int64 `(V + 1,)`; word `i` is `data[offsets[i]:offsets[i + 1]]`.
    """

    def __init__(self, data: memoryview | bytes, offsets: Rows) -> None:
        self._data, self._offsets = data, offsets

    @classmethod
    def from_bytes(cls, words: Iterable[bytes]) -> PackedWords:
        """Pack words given as bytes."""
        words = list(words)
        offsets = np.zeros(len(words) + 1, np.int64)
        np.cumsum([len(word) for word in words], out=offsets[1:])
        return cls(b"".join(words), offsets)

    @classmethod
    def from_strings(cls, words: Sequence[str]) -> PackedWords:
        """Pack words as UTF-8.

        Raises:
            UnicodeEncodeError: a word has lone surrogates.
        """
        data = "".join(words).encode()
        characters = np.zeros(len(words) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, words), np.int64, len(words)), out=characters[1:])
        if characters[-1] == len(data):
            return cls(data, characters)
        starts = np.flatnonzero((np.frombuffer(data, np.uint8) & 0xC0) != 0x80)
        return cls(data, np.append(starts, len(data))[characters])

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            start, stop, step = row.indices(len(self))
            return self._decode(start, stop)[::step] if step > 0 else list(self)[row]
        position = range(len(self))[row]
        return self._decode(position, position + 1)[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), BLOCK):
            yield from self._decode(start, min(start + BLOCK, len(self)))

    def _decode(self, start: int, stop: int) -> list[str]:
        """Return consecutive words; faster together than one by one."""
        if stop <= start:
            return []
        offsets = self._offsets[start : stop + 1]
        data = bytes(self._data[int(offsets[0]) : int(offsets[-1])])
        bounds = (offsets - offsets[0]).tolist()
        if data.isascii():
            text = data.decode("ascii")
            return [text[begin:end] for begin, end in pairwise(bounds)]
        return [
            data[begin:end].decode("utf-8", "surrogateescape") for begin, end in pairwise(bounds)
        ]

    def take(self, rows: Rows) -> list[str]:
        """Return the words of some rows `(n,)`, in their order."""
        begins, ends = self._offsets[rows].tolist(), self._offsets[rows + 1].tolist()
        return [
            str(self._data[begin:end], "utf-8", "surrogateescape")
            for begin, end in zip(begins, ends, strict=True)
        ]

    def __reduce__(self) -> tuple[type[PackedWords], tuple[bytes, Rows]]:
        return PackedWords, (self.data.tobytes(), self.offsets)  # copied, also out of a file

    @property
    def data(self) -> npt.NDArray[np.uint8]:
        """The bytes of all words, uint8, not copied."""
        octets = np.frombuffer(self._data, np.uint8)
        return octets[int(self._offsets[0]) : int(self._offsets[-1])]

    @property
    def offsets(self) -> Rows:
        """The position in `data` of each word, and the end, int64 `(V + 1,)`."""
        first = self._offsets[0]
        return self._offsets - first if first else self._offsets

    def appended(self, words: Iterable[bytes]) -> PackedWords:
        """Return these words followed by more, given as bytes."""
        more = PackedWords.from_bytes(words)
        data = np.concatenate([self.data, more.data])
        offsets = np.concatenate([self.offsets, more.offsets[1:] + len(self.data)])
        return PackedWords(data.data, offsets)

    def starts_with(self, other: PackedWords) -> bool:
        """Return whether these words start with all words of another, in order."""
        size = len(other.data)
        return (
            len(self) >= len(other)
            and np.array_equal(self.offsets[: len(other) + 1], other.offsets)
            and np.array_equal(self.data[:size], other.data)
        )

    def rows_of(self, keys: Sequence[object]) -> Rows:
        """Return the row of each key as int64 `(len(keys),)`, -1 where it is not among the words.

        Raises:
            VocabularyError: a word occurs in two rows; found at the first call.
        """
        if 0 < len(keys) <= FEW:
            return np.array([self.row_of(key) for key in keys], np.int64)
        hashes, order = self._index
        rows = np.full(len(keys), -1, np.int64)
        if not len(hashes):
            return rows
        wanted = np.fromiter(map(_hash, keys), np.int64, len(keys))
        at = hashes.searchsorted(wanted)
        (open_,) = (hashes.take(at, mode="clip") == wanted).nonzero()
        while len(open_):  # more than once only if words have the same hash
            found = order[at[open_]]
            words = zip(self.take(found), open_.tolist(), strict=True)
            same = np.fromiter((word == keys[asked] for word, asked in words), bool, len(open_))
            rows[open_[same]] = found[same]
            open_ = open_[~same]
            at[open_] += 1
            open_ = open_[at[open_] < len(hashes)]
            open_ = open_[hashes[at[open_]] == wanted[open_]]
        return rows

    def row_of(self, key: object) -> int:
        """Return the row of one key, -1 if it is not among the words; see `rows_of`."""
        hashes, order = self._index
        wanted = _hash(key)
        at = int(hashes.searchsorted(wanted))
        while at < len(hashes) and hashes[at] == wanted:
            row = int(order[at])
            if self[row] == key:
                return row
            at += 1
        return -1

    @cached_property
    def _index(self) -> tuple[Rows, Rows]:
        """The hashes of all words in ascending order, and the row of each."""
        hashes = np.fromiter(map(_hash, self), np.int64, len(self))
        order = np.argsort(hashes)
        hashes = hashes[order]
        alike = np.flatnonzero(hashes[1:] == hashes[:-1])
        if len(alike):
            rows = order[np.unique(np.concatenate([alike, alike + 1]))]
            if len(set(self.take(rows))) < len(rows):
                rows_by_word(list(self))  # raises
        return hashes, order


def rows_by_word(words: Sequence[str]) -> dict[str, int]:
    """Return the row of each word.

    Raises:
        VocabularyError: a word occurs in two rows.
    """
    index = {key: row for row, key in enumerate(words)}
    if len(index) != len(words):
        twice, row = next((key, row) for row, key in enumerate(words) if index[key] != row)
        raise VocabularyError(
            f"the word {twice!r} is in rows {row} and {index[twice]}, but a table needs distinct "
            "words",
            value=twice,
            remedy="remove one of the two rows",
        )
    return index


def as_bytes(key: str) -> bytes | None:
    """Return the bytes that decode to this word; None if there are none."""
    try:
        word = key.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return None
    return word if word.decode("utf-8", "surrogateescape") == key else None


def starts_with(words: Sequence[str], others: Sequence[str]) -> bool:
    """Return whether `words` start with all of `others`, in order."""
    if isinstance(words, PackedWords) and isinstance(others, PackedWords):
        return words.starts_with(others)
    return list(words[: len(others)]) == list(others)


def append_words(words: list[str] | PackedWords, more: Sequence[str]) -> list[str] | PackedWords:
    """Return words followed by more; packed words stay packed if all new ones have bytes."""
    if isinstance(words, PackedWords):
        packed = [as_bytes(word) for word in more]
        if None not in packed:
            return words.appended(word for word in packed if word is not None)
    return [*words, *more]
