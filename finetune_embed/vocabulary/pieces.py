"""Tokenizes many texts at once with a pipeline of Hugging Face `tokenizers`, on all cores.

Where that gives the same ids (`table/chunking.py`), each distinct chunk of many texts is encoded
once: IMDB has 0.3 million among 5.8 million.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..table import PipelineTokenizer, well_formed
from .chunks import ChunkEncoder, encode_whole

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["PIECES", "PipelineLoop"]

#: Characters in a batch of texts: the library keeps some hundred bytes for each piece of a batch.
PIECES = 1 << 20
FEW = 1 << 10  # tokens that are numbered one by one
MANY = 1 << 16  # characters from which on texts share enough chunks
_NOTHING = -1  # the number of a word that has no piece

Numbers = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]


class PipelineLoop:
    """Numbers the pieces of texts: a number is the id of the pipeline.

    Args:
        tokenizer: the tokenizer.
        unknown: the token of a word that has no piece.
        native: the compiled module `_tokenization`; None if there is none.
    """

    def __init__(self, tokenizer: PipelineTokenizer, unknown: str, native: Any = None) -> None:
        self._tokenizer, self._unknown, self._native = tokenizer, unknown, native
        self._chunks: ChunkEncoder | None = None
        self._first: list[Flags] = []
        self._has_words = False

    def tokenize(self, texts: Sequence[str]) -> tuple[Numbers, Numbers]:
        """Return the numbers of the pieces of all texts, and the number of pieces of each text."""
        clean = [well_formed(text) for text in texts]
        with self._tokenizer.failing_on(clean):
            chunks = self._chunks_for(clean)
            if chunks is None:
                numbers, lengths = encode_whole(self._tokenizer, clean)
            else:
                numbers, lengths = chunks.encode(clean)
        self._first.append(np.ones(len(numbers), bool))
        return numbers, lengths

    def _chunks_for(self, texts: Sequence[str]) -> ChunkEncoder | None:
        """Return what encodes the chunks of texts; None if they are encoded as a whole."""
        if self._chunks is None and sum(map(len, texts)) >= MANY and self._tokenizer.chunking:
            native = self._native and self._native.TextTokenizer(False, False, [])
            self._chunks = ChunkEncoder(self._tokenizer, self._tokenizer.chunking, native)
        return self._chunks

    def number(self, texts: Sequence[Sequence[str]]) -> tuple[Numbers, Numbers]:
        """Return what `tokenize` returns, for texts that are lists of words.

        The pieces are those of the words joined by spaces, and every word has at least one.
        """
        self._has_words = True
        words = [[well_formed(word) for word in text] for text in texts]
        joined = [" ".join(text) for text in words]
        with self._tokenizer.failing_on(joined):
            encoded = self._tokenizer.pipeline.encode_batch(joined, add_special_tokens=False)
        parts = [self._of_words(*pair) for pair in zip(words, encoded, strict=True)]
        numbers, lengths = _joined([ids for ids, _ in parts])
        self._first += [first for _, first in parts]
        return numbers, lengths

    def _of_words(self, words: Sequence[str], found: Encoding) -> tuple[Numbers, Flags]:
        """Return the numbers of the pieces of a text, and which are the first of their words."""
        if not words:
            return np.empty(0, np.int32), np.empty(0, bool)
        ids = np.array(found.ids, np.int32)
        spans = np.array(found.offsets, np.int64).reshape(-1, 2)
        kept = ids != self._tokenizer.dropped
        ids, spans = ids[kept], spans[kept]
        starts = np.fromiter(accumulate((len(word) + 1 for word in words), initial=0), np.int64)
        last = np.maximum(spans[:, 1] - 1, spans[:, 0])  # a space before a word is part of a piece
        word = np.maximum.accumulate(np.searchsorted(starts[:-1], last, side="right") - 1)
        lacking = np.setdiff1d(np.arange(len(words)), word)
        at = np.searchsorted(word, lacking)
        ids, word = np.insert(ids, at, _NOTHING), np.insert(word, at, lacking)
        return ids, np.diff(word, prepend=-1) != 0

    def result(self, numbers: Numbers) -> tuple[list[str], Numbers, Flags | None]:
        """Return the distinct tokens, the texts as numbers of them, and which begin a word.

        Tokens are numbered in the order in which they first occur.

        Args:
            numbers: those of all texts, one after the other.
        """
        flags = np.concatenate([np.ones(0, bool), *self._first]) if self._has_words else None
        if len(numbers) < FEW:  # in a fraction of the time
            known: dict[int, int] = {}
            found = [known.setdefault(number, len(known)) for number in numbers.tolist()]
            return list(map(self._token_of, known)), np.array(found, np.int32), flags
        shifted = numbers - _NOTHING  # from 0 on
        size, count = int(shifted.max()) + 1, len(numbers)
        first = np.full(size, count)
        first[shifted[::-1]] = np.arange(count)[::-1]
        order = np.argsort(first)[: np.count_nonzero(first < count)]
        new_number = np.zeros(size, np.int32)
        new_number[order] = np.arange(len(order))
        tokens = [self._token_of(number) for number in (order + _NOTHING).tolist()]
        return tokens, new_number[shifted], flags

    def _token_of(self, number: int) -> str:
        return self._unknown if number == _NOTHING else self._tokenizer.token_of(number)


def _joined(lists: Sequence[Any]) -> tuple[Numbers, Numbers]:
    """Return lists of numbers one after the other, and their lengths."""
    lengths = np.fromiter(map(len, lists), np.int32, len(lists))
    return np.fromiter(chain.from_iterable(lists), np.int32, int(lengths.sum())), lengths
