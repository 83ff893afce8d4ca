"""Tokenizes many texts at once and numbers their tokens.

A compiled loop (`_tokenization.c`) tokenizes ASCII text. Other text, and all text if the loop was
not compiled, is split at spaces into pieces. Each distinct piece is tokenized once and remembered,
since a corpus has few of them (IMDB: 0.28 million among 5.8 million).
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
from ..table import PipelineTokenizer
from .columns import plain
from .pieces import PIECES, PipelineLoop
from .special_tokens import UNK
from .tokenizer import TREEBANK, AnyTokenizer, Tokenizer, well_formed

__all__ = ["Text", "TokenizedTexts", "tokenize_texts"]

native: Any = None
if not os.environ.get("FINETUNE_EMBED_NO_COMPILED"):
    with contextlib.suppress(ImportError):  # it was installed without a compiler
        from . import _tokenization as native

CHARACTERS, TOKENS = 1 << 23, 1 << 18  # in a batch of texts, or of texts that are lists of tokens
WORDS = 1 << 16  # in a batch of texts that are lists of words, which a pipeline splits
REMEMBERED = 1 << 21  # distinct pieces

Text = str | Sequence[str]
Sized = TypeVar("Sized", bound=Sequence[str])
Numbers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TokenizedTexts:
    """Texts as numbers of tokens, to count a vocabulary from or to encode.

    Attributes:
        tokens: the distinct tokens, in the order in which they first occur.
        numbers: int32 `(N,)`, the tokens of all texts one after the other, as indices into
            `tokens`.
        lengths: int32 `(texts,)`, the number of tokens of each text.
        first: bool `(N,)`, which tokens are the first of a word, where texts are lists of words
            and a tokenizer splits these into pieces; else None, and each token is a word.
    """

    tokens: list[str]
    numbers: Numbers
    lengths: Numbers
    first: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def counts(self) -> dict[str, int]:
        """How often each token occurs."""
        counts = np.bincount(self.numbers, minlength=len(self.tokens))
        return dict(zip(self.tokens, counts.tolist(), strict=True))


def tokenize_texts(texts: Iterable[Text], tokenizer: AnyTokenizer) -> TokenizedTexts:
    """Tokenize texts as `tokenizer.tokenize` does, each text once.

    Args:
        texts: texts, or lists of words; both may be mixed. A convention only lower-cases words, if
            it does so; a pipeline splits them into pieces, as in the words joined by spaces.
        tokenizer: the tokenizer. A custom pattern, or a special token with a space in it, takes
            several times as long as the named conventions.

    Raises:
        VocabularyError: an item is neither a text nor a list of tokens, or `texts` is one string.
    """
    if isinstance(texts, str):
        raise VocabularyError(
            f"the texts are one string, {texts!r}, not a list",
            value=texts,
            remedy=f"pass [{texts!r}]",
        )
    if isinstance(tokenizer, PipelineTokenizer):
        return _pieces_of(texts, tokenizer)
    uses_native = native is not None and tokenizer.within_spaces
    loop = _CompiledLoop(tokenizer) if uses_native else _PythonLoop(tokenizer)
    parts = [(_EMPTY, _EMPTY)]
    for is_text, group in _groups(texts):
        if is_text and tokenizer.within_spaces:
            parts += map(loop.tokenize, _batches(group, CHARACTERS))
        else:
            tokens = (_tokens_of(text, tokenizer) for text in group)
            parts += map(loop.number, _batches(tokens, TOKENS))
    numbers, lengths = zip(*parts, strict=True)
    return loop.result(np.concatenate(numbers), np.concatenate(lengths))


def _pieces_of(texts: Iterable[Text], tokenizer: PipelineTokenizer) -> TokenizedTexts:
    """Return what `tokenize_texts` returns with a pipeline."""
    loop = PipelineLoop(tokenizer, UNK, native)
    parts = [(_EMPTY, _EMPTY)]
    for is_text, group in _groups(texts):
        if is_text:
            parts += map(loop.tokenize, _batches(group, PIECES))
        else:
            parts += map(loop.number, _batches(map(_words_of, group), WORDS))
    numbers, lengths = zip(*parts, strict=True)
    tokens, all_numbers, first = loop.result(np.concatenate(numbers))
    return TokenizedTexts(tokens, all_numbers, np.concatenate(lengths), first)


class _PythonLoop:
    """Numbers tokens, and remembers the tokens of each piece between spaces.

    Pieces are numbered too: the tokens of piece `i` are
    `piece_tokens[piece_bounds[i] : piece_bounds[i + 1]]`.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.number_of_token: dict[str, int] = {}
        self.forget_pieces()

    def forget_pieces(self) -> None:
        """Forget all pieces, to bound memory."""
        self.number_of_piece: dict[str, int] = {}
        self.piece_tokens, self.piece_bounds = _EMPTY, np.zeros(1, np.int32)

    def tokenize(self, texts: list[str]) -> tuple[Numbers, Numbers]:
        """Return the numbers of the tokens of all texts, and the number of tokens of each text."""
        import pyarrow as pa
        from pyarrow import compute

        split = compute.split_pattern(pa.array(map(well_formed, texts), pa.large_string()), " ")
        encoded = split.values.dictionary_encode()
        pieces = encoded.dictionary.to_pylist()
        if len(self.number_of_piece) > REMEMBERED:
            self.forget_pieces()
        new = [piece for piece in pieces if piece not in self.number_of_piece]
        self.add_pieces(new)
        self.number_of_piece.update(zip(new, count(len(self.number_of_piece)), strict=False))
        numbers = np.fromiter(map(self.number_of_piece.__getitem__, pieces), np.int32, len(pieces))
        all_tokens = pa.ListArray.from_arrays(self.piece_bounds, self.piece_tokens)
        found = all_tokens.take(pa.array(numbers)).take(encoded.indices)
        bounds = found.offsets.to_numpy()[split.offsets.to_numpy()]
        return found.values.to_numpy(), np.diff(bounds)

    def number(self, texts: list[list[str]]) -> tuple[Numbers, Numbers]:
        """Return what `tokenize` returns, for texts that are lists of tokens."""
        lengths = np.fromiter(map(len, texts), np.int32, len(texts))
        return self.numbers_of(list(chain.from_iterable(texts))), lengths

    def numbers_of(self, tokens: list[str]) -> Numbers:
        """Return the number of each token; a new token gets the next number."""
        known = self.number_of_token
        return np.fromiter((known.setdefault(t, len(known)) for t in tokens), np.int32)

    def add_pieces(self, pieces: list[str]) -> None:
        """Tokenize new pieces and remember their tokens."""
        found = self.tokenizer.tokenize_pieces(pieces)
        ends = np.flatnonzero(np.fromiter(map(" ".__eq__, found), bool, len(found)))
        tokens = self.numbers_of([token for token in found if token != " "])
        bounds = ends - np.arange(len(ends)) + self.piece_bounds[-1]
        self.piece_tokens = np.concatenate([self.piece_tokens, tokens])
        self.piece_bounds = np.concatenate([self.piece_bounds, bounds.astype(np.int32)])

    def result(self, numbers: Numbers, lengths: Numbers) -> TokenizedTexts:
        """Return the texts; tokens are numbered in the order in which they first occur."""
        return TokenizedTexts(list(self.number_of_token), numbers, lengths)


class _CompiledLoop(_PythonLoop):
    """The same with the compiled loop, which leaves it pieces with other than ASCII or specials."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        specials = [token.encode() for token in tokenizer.specials]
        is_treebank = tokenizer.pattern == TREEBANK
        self.native = native.TextTokenizer(is_treebank, tokenizer.lowercase, specials)
        self.is_in_order = True  # until there are pieces, whose tokens are numbered later
        super().__init__(tokenizer)

    def forget_pieces(self) -> None:
        """Forget all pieces, to bound memory."""
        super().forget_pieces()
        self.native.forget()

    def tokenize(self, texts: list[str]) -> tuple[Numbers, Numbers]:
        """Return the numbers of the tokens of all texts, and the number of tokens of each text."""
        if len(self.piece_bounds) > REMEMBERED:
            self.forget_pieces()
        given = [text if text.isascii() else well_formed(text).encode() for text in texts]
        found, lengths, pieces = self.native.tokenize(given)
        if pieces:
            self.is_in_order = False
            self.add_pieces([piece.decode() for piece in pieces])
        return self._with_pieces(np.frombuffer(found, np.int32), np.frombuffer(lengths, np.int32))

    def _with_pieces(self, found: Numbers, lengths: Numbers) -> tuple[Numbers, Numbers]:
        """Replace pieces, which are numbered -1, -2, ..., with their tokens."""
        at = np.flatnonzero(found < 0)
        if not len(at):
            return found, lengths
        piece = -1 - found[at]
        sizes = np.ones(len(found), np.int64)
        sizes[at] = piece_sizes = np.diff(self.piece_bounds)[piece]
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        filled = np.repeat(found, sizes)
        starts = np.cumsum(piece_sizes) - piece_sizes
        within = np.arange(piece_sizes.sum()) - np.repeat(starts, piece_sizes)
        filled[np.repeat(bounds[at], piece_sizes) + within] = self.piece_tokens[
            np.repeat(self.piece_bounds[piece], piece_sizes) + within
        ]
        ends = bounds[np.concatenate([[0], np.cumsum(lengths)])]
        return filled, np.diff(ends).astype(np.int32)

    def numbers_of(self, tokens: list[str]) -> Numbers:
        """Return the number of each token; a new token gets the next number."""
        return np.frombuffer(self.native.numbers([token.encode() for token in tokens]), np.int32)

    def result(self, numbers: Numbers, lengths: Numbers) -> TokenizedTexts:
        """Return the texts; tokens are numbered in the order in which they first occur."""
        tokens = self.native.tokens()
        if self.is_in_order:
            return TokenizedTexts(tokens, numbers, lengths)
        first = np.full(len(tokens), len(numbers))
        first[numbers[::-1]] = np.arange(len(numbers))[::-1]
        order = np.argsort(first)[: np.count_nonzero(first < len(numbers))]
        new_number = np.zeros(len(tokens), np.int32)
        new_number[order] = np.arange(len(order))
        return TokenizedTexts([tokens[at] for at in order.tolist()], new_number[numbers], lengths)


def _tokens_of(text: Text, tokenizer: Tokenizer) -> list[str]:
    """Return the tokens of a text; of a list of tokens, the list in the tokenizer's case.

    Raises:
        VocabularyError: it is neither.
    """
    if isinstance(text, str):
        return tokenizer.tokenize(text)
    lowercase, specials = tokenizer.lowercase, tokenizer.specials
    return [t.lower() if lowercase and t not in specials else t for t in _words_of(text)]


def _words_of(text: Any) -> list[str]:
    """Return the words of a text that is a list of them.

    Raises:
        VocabularyError: it is not.
    """
    if not isinstance(text, list):
        text = plain(text)  # an array of words
    if isinstance(text, Sequence) and all(isinstance(token, str) for token in text):
        return [well_formed(token) for token in text]
    raise VocabularyError(
        f"{text!r} is neither a text nor a list of words",
        value=text,
        remedy="remove such texts, from a data set with dataset.filter(...)",
    )


def _groups(texts: Iterable[Any]) -> Iterable[tuple[bool, Iterable[Any]]]:
    """Return texts that follow each other and are all strings, or all not, and which they are."""
    if isinstance(texts, list) and set(map(type, texts)) == {str}:  # in a fraction of the time
        return [(True, texts)]
    return groupby(texts, lambda text: isinstance(text, str))


def _batches(texts: Iterable[Sized], size: int) -> Iterator[list[Sized]]:
    """Yield lists of texts with `size` characters or tokens, or a little more."""
    if isinstance(texts, list) and 0 < sum(map(len, texts)) + len(texts) <= size:
        yield texts
        return
    batch: list[Sized] = []
    total = 0
    for text in texts:
        batch.append(text)
        total += len(text) + 1
        if total >= size:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


_EMPTY: Numbers = np.zeros(0, np.int32)
