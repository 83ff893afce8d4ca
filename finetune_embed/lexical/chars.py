"""TF-IDF of the characters of words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import chain

import numpy as np
import numpy.typing as npt

from . import counts
from .counts import Parts, slots_of
from .rows import Floats, Numbers, SparseRows, idf_of, most_frequent

__all__ = ["SIZE", "CharTfidf", "char_ngrams", "ngrams_of"]

SIZE = 4  # characters of an n-gram
#: An n-gram that occurs in only one text says nothing about others.
LEAST_TEXTS = 2
_UTF_32 = ("utf-32-le", "surrogatepass")  # a number for each character

Codes = npt.NDArray[np.int32]


def char_ngrams(word: str) -> list[str]:
    """Return the n-grams of 4 characters of a word between two blanks.

    Those of "word" are " wor", "word" and "ord ". A word of one character has one, which ends with
    two blanks; an empty one has none.
    """
    padded = f" {word} ".ljust(SIZE) if word else ""
    return [padded[start : start + SIZE] for start in range(len(padded) - SIZE + 1)]


def ngrams_of(codes: Codes) -> list[str]:
    """Return the n-grams of code points `(G, 4)`.

    Raises:
        UnicodeDecodeError: a number is not a code point.
    """
    text = codes.astype("<i4").tobytes().decode(*_UTF_32)
    return [text[start : start + SIZE] for start in range(0, len(text), SIZE)]


class CharTfidf:
    """The n-grams of characters of words, weighted by TF-IDF, in rows of length 1.

    They relate words to their other forms and spellings, and to words that training did not have.
    The weights are those of scikit-learn's `TfidfVectorizer(sublinear_tf=True)`.

    Args:
        codes: int32 `(G, 4)`, the code points of `G` n-grams, without duplicates.
        idf: float32 `(G,)`, the weight of each.
    """

    def __init__(self, codes: Codes, idf: Floats) -> None:
        self.codes, self.idf = codes, idf

    @classmethod
    def fit_transform(
        cls, numbers: Numbers, lengths: Numbers, words: Sequence[str], most: int
    ) -> tuple[CharTfidf, SparseRows]:
        """Return what the features of texts are, and those of these texts.

        Args:
            numbers: int64 `(N,)`, which word each token is, one text after the other.
            lengths: int64 `(B,)`, the number of tokens of each text.
            words: the distinct words; an empty one has no n-grams.
            most: the number of n-grams at most; those that fewer texts have are left out.
        """
        codes, parts = _all_ngrams(words)
        found = parts.counts(numbers, lengths)
        kept = most_frequent(np.bincount(found.columns, minlength=len(codes)), LEAST_TEXTS, most)
        found = found.only(kept)
        codes = codes[kept]
        tfidf = cls(codes, idf_of(found.columns, len(codes), len(lengths)))
        return tfidf, found.weighted(tfidf.idf)

    def __call__(self, numbers: Numbers, lengths: Numbers, words: Sequence[str]) -> SparseRows:
        """Return the features of texts, which are given as in `fit_transform`."""
        return self.parts(words).counts(numbers, lengths).weighted(self.idf)

    def parts(self, words: Sequence[str]) -> Parts:
        """Return which n-grams words have."""
        if counts.native is not None:
            return _in_native(words, self.codes, self._slots, len(self.codes))[1]
        get = self._columns.get
        of_words = [
            [column for ngram in char_ngrams(word) if (column := get(ngram)) is not None]
            for word in words
        ]
        return _parts_of(of_words, len(self.codes))

    @cached_property
    def _slots(self) -> npt.NDArray[np.int32]:
        return slots_of(self.codes)

    @cached_property
    def ngrams(self) -> list[str]:
        """The n-grams as text."""
        return ngrams_of(self.codes)

    @cached_property
    def _columns(self) -> dict[str, int]:
        return {ngram: column for column, ngram in enumerate(self.ngrams)}


def _all_ngrams(words: Sequence[str]) -> tuple[Codes, Parts]:
    """Return all n-grams of words, in the order in which they occur, and those of each word."""
    if counts.native is not None:
        most = sum(map(len, words))
        codes = np.empty((most, SIZE), np.int32)
        slots = slots_of(codes[:0], most)
        count, parts = _in_native(words, codes, slots, 0)
        return codes[:count], parts._replace(features=count)
    ngrams = dict[str, int]()
    of_words = [
        [ngrams.setdefault(ngram, len(ngrams)) for ngram in char_ngrams(word)] for word in words
    ]
    codes = _codes_of("".join(ngrams)).reshape(-1, SIZE)
    return codes, _parts_of(of_words, len(codes))


def _in_native(
    words: Sequence[str], codes: Codes, slots: npt.NDArray[np.int32], known: int
) -> tuple[int, Parts]:
    """Return the number of n-grams, and those of each word, by a compiled loop; see there."""
    sizes = np.fromiter(map(len, words), np.int64, len(words))
    parts, starts = np.empty(int(sizes.sum()), np.int64), np.empty(len(words) + 1, np.int64)
    text = _codes_of("".join(words))
    count = counts.native.find_ngrams(text, sizes, parts, starts, codes, slots, known)
    return count, Parts(parts[: starts[-1]], starts, len(codes))


def _codes_of(text: str) -> Codes:
    """Return the code points of characters."""
    return np.frombuffer(text.encode(*_UTF_32), "<i4").astype(np.int32, copy=False)


def _parts_of(of_words: Sequence[Sequence[int]], features: int) -> Parts:
    """Return the parts of words from those of each."""
    sizes = np.array([0, *map(len, of_words)], np.int64)
    return Parts(np.fromiter(chain.from_iterable(of_words), np.int64), sizes.cumsum(), features)
