"""Many texts tokenized at once, each token as a number.

A compiled loop (`_tokenization.c`) tokenizes ASCII text. Other text, and all text where the loop is
not compiled, is split at spaces into pieces; each distinct piece is tokenized once and remembered,
since a corpus has few (IMDB: 0.28 million among 5.8 million).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import VocabularyError
from .tokenizer import TREEBANK, Tokenizer, well_formed

__all__ = ["Text", "TokenizedTexts", "tokenize_texts"]

native: Any = None
if not os.environ.get("FINETUNE_EMBED_NO_COMPILED"):
    with contextlib.suppress(ImportError):  # it was installed without a compiler
        from . import _tokenization as native

CHARACTERS, WORDS = 1 << 23, 1 << 18  # cut at a time, between spaces or otherwise
REMEMBERED = 1 << 21  # distinct pieces

Text = str | Sequence[str]
Sized = TypeVar("Sized", bound=Sequence[str])
Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TokenizedTexts:
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


def tokenize_texts(texts: Iterable[Text], tokenizer: Tokenizer) -> TokenizedTexts:
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
    loop = _Compiled(tokenizer) if native and tokenizer.within_spaces else _Pieces(tokenizer)
    parts = [(_NONE, _NONE)]
    groups: Iterator[tuple[bool, Iterator[Any]]] = groupby(texts, lambda t: isinstance(t, str))
    for is_text, group in groups:
        if is_text and tokenizer.within_spaces:
            parts += map(loop.tokenize, _batches(group, CHARACTERS))
        else:
            words = (_words(text, tokenizer) for text in group)
            parts += map(loop.number, _batches(words, WORDS))
    found, lengths = zip(*parts, strict=True)
    return loop.result(np.concatenate(found), np.concatenate(lengths))


class _Pieces:
    """Numbers words, and remembers the words of each piece between spaces that was seen so far."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.numbers: dict[str, int] = {}
        self.forget()

    def forget(self) -> None:
        """Start anew, so that memory has a bound."""
        self.places: dict[str, int] = {}
        self.words, self.ends = _NONE, np.zeros(1, np.int32)  # of all pieces, one after the other

    def tokenize(self, texts: list[str]) -> tuple[Numbers, Numbers]:
        """Return the numbers of the words of all texts, and how many words each text has."""
        import pyarrow as pa
        from pyarrow import compute

        split = compute.split_pattern(pa.array(map(well_formed, texts), pa.large_string()), " ")
        encoded = split.values.dictionary_encode()
        pieces = encoded.dictionary.to_pylist()
        if len(self.places) > REMEMBERED:
            self.forget()
        new = [piece for piece in pieces if piece not in self.places]
        self.learn(new)
        self.places.update(zip(new, count(len(self.places)), strict=False))
        places = np.fromiter(map(self.places.__getitem__, pieces), np.int32, len(pieces))
        words = pa.ListArray.from_arrays(self.ends, self.words)
        found = words.take(pa.array(places)).take(encoded.indices)
        ends = found.offsets.to_numpy()[split.offsets.to_numpy()]
        return found.values.to_numpy(), np.diff(ends)

    def number(self, texts: list[list[str]]) -> tuple[Numbers, Numbers]:
        """Return the numbers of the words of texts that are cut, and how many each text has."""
        lengths = np.fromiter(map(len, texts), np.int32, len(texts))
        return self.numbers_of(list(chain.from_iterable(texts))), lengths

    def numbers_of(self, words: list[str]) -> Numbers:
        """Return the number of each word, given when it is first asked for."""
        numbers = self.numbers
        return np.fromiter((numbers.setdefault(w, len(numbers)) for w in words), np.int32)

    def learn(self, pieces: list[str]) -> None:
        """Cut pieces that were not seen before."""
        found = self.tokenizer.tokenize_pieces(pieces)
        at = np.flatnonzero(np.fromiter(map(" ".__eq__, found), bool, len(found)))
        words = self.numbers_of([word for word in found if word != " "])
        ends = at - np.arange(len(at)) + self.ends[-1]
        self.words = np.concatenate([self.words, words])
        self.ends = np.concatenate([self.ends, ends.astype(np.int32)])

    def result(self, numbers: Numbers, lengths: Numbers) -> TokenizedTexts:
        """Return the texts with the words in the order in which they first occur."""
        return TokenizedTexts(list(self.numbers), numbers, lengths)


class _Compiled(_Pieces):
    """The same by the compiled loop, which leaves it pieces that are not ASCII or have specials."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        specials = [token.encode() for token in tokenizer.specials]
        treebank = tokenizer.pattern == TREEBANK
        self.loop = native.TextTokenizer(treebank, tokenizer.lowercase, specials)
        super().__init__(tokenizer)

    def forget(self) -> None:
        """Start anew, so that memory has a bound."""
        super().forget()
        self.loop.forget()

    def tokenize(self, texts: list[str]) -> tuple[Numbers, Numbers]:
        """Return the numbers of the words of all texts, and how many words each text has."""
        if len(self.ends) > REMEMBERED:
            self.forget()
        given = [text if text.isascii() else well_formed(text).encode() for text in texts]
        found, lengths, pieces = self.loop.tokenize(given)
        self.learn([piece.decode() for piece in pieces])
        return self._filled(np.frombuffer(found, np.int32), np.frombuffer(lengths, np.int32))

    def _filled(self, found: Numbers, lengths: Numbers) -> tuple[Numbers, Numbers]:
        """Put the words of pieces, which are numbered -1, -2, ..., in their places."""
        at = np.flatnonzero(found < 0)
        if not len(at):
            return found, lengths
        piece = -1 - found[at]
        sizes = np.ones(len(found), np.int64)
        sizes[at] = many = np.diff(self.ends)[piece]
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        filled = np.repeat(found, sizes)
        begins = np.cumsum(many) - many
        within = np.arange(many.sum()) - np.repeat(begins, many)
        filled[np.repeat(bounds[at], many) + within] = self.words[
            np.repeat(self.ends[piece], many) + within
        ]
        ends = bounds[np.concatenate([[0], np.cumsum(lengths)])]
        return filled, np.diff(ends).astype(np.int32)

    def numbers_of(self, words: list[str]) -> Numbers:
        """Return the number of each word, given when it is first asked for."""
        return np.frombuffer(self.loop.numbers([word.encode() for word in words]), np.int32)

    def result(self, numbers: Numbers, lengths: Numbers) -> TokenizedTexts:
        """Return the texts with the words in the order in which they first occur."""
        words = self.loop.words()
        first = np.full(len(words), len(numbers))
        first[numbers[::-1]] = np.arange(len(numbers))[::-1]
        order = np.argsort(first)[: np.count_nonzero(first < len(numbers))]
        place = np.zeros(len(words), np.int32)
        place[order] = np.arange(len(order))
        return TokenizedTexts([words[at] for at in order.tolist()], place[numbers], lengths)


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
