"""The inner loops that parse and write rows, compiled (`_kernels.c`) or in Python.

Both give the same result; Python is used if the compiled module is missing. The loops work on
blocks of a file, which `in_order` runs in a few threads.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from ...table import Vectors
from .binary_words import (
    FEW,
    NO_WORD,
    SOUND,
    SPACED,
    TOO_LARGE,
    is_huge,
    is_noise,
    is_odd,
    is_plausible,
    rest_of_word,
)

__all__ = [
    "BinaryRows",
    "TextRows",
    "WordSet",
    "format_binary",
    "format_text",
    "in_order",
    "parse_binary",
    "parse_text",
]

native: Any = None
if not os.environ.get("FINETUNE_EMBED_NO_COMPILED"):
    with contextlib.suppress(ImportError):  # it was installed without a compiler
        from . import _kernels as native

THREADS = min(4, os.cpu_count() or 1)

Octets = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the results of a function in the order of the items, computed in a few threads."""
    with ThreadPoolExecutor(THREADS) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > THREADS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


class WordSet:
    """The words to read from a file, as bytes.

    Args:
        words: the words.
    """

    def __init__(self, words: frozenset[bytes]) -> None:
        self.words = words
        self.first_fields = {word.split(b" ", 1)[0] for word in words}
        self.hashes = native.word_set(list(words)) if native else b""

    def keep(self, joined: bytes, vectors: Vectors, separator: bytes) -> tuple[bytes, Vectors]:
        """Return the words of the set and their vectors.

        Args:
            joined: `n` words joined by the separator.
            vectors: `(n, D)`.
            separator: one byte.
        """
        words = joined.split(separator) if len(vectors) else []
        kept = [row for row, word in enumerate(words) if word in self.words]
        if len(kept) == len(words):
            return joined, vectors
        return separator.join([words[row] for row in kept]), vectors[kept]


class TextRows(NamedTuple):
    """The rows of a block of lines.

    Attributes:
        words: the words' bytes, joined by newlines.
        vectors: float32 `(n, D)`, except for the rows of `leftovers`.
        leftovers: the row, and the start and stop in the block, of each line of numbers that are
            not plain digits.
        lines: the number of lines read, without blank ones at the end.
        bad: the first line that has too few fields, counted from 0, or -1.
    """

    words: bytes
    vectors: Vectors
    leftovers: list[list[int]]
    lines: int
    bad: int


def parse_text(data: bytes, vector_size: int, most: int, wanted: WordSet | None) -> TextRows:
    """Parse up to `most` lines of a block that ends with a newline, only wanted words if given."""
    if native is None or vector_size > len(data):  # no line is long enough
        return _parse_text(data, vector_size, most, wanted)
    words, numbers, _, rest, lines, bad = native.parse_text(
        data, vector_size, most, wanted.hashes if wanted else None
    )
    vectors = np.frombuffer(numbers, np.float32).reshape(-1, vector_size)
    leftovers = np.frombuffer(rest, np.int64).reshape(-1, 3).tolist()
    return TextRows(bytes(words), vectors, leftovers, lines, bad)


def _parse_text(data: bytes, vector_size: int, most: int, wanted: WordSet | None) -> TextRows:
    octets = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(octets == ord("\n"))
    starts = np.concatenate(([0], newlines[:-1] + 1))
    stops = _without_trailing(octets, starts, newlines)
    blank = stops == starts
    content = np.flatnonzero(~blank)[:most]
    blank_within = np.flatnonzero(blank[: content[-1] + 1]) if len(content) else content
    if len(blank_within):  # a blank line before another line
        content = content[: blank_within[0]]
    starts, stops = starts[content], stops[content]
    spaces = np.flatnonzero(octets == ord(" "))
    first, last = np.searchsorted(spaces, starts), np.searchsorted(spaces, stops)
    if wanted is not None:
        ends = np.minimum(np.append(spaces, len(data))[first], stops)
        firsts = zip(starts.tolist(), ends.tolist(), strict=True)
        asked = np.array([data[a:b] in wanted.first_fields for a, b in firsts], bool)
    else:
        asked = np.ones(len(content), bool)
    short = np.flatnonzero(asked & (last - first < vector_size))
    lines = int(short[0]) if len(short) else len(content)
    bad = lines if len(short) or len(blank_within) else -1
    rows = np.flatnonzero(asked[:lines])
    key_ends = spaces[last[rows] - vector_size]
    spans = zip(starts[rows].tolist(), key_ends.tolist(), strict=True)
    words = b"\n".join([data[start:end] for start, end in spans])
    leftovers = np.stack([np.arange(len(rows)), key_ends + 1, stops[rows]], axis=1).tolist()
    return TextRows(words, np.empty((len(rows), vector_size), np.float32), leftovers, lines, bad)


def _without_trailing(octets: Octets, starts: Positions, newlines: Positions) -> Positions:
    """Return the end of each line, without trailing spaces and carriage returns."""
    stops = newlines.copy()
    open_ = np.flatnonzero(stops > starts)
    while len(open_):
        before = octets[stops[open_] - 1]
        open_ = open_[(before == ord(" ")) | (before == ord("\r"))]
        stops[open_] -= 1
        open_ = open_[stops[open_] > starts[open_]]
    return stops


class BinaryRows(NamedTuple):
    """The rows of a block of word2vec binary.

    Attributes:
        words: the words' bytes, joined by spaces.
        vectors: little-endian float32 `(n, D)`.
        passed: the number of complete rows in the block, including those of other words.
        used: the bytes that they take, and the newlines before a fault.
        fault: what is wrong with the row after them: `SOUND`, `SPACED`, `NO_WORD` or `TOO_LARGE`.
        length: the bytes of its word, with spaces if it is `SPACED`.
        after: 1 if the last row is implausible, plus 2 if its word is odd, plus 4 for each of the
            first plausible rows; for the next block.
    """

    words: bytes
    vectors: Vectors
    passed: int
    used: int
    fault: int
    length: int
    after: int


def parse_binary(
    data: bytes,
    vector_size: int,
    most: int,
    wanted: WordSet | None,
    is_last: bool = True,
    before: int = 0,
) -> BinaryRows:
    """Parse up to `most` complete rows of a block, only wanted words if given.

    It stops before the first word that can't be one, wanted or not.

    Args:
        data: the block.
        vector_size: the number of values in a row.
        most: the most rows to parse.
        wanted: the words to keep; all if not given.
        is_last: whether the file ends with the block.
        before: `after` of the block before it.
    """
    if native is not None:
        words, numbers, _, *counts = native.parse_binary(
            data, vector_size, most, wanted.hashes if wanted else None, is_last, before
        )
        vectors = np.frombuffer(numbers, "<f4").reshape(-1, vector_size)
        return BinaryRows(bytes(words), vectors, *counts)
    width = 4 * vector_size
    keys: list[bytes] = []
    parts: list[bytes] = []
    position, passed, fault, length = 0, 0, SOUND, 0
    last, was_odd, plausible = b"", before >> 1 & 1, before >> 2
    while passed < most:
        space = data.find(b" ", position)
        end = space + 1 + width
        if space < 0 or end > len(data):
            break
        word = data[position:space].lstrip(b"\n")
        row = data[space + 1 : end]
        rest = rest_of_word(data, space + 1, width, is_last)
        if rest < 0:
            break
        odd = is_odd(word)
        if rest:
            fault, length = SPACED, len(word) + rest
        elif b"\n" in word:
            fault, length = NO_WORD, len(word)
        elif plausible >= FEW:
            beside = is_noise(row) or (is_noise(last) if last else before & 1)
            no_word = odd and not was_odd and beside
            fault = NO_WORD if no_word else TOO_LARGE if is_huge(row) else SOUND
            length = len(word) if fault else 0
        if fault:
            position = space - len(word)
            break
        if wanted is None or word in wanted.words:
            keys.append(word)
            parts.append(row)
        if plausible < FEW:
            plausible += not odd and is_plausible(row)
        position, last, was_odd = end, row, odd
        passed += 1
    vectors = np.frombuffer(b"".join(parts), "<f4").reshape(len(parts), vector_size)
    after = is_noise(last) | was_odd << 1 | plausible << 2 if last else before
    return BinaryRows(b" ".join(keys), vectors, passed, position, fault, length, after)


def format_text(words: bytes, vectors: Vectors) -> bytes | bytearray:
    """Return one line per row: the word and the shortest numbers that read back equal.

    Args:
        words: `n` words joined by newlines.
        vectors: C-contiguous float32 `(n, D)`.
    """
    if native is not None:
        text: bytearray = native.format_text(words, vectors, vectors.shape[1])
        return text
    import polars as pl

    numbers = pl.DataFrame(vectors).write_csv(include_header=False, separator=" ").encode()
    pairs = zip(words.split(b"\n"), numbers.replace(b"e+", b"e").splitlines(), strict=True)
    return b"".join(b"%b %b\n" % pair for pair in pairs)


def format_binary(words: bytes, vectors: Vectors) -> bytes | bytearray:
    """Return the bytes of each row: the word, a space, and its numbers as float32.

    Args:
        words: `n` words joined by spaces.
        vectors: C-contiguous, little-endian float32 `(n, D)`.
    """
    if native is not None:
        rows: bytearray = native.format_binary(words, vectors, vectors.shape[1])
        return rows
    pairs = zip(words.split(b" "), vectors, strict=True)
    return b"".join(b"%b %b" % (word, row.tobytes()) for word, row in pairs)
