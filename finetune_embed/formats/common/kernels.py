"""The inner loops: bytes to rows and rows to bytes, compiled (`_kernels.c`) or in Python.

Both give the same; the Python ones are for machines where nothing could be compiled. They work on
blocks, in a few threads, in order.
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
    """Yield the results of a function in the order of its arguments, a few at work at a time."""
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
    """The words that are asked for, as the bytes that stand in a file."""

    def __init__(self, words: frozenset[bytes]) -> None:
        self.words = words
        self.firsts = {word.split(b" ", 1)[0] for word in words}
        self.hashes = native.word_set(list(words)) if native else b""

    def keep(self, joined: bytes, vectors: Vectors, separator: bytes) -> tuple[bytes, Vectors]:
        """Return the words, joined by a separator, and the vectors `(n, D)` of those in the set."""
        words = joined.split(separator) if len(vectors) else []
        kept = [row for row, word in enumerate(words) if word in self.words]
        if len(kept) == len(words):
            return joined, vectors
        return separator.join([words[row] for row in kept]), vectors[kept]


class TextRows(NamedTuple):
    """What was read from a block of lines.

    Attributes:
        words: their bytes, joined by newlines.
        vectors: float32 `(n, D)`; the rows of `leftovers` are not filled in.
        leftovers: row, start and stop in the block, of the numbers that are not plain digits.
        lines: how many lines were read, but for blank ones at the end.
        bad: the first line that has too few fields, counted from 0, or -1.
    """

    words: bytes
    vectors: Vectors
    leftovers: list[list[int]]
    lines: int
    bad: int


def parse_text(data: bytes, vector_size: int, most: int, wanted: WordSet | None) -> TextRows:
    """Read up to `most` lines of a block that ends with a newline; all, or those in a set."""
    if native is None or vector_size > len(data):  # then no line is long enough
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
    in_the_way = np.flatnonzero(blank[: content[-1] + 1]) if len(content) else content
    if len(in_the_way):  # a blank line before another
        content = content[: in_the_way[0]]
    starts, stops = starts[content], stops[content]
    spaces = np.flatnonzero(octets == ord(" "))
    first, last = np.searchsorted(spaces, starts), np.searchsorted(spaces, stops)
    if wanted is not None:
        ends = np.minimum(np.append(spaces, len(data))[first], stops)
        firsts = zip(starts.tolist(), ends.tolist(), strict=True)
        asked = np.array([data[a:b] in wanted.firsts for a, b in firsts], bool)
    else:
        asked = np.ones(len(content), bool)
    short = np.flatnonzero(asked & (last - first < vector_size))
    lines = int(short[0]) if len(short) else len(content)
    bad = lines if len(short) or len(in_the_way) else -1
    rows = np.flatnonzero(asked[:lines])
    key_ends = spaces[last[rows] - vector_size]
    spans = zip(starts[rows].tolist(), key_ends.tolist(), strict=True)
    words = b"\n".join([data[start:end] for start, end in spans])
    leftovers = np.stack([np.arange(len(rows)), key_ends + 1, stops[rows]], axis=1).tolist()
    return TextRows(words, np.empty((len(rows), vector_size), np.float32), leftovers, lines, bad)


def _without_trailing(octets: Octets, starts: Positions, newlines: Positions) -> Positions:
    """Return where each line ends without the spaces and carriage returns at its end."""
    stops = newlines.copy()
    open_ = np.flatnonzero(stops > starts)
    while len(open_):
        before = octets[stops[open_] - 1]
        open_ = open_[(before == ord(" ")) | (before == ord("\r"))]
        stops[open_] -= 1
        open_ = open_[stops[open_] > starts[open_]]
    return stops


class BinaryRows(NamedTuple):
    """What was read from a block of word2vec binary.

    Attributes:
        words: their bytes, joined by spaces.
        vectors: little-endian float32 `(n, D)`.
        passed: the whole rows of the block, also those whose word is not in the set.
        used: the bytes they take.
    """

    words: bytes
    vectors: Vectors
    passed: int
    used: int


def parse_binary(data: bytes, vector_size: int, most: int, wanted: WordSet | None) -> BinaryRows:
    """Read up to `most` whole rows of a block; all, or those in a set."""
    if native is not None:
        words, numbers, _, passed, used = native.parse_binary(
            data, vector_size, most, wanted.hashes if wanted else None
        )
        vectors = np.frombuffer(numbers, "<f4").reshape(-1, vector_size)
        return BinaryRows(bytes(words), vectors, passed, used)
    width = 4 * vector_size
    keys: list[bytes] = []
    parts: list[bytes] = []
    position, passed = 0, 0
    while passed < most:
        space = data.find(b" ", position)
        end = space + 1 + width
        if space < 0 or end > len(data):
            break
        word = data[position:space].lstrip(b"\n")
        if wanted is None or word in wanted.words:
            keys.append(word)
            parts.append(data[space + 1 : end])
        position = end
        passed += 1
    vectors = np.frombuffer(b"".join(parts), "<f4").reshape(len(parts), vector_size)
    return BinaryRows(b" ".join(keys), vectors, passed, position)


def format_text(words: bytes, vectors: Vectors) -> bytes | bytearray:
    """Return a line for each row: the word and its numbers, the shortest that read back equal.

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
    """Return the bytes of each row: the word, a space, and its float32.

    Args:
        words: `n` words joined by spaces.
        vectors: C-contiguous, little-endian float32 `(n, D)`.
    """
    if native is not None:
        rows: bytearray = native.format_binary(words, vectors, vectors.shape[1])
        return rows
    pairs = zip(words.split(b" "), vectors, strict=True)
    return b"".join(b"%b %b" % (word, row.tobytes()) for word, row in pairs)
