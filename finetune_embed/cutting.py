"""Many texts cut into words at once: every distinct piece between spaces once, then remembered.

A corpus has few distinct pieces (of IMDB's 5.8 million between spaces 0.28 million), so that its
texts as numbers of words cost little more than the look-up of each piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .errors import VocabularyError
from .tokenizer import Tokenizer, well_formed

__all__ = ["CutTexts", "Text", "cut"]

CHARACTERS, WORDS = 1 << 23, 1 << 18  # cut at a time, between spaces or otherwise
REMEMBERED = 1 << 21  # distinct pieces

Text = str | Sequence[str]
Sized = TypeVar("Sized", bound=Sequence[str])
Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class CutTexts:
    """Texts as numbers of words: a vocabulary is counted from them, and ids are looked up.

    Attributes:
        words: the distinct words, in the order in which they first occur.
        numbers: int32 `(N,)`, the words of all texts one after the other, as places in `words`.
        lengths: int32 `(texts,)`, how many words each text has.
    """

    words: list[str]
    numbers: Numbers
    lengths: Numbers

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def counts(self) -> dict[str, int]:
        """How often each word occurs."""
        counts = np.bincount(self.numbers, minlength=len(self.words))
        return dict(zip(self.words, counts.tolist(), strict=True))


def cut(texts: Iterable[Text], tokenizer: Tokenizer) -> CutTexts:
    """Cut texts into words as `tokenizer.tokenize` does, each text once.

    Args:
        texts: texts, or lists of words, which are not cut again but take the tokenizer's case; both
            may be mixed.
        tokenizer: how texts are cut. A pattern of one's own, or a special token with a space in it,
            takes several times as long as the named conventions.

    Raises:
        VocabularyError: an item is neither a text nor a list of words, or `texts` is one string.
    """
    if isinstance(texts, str):
        raise VocabularyError(f"pass a list of texts, [{texts!r}], not one string")
    numbers = _Numbering()
    pieces = _Pieces(tokenizer, numbers)
    parts = [(_NONE, _NONE)]
    groups: Iterator[tuple[bool, Iterator[Any]]] = groupby(texts, lambda t: isinstance(t, str))
    for is_text, group in groups:
        if is_text and tokenizer.within_spaces:
            parts += map(pieces.cut, _batches(group, CHARACTERS))
        else:
            words = (_words(text, tokenizer) for text in group)
            parts += map(numbers.of_texts, _batches(words, WORDS))
    found, lengths = zip(*parts, strict=True)
    return CutTexts(list(numbers), np.concatenate(found), np.concatenate(lengths))


class _Numbering(dict[str, int]):
    """The number of each word, given when it is first asked for."""

    def __missing__(self, word: str) -> int:
        self[word] = number = len(self)
        return number

    def of(self, words: Sequence[str]) -> Numbers:
        """Return the numbers of words."""
        return np.fromiter(map(self.__getitem__, words), np.int32, len(words))

    def of_texts(self, texts: list[list[str]]) -> tuple[Numbers, Numbers]:
        """Return the numbers of the words of all texts, and how many words each text has."""
        lengths = np.fromiter(map(len, texts), np.int32, len(texts))
        return self.of(list(chain.from_iterable(texts))), lengths


class _Pieces:
    """The words of each piece between spaces that was seen so far."""

    def __init__(self, tokenizer: Tokenizer, numbers: _Numbering) -> None:
        self.tokenizer, self.numbers = tokenizer, numbers
        self.forget()

    def forget(self) -> None:
        """Start anew, so that memory has a bound."""
        self.places: dict[str, int] = {}
        self.words, self.ends = _NONE, np.zeros(1, np.int32)  # of all pieces, one after the other

    def cut(self, texts: list[str]) -> tuple[Numbers, Numbers]:
        """Return the numbers of the words of all texts, and how many words each text has."""
        import pyarrow as pa
        from pyarrow import compute

        split = compute.split_pattern(pa.array(map(well_formed, texts), pa.large_string()), " ")
        encoded = split.values.dictionary_encode()
        pieces = encoded.dictionary.to_pylist()
        if len(self.places) > REMEMBERED:
            self.forget()
        self._learn([piece for piece in pieces if piece not in self.places])
        places = np.fromiter(map(self.places.__getitem__, pieces), np.int32, len(pieces))
        words = pa.ListArray.from_arrays(self.ends, self.words)
        found = words.take(pa.array(places)).take(encoded.indices)
        ends = found.offsets.to_numpy()[split.offsets.to_numpy()]
        return found.values.to_numpy(), np.diff(ends)

    def _learn(self, pieces: list[str]) -> None:
        found = self.tokenizer.tokenize_pieces(pieces)
        at = np.flatnonzero(np.fromiter(map(" ".__eq__, found), bool, len(found)))
        words = self.numbers.of([word for word in found if word != " "])
        ends = at - np.arange(len(at)) + self.ends[-1]
        self.words = np.concatenate([self.words, words])
        self.ends = np.concatenate([self.ends, ends.astype(np.int32)])
        self.places.update(zip(pieces, count(len(self.places)), strict=False))


def _words(text: Text, tokenizer: Tokenizer) -> list[str]:
    """Return the words of a text; of a list of words, the list in the tokenizer's case."""
    if isinstance(text, str):
        return tokenizer.tokenize(text)
    if isinstance(text, Sequence) and all(isinstance(word, str) for word in text):
        words = [well_formed(word) for word in text]
        lower, whole = tokenizer.lowercase, tokenizer.specials
        return [word.lower() if lower and word not in whole else word for word in words]
    raise VocabularyError(
        f"{text!r} is neither a text nor a list of words; remove such rows with dataset.filter(...)"
    )


def _batches(texts: Iterable[Sized], most: int) -> Iterator[list[Sized]]:
    """Yield lists of texts that have `most` characters or words, or a little more."""
    batch: list[Sized] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text) + 1
        if size >= most:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


_NONE: Numbers = np.zeros(0, np.int32)
