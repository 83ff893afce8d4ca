"""Vectors composed from character n-grams, as in spaCy's floret mode.

The vector of a word is the mean of the rows of `<word>` and of its n-grams of `minn` to `maxn`
characters, where `<` and `>` are the configured marks. Each n-gram has `hash_count` rows: the first
32-bit words of MurmurHash3_x64_128 of its UTF-8, modulo the number of rows.

Source: https://github.com/explosion/floret and https://spacy.io/api/vectors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...table import Vectors
from ..common.table_building import is_utf8
from .murmur import murmur3_x64_128

__all__ = ["Floret"]

MAX_WORD = 1_000  # characters; longer words are not composed
MAX_NGRAMS = 1 << 14  # of one word, and of the words that are composed together
MAX_NUMBERS = 1 << 24  # in the rows of one word


@dataclass(frozen=True)
class Floret:
    """The rows of a floret table and the settings that map words to rows.

    Attributes:
        rows: `(R, D)` numbers.
        minn: the length of the shortest n-grams.
        maxn: the length of the longest n-grams.
        hash_count: the number of rows of an n-gram, 1 to 4.
        hash_seed: the seed of the hash.
        bow: the mark before a word.
        eow: the mark after a word.
    """

    rows: npt.NDArray[Any]
    minn: int
    maxn: int
    hash_count: int
    hash_seed: int
    bow: str
    eow: str

    def compose(self, words: Sequence[str]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Return vectors `(n, D)`, and which words could be composed, bool `(n,)`.

        A word that could not be composed (empty, not UTF-8, or too long) has a row of zeros.
        """
        sizes = np.array([self._size(word) for word in words], np.int64)
        vectors = np.zeros((len(words), self.rows.shape[1]), np.float32)
        for at in _groups(sizes):
            vectors[at] = self._means([words[row] for row in at.tolist()])
        return vectors, sizes > 0

    def _size(self, word: str) -> int:
        """Return the number of n-grams of a word; 0 if it can't be composed."""
        if not 0 < len(word) <= MAX_WORD or not is_utf8(word):
            return 0
        length = len(self.bow) + len(word) + len(self.eow)
        longest = min(self.maxn, length)
        widths = max(0, longest - self.minn + 1)
        count = 1 + widths * (2 * length + 2 - self.minn - longest) // 2
        numbers = count * self.hash_count * self.rows.shape[1]
        return count if count <= MAX_NGRAMS and numbers <= MAX_NUMBERS else 0

    def _means(self, words: list[str]) -> Vectors:
        ngrams = [self._ngrams(word) for word in words]
        hashes = murmur3_x64_128([ngram for found in ngrams for ngram in found], self.hash_seed)
        at = (hashes[:, : self.hash_count] % np.uint32(len(self.rows))).reshape(-1)
        counts = np.array([len(found) * self.hash_count for found in ngrams])
        starts = np.concatenate([[0], np.cumsum(counts)])
        means = np.empty((len(words), self.rows.shape[1]), np.float32)
        with np.errstate(over="ignore", invalid="ignore"):  # NaN and inf stay
            for word, count in enumerate(counts.tolist()):  # in float32 and in spaCy's order
                rows = self.rows[at[starts[word] : starts[word + 1]]].astype(np.float32)
                means[word] = (rows * np.float32(1 / count)).sum(axis=0)
        return means

    def _ngrams(self, word: str) -> list[bytes]:
        word = self.bow + word + self.eow
        sizes = range(self.minn, min(self.maxn, len(word)) + 1)
        parts = [word[at : at + size] for size in sizes for at in range(len(word) - size + 1)]
        return [part.encode() for part in (word, *parts)]


def _groups(sizes: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Yield runs of words that have n-grams, up to `MAX_NGRAMS` n-grams together."""
    words = np.flatnonzero(sizes)
    total = np.cumsum(sizes[words])
    start = done = 0
    while start < len(words):
        stop = int(np.searchsorted(total, done + MAX_NGRAMS, "right"))
        yield words[start:stop]
        start, done = stop, int(total[stop - 1])
